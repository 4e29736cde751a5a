"""The layers of a run: all of them to sort, search, choose and save in their tab, the newest ones below the plots."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QSortFilterProxyModel, Qt, Slot
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QFileDialog

from app.look.theme import Theme
from app.text.translation import plural, whole
from app.text.window_text import short_error_text
from app.widgets.basics.basics import ElidedLabel, Panel, let_shrink, push_button, set_look
from app.widgets.basics.drops import TextField
from app.widgets.layers.layer_choice import LayerChoice
from app.widgets.layers.layer_export import LayerExport
from app.widgets.layers.layer_model import COLUMNS, FELL_SHORT, NUMBER_ROLE, LayerModel
from app.widgets.layers.layer_order import Show, ShownLayers
from app.widgets.layers.layer_view import ROW_HEIGHT, LayerTable, hint_or_table
from engine.errors import EngineError
from engine.results import LayerResult

DETAILS = ("change", "noise", "real", "error")  # columns that the small table leaves out


class NewestLayers(Panel):
    """The small table below the plots: the layers done so far, the newest first."""

    def __init__(self, theme: Theme, model: LayerModel) -> None:
        super().__init__(model.tr("Layers"))
        self._total = 0
        self.table = LayerTable(theme, self.tr("Newest layers"))
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(model)
        self._proxy.setSortRole(NUMBER_ROLE)
        self._proxy.sort(0, Qt.SortOrder.DescendingOrder)
        self.table.setModel(self._proxy)
        self.table.arrange(without=DETAILS)
        self.table.setMinimumHeight(ROW_HEIGHT * 2)
        self._stack = hint_or_table(self.tr("The newest layers appear here."), self.table)
        self.body.addWidget(self._stack, 1)
        model.rowsInserted.connect(self._count)
        self._model = model

    def clear(self) -> None:
        """A run is about to begin; nothing is known of it yet."""
        self._total = 0
        self._stack.setCurrentIndex(0)
        self._count()

    def start(self, total: int) -> None:
        """A new run with so many layers begins."""
        self._total = total
        self._stack.setCurrentIndex(1)
        self._count()

    @Slot()
    def _count(self) -> None:
        text = self.tr("{done} of {total}").format(done=whole(self._model.rowCount()), total=whole(self._total))
        self.detail.setText(text if self._total else "")


class LayersPanel(Panel):
    """All layers, to sort, search, choose, copy and save.

    Attributes:
        choice: the layers chosen; rows that are selected here are chosen everywhere it is shared.
        search, show_only, table, export_button: its controls.
    """

    def __init__(self, theme: Theme, model: LayerModel, choice: LayerChoice | None = None) -> None:
        super().__init__(model.tr("Layers"))
        self._model = model
        self.choice = choice if choice is not None else LayerChoice(self)
        self._shown = ShownLayers(model)
        self._following = False
        self._export = LayerExport(self)
        self._export.saved.connect(self._on_saved)
        self._export.failed.connect(self._on_failed)
        self._build_header()
        self.note = ElidedLabel("", "small", mode=Qt.TextElideMode.ElideRight)
        self.note.hide()
        self.body.addWidget(self.note)
        self.table = LayerTable(theme, self.tr("Layers"))
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.setModel(self._shown)
        self.table.horizontalHeader().setSortIndicatorClearable(True)
        self.table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.table.setSortingEnabled(True)
        self.table.arrange()
        self._add_actions()
        self._stack = hint_or_table(
            self.tr("Finished layers appear here, with how much of each change is kept."),
            self.table,
            self.tr("No layer matches."),
        )
        self.body.addWidget(self._stack, 1)
        self._shown.rowsInserted.connect(self._on_rows)
        self._shown.modelReset.connect(self._on_rows)
        self.table.selectionModel().selectionChanged.connect(self._on_selected)
        self.choice.changed.connect(self._on_choice)
        self._on_rows()

    def shown(self) -> int:
        """How many rows are shown."""
        return self._shown.rowCount()

    def shown_layers(self) -> list[LayerResult]:
        """The layers shown, in the order shown."""
        return [self._model.row(number) for number in self._shown.numbers().tolist()]

    def export(self, path: Path) -> None:
        """Save what is shown as CSV; how it went is said in the panel."""
        if not self._export.busy:
            self._say("", "")
            self._export.save(path, self.shown_layers())

    def _build_header(self) -> None:
        self.show_only = QComboBox()
        self.show_only.setAccessibleName(self.tr("Layers shown"))
        for show, title in {
            Show.ALL: self.tr("All layers"),
            Show.FELL_SHORT: self.tr("Kept below {percent} %").format(percent=round(100 * FELL_SHORT)),
            Show.CAPPED: self.tr("Cut by the rank limit"),
            Show.CHANGED_MOST: self.tr("Changed the most"),
            Show.STORED_WHOLE: self.tr("Stored whole"),
        }.items():
            self.show_only.addItem(title, show)
        changed_most = self.tr("The tenth of the layers that changed the most")
        self.show_only.setItemData(list(Show).index(Show.CHANGED_MOST), changed_most, Qt.ItemDataRole.ToolTipRole)
        self.search = TextField()
        self.search.setProperty("role", "find")
        self.search.setPlaceholderText(self.tr("Find a layer\u2026"))
        self.search.setAccessibleName(self.tr("Find a layer"))
        self.search.setToolTip(self.tr("Parts of a name, in any order"))
        self.search.setClearButtonEnabled(True)
        let_shrink(self.show_only, 96)
        let_shrink(self.search, 84, 150)
        self.export_button = push_button(self.tr("Save as CSV\u2026"), kind="quiet")
        self.export_button.setToolTip(self.tr("Save the layers shown, with all digits of their numbers"))
        self.show_only.currentIndexChanged.connect(self._filter)
        self.search.textChanged.connect(self._filter)
        self.export_button.clicked.connect(self._ask_export)
        for widget in (self.show_only, self.search, self.export_button):
            self.header.addWidget(widget)

    def _add_actions(self) -> None:
        copy = QAction(self.tr("Copy"), self.table)
        copy.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        copy.triggered.connect(self._copy)
        names = QAction(self.tr("Copy names"), self.table)
        names.triggered.connect(self._copy_names)
        for action in (copy, names):
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            self.table.addAction(action)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)

    @Slot()
    def _filter(self) -> None:
        self._say("", "")
        self._shown.find(self.search.text(), Show(self.show_only.currentData()))

    @Slot()
    def _on_rows(self) -> None:
        self._follow_choice()
        self._count()

    @Slot()
    def _on_choice(self) -> None:
        self._count()
        if self._following:
            return
        places = self._follow_choice()
        if places:
            self.table.scrollTo(self._shown.index(places[0], 0), QAbstractItemView.ScrollHint.PositionAtCenter)

    def _follow_choice(self) -> list[int]:
        """Select the rows of the chosen layers; answers where they are shown."""
        numbers = [number for number in map(self._model.number, self.choice.names) if number is not None]
        places: list[int] = self._shown.places(numbers).tolist() if numbers else []
        selection = QItemSelection()
        last = len(COLUMNS) - 1
        for first, end in _runs(places):
            selection.select(self._shown.index(first, 0), self._shown.index(end, last))
        rows = self.table.selectionModel()
        self._following = True
        rows.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if places and rows.currentIndex().row() not in places:
            rows.setCurrentIndex(self._shown.index(places[0], 0), QItemSelectionModel.SelectionFlag.NoUpdate)
        self._following = False
        return places

    @Slot()
    def _on_selected(self) -> None:
        if self._following:
            return
        self._following = True
        self.choice.choose(row.name for row in self._selected())
        self._following = False

    def _selected(self) -> list[LayerResult]:
        ranges = self.table.selectionModel().selection().toList()
        places = sorted({place for part in ranges for place in range(part.top(), part.bottom() + 1)})
        numbers = self._shown.numbers()
        return [self._model.row(int(numbers[place])) for place in places]

    @Slot()
    def _count(self) -> None:
        total, shown = self._model.rowCount(), self.shown()
        self._stack.setCurrentIndex(0 if not total else 1 if shown else 2)
        for control in (self.search, self.show_only):
            control.setEnabled(total > 0)
        self.export_button.setEnabled(shown > 0)
        self.detail.setText(" \u00b7 ".join(self._figures(total, shown)) if total else "")

    def _figures(self, total: int, shown: int) -> list[str]:
        if self._shown.filtered:
            figures = [self.tr("{shown} of {total}").format(shown=whole(shown), total=whole(total))]
        else:
            figures = [whole(total)]
            short = self._shown.count(Show.FELL_SHORT)
            if short:
                text = plural("LayersPanel", "{count} kept below {percent} %", "{count} kept below {percent} %", short)
                figures.append(text.format(count=whole(short), percent=round(100 * FELL_SHORT)))
        chosen = len(self.choice.names)
        if chosen > 1:
            figures.append(
                plural("LayersPanel", "{count} chosen", "{count} chosen", chosen).format(count=whole(chosen))
            )
        return figures

    @Slot()
    def _copy(self) -> None:
        rows = self._selected()
        titles = [str(self._model.headerData(number, Qt.Orientation.Horizontal)) for number in range(len(COLUMNS))]
        lines = [[row.name, *(column.text(row) for column in COLUMNS[1:])] for row in rows]
        if lines:
            QGuiApplication.clipboard().setText("\n".join("\t".join(line) for line in [titles, *lines]))

    @Slot()
    def _copy_names(self) -> None:
        names = [row.name for row in self._selected()]
        if names:
            QGuiApplication.clipboard().setText("\n".join(names))

    @Slot()
    def _ask_export(self) -> None:
        kinds = self.tr("Comma-separated values (*.csv)")
        file, _ = QFileDialog.getSaveFileName(self, self.tr("Save the layers"), "layers.csv", kinds)
        if file:
            self.export(Path(file))

    @Slot(object, int)
    def _on_saved(self, path: Path, count: int) -> None:
        text = plural("LayersPanel", "Saved {count} layer as {file}", "Saved {count} layers as {file}", count)
        self._say(text.format(count=whole(count), file=path.name), "good")

    @Slot(object)
    def _on_failed(self, error: EngineError) -> None:
        self._say(" ".join(short_error_text(error)), "bad")

    def _say(self, text: str, tone: str) -> None:
        self.note.setText(text)
        self.note.setAccessibleName(text)
        set_look(self.note, "tone", tone)
        self.note.setVisible(bool(text))


def _runs(places: list[int]) -> list[tuple[int, int]]:
    """First and last of each run of neighbours in ascending numbers."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs
