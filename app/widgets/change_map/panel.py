"""The change map: every layer's change, or how much of it is kept, by block and by kind."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QStackedWidget

from app.look.theme import Theme
from app.text.noise import layer_words
from app.text.translation import plural, translator, whole
from app.widgets.basics.basics import Panel, let_shrink, text_label
from app.widgets.change_map.canvas import ChangeCanvas, MapArea
from app.widgets.change_map.colours import ScaleBar, map_colour
from app.widgets.change_map.grid import NOTHING, OTHERS, OUTER, OUTSIDE, ChangeGrid, arrange
from app.widgets.change_map.values import Cells, Scale, change_scale, combined_change, combined_kept, kept_scale
from app.widgets.layers.layer_choice import LayerChoice
from app.widgets.layers.layer_model import LayerModel, change_text, share_text, short_name
from app.widgets.layers.layer_names import first_parts
from engine.models.layer_blocks import BIASES, NORMS
from engine.results import LayerBlock

_tr = translator("ChangeMap")

REFRESH_MS = 100
LAYERS_TOLD = 8  # in a tooltip
FEWEST_ROWS = 6  # where there is no room for them, the map scrolls


class ChangeMap(Panel):
    """Blocks by kinds of layers. Fills while a run goes on; choosing a cell chooses its layers.

    Attributes:
        value: the control that says whether changes or what is kept of them is shown.
        canvas: the cells.
        picked: emitted after a cell with layers in it was chosen.
    """

    picked = Signal()

    def __init__(self, theme: Theme, model: LayerModel, choice: LayerChoice) -> None:
        super().__init__(_tr("Where the fine-tune changed"))
        self._theme, self._model, self._choice = theme, model, choice
        self._names: list[str] = []
        self._blocks: list[LayerBlock] = []
        self._numbers: dict[str, int] = {}
        self._taken = 0
        self._grid = NOTHING
        self._values: Cells = np.zeros(0)
        self._filled: set[int] = set()
        self._room = (0, 0)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self._build_header()
        self.canvas = ChangeCanvas(theme, self._row_title, self.words)
        self.canvas.setAccessibleName(self.tr("Change map: blocks by kinds of layers"))
        hint = text_label(self.tr("Finished layers appear here by block and kind: where the change is, and how large."))
        hint.setProperty("role", "muted")
        hint.setWordWrap(True)
        hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._stack = QStackedWidget()
        self._stack.addWidget(hint)
        self.area = MapArea(self.canvas)
        self._stack.addWidget(self.area)
        self.body.addWidget(self._stack, 1)
        self.canvas.picked.connect(self._pick)
        self.canvas.moved.connect(self._describe)
        self.area.resized.connect(self._on_room)
        self.detail.installEventFilter(self)
        model.rowsInserted.connect(self._later)
        model.modelReset.connect(self._begin)
        choice.changed.connect(self._mark_chosen)
        self.refresh()

    def expect(self, layers: Iterable[tuple[str, LayerBlock]]) -> None:
        """Announce the layers that a run will finish, so that the whole map is there from its beginning.

        Call it after the model's `start`, which forgets the layers of the last run.

        Args:
            layers: the name of each and where it stands.
        """
        for name, block in layers:
            self._number(name, block)
        self._arrange()
        self.refresh()

    def grid(self) -> ChangeGrid:
        """The cells as laid out now."""
        return self._grid

    def values(self) -> Cells:
        """What the cells show: relative changes or shares kept; NaN while there is nothing."""
        return self._values

    def words(self, cell: int) -> str:
        """What there is to say about a cell: its block and kind, and its layers' two numbers."""
        row, column = self._grid.place(cell)
        names = [self._names[number] for number in self._grid.layers_in(cell)]
        if not names:
            block, kind = self._grid.columns[column], self._row_title(self._grid.kinds[row])
            return self.tr("{block}: no {kind} here").format(block=block, kind=kind) if block else self.tr("no layer")
        lines = [self._layer_words(name) for name in names[:LAYERS_TOLD]]
        more = len(names) - LAYERS_TOLD
        if more > 0:
            lines.append(self.tr("+ {count} more").format(count=whole(more)))
        return "\n".join(lines)

    def changeEvent(self, event: QEvent) -> None:
        """Paint in the new theme's colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "canvas"):
            self.refresh()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Say beside the title what there is room for."""
        if watched is self.detail and event.type() in (QEvent.Type.Resize, QEvent.Type.FontChange):
            self._fit_detail()
        return super().eventFilter(watched, event)

    @Slot()
    def refresh(self) -> None:
        """Take the rows that came in and paint anew."""
        before = len(self._names)
        for number in range(self._taken, self._model.rowCount()):
            row = self._model.row(number)
            self._number(row.name, row.block)
        self._taken = self._model.rowCount()
        if len(self._names) != before:
            self._arrange()
        self._stack.setCurrentIndex(1 if self._names else 0)
        self.value.setEnabled(bool(self._names))
        self._show_values()

    def _build_header(self) -> None:
        self.value = QComboBox()
        let_shrink(self.value, 96)
        self.value.setAccessibleName(self.tr("What the map shows"))
        self.value.addItem(self.tr("Changed"), "changed")
        self.value.addItem(self.tr("Change kept"), "kept")
        self.value.currentIndexChanged.connect(self.refresh)
        self._low, self._high = text_label("", "legend"), text_label("", "legend")
        self._bar = ScaleBar(self._theme)
        tip = self.tr("Cells beyond the ends of the scale have the colour of the end.")
        self._bar.setToolTip(tip)
        legend = QHBoxLayout()
        legend.setSpacing(6)
        for widget in (self._low, self._bar, self._high):
            legend.addWidget(widget)
        self.header.addLayout(legend)
        self.header.addWidget(self.value)

    def _kept(self) -> bool:
        return bool(self.value.currentData() == "kept")

    def _number(self, name: str, block: LayerBlock) -> None:
        if self._numbers.setdefault(name, len(self._names)) == len(self._names):
            self._names.append(name)
            self._blocks.append(block)

    def _arrange(self) -> None:
        self._room = self.canvas.room(self.area.viewport().height())
        rows, columns = self._room
        most_kinds = max(FEWEST_ROWS, rows)
        self._grid = NOTHING
        if self._names:
            self._grid = arrange(self._names, self._blocks, most_kinds=most_kinds, most_columns=columns)
        self.canvas.setMinimumHeight(self.canvas.least_height(self._grid))
        self._filled = set(np.unique(self._grid.cells).tolist())

    def _show_values(self) -> None:
        rows = [self._model.row(number) for number in range(self._taken)]
        cells = self._grid.cells[[self._numbers[row.name] for row in rows]] if rows else NOTHING.cells
        energy = [row.delta_energy for row in rows]
        if self._kept():
            self._values = combined_kept(cells, self._grid.size, energy, [row.energy_retained for row in rows])
        else:
            self._values = combined_change(cells, self._grid.size, energy, [row.relative_change for row in rows])
        scale = kept_scale(self._values) if self._kept() else change_scale(self._values)
        self._show_scale(scale)
        self.canvas.show_cells(self._grid, scale.place(self._values), self._filled, self._colour)
        self._fit_detail()
        self._mark_chosen()

    def _colour(self, place: float) -> QColor:
        return map_colour(self._theme, place, kept=self._kept())

    def _show_scale(self, scale: Scale) -> None:
        text = share_text if self._kept() else change_text
        low, high = text(scale.low), text(scale.high)
        self._low.setText(self.tr("\u2264 {value}").format(value=low) if scale.below else low)
        self._high.setText(self.tr("\u2265 {value}").format(value=high) if scale.above else high)
        self._bar.show_scale(kept=self._kept())
        for widget in (self._low, self._bar, self._high):
            widget.setVisible(self._taken > 0)

    def _fit_detail(self) -> None:
        parts = self._explained() if self._names else []
        self.detail.setText(first_parts(parts, self.detail.width(), self.detail.fontMetrics().horizontalAdvance))

    def _explained(self) -> list[str]:
        blocks, kinds = self._grid.blocks, len(self._grid.kinds)
        if self._kept():
            meaning = self.tr("stronger = more of it lost")
        elif self._theme.tokens.name == "dark":
            meaning = self.tr("brighter = changed more")
        else:
            meaning = self.tr("darker = changed more")
        parts = [meaning]
        if blocks:
            rows = plural("ChangeMap", "{count} kind", "{count} kinds", kinds).format(count=whole(kinds))
            columns = plural("ChangeMap", "{count} block", "{count} blocks", blocks).format(count=whole(blocks))
            parts.insert(0, self.tr("{blocks} \u00d7 {kinds}").format(blocks=columns, kinds=rows))
        return parts

    def _row_title(self, kind: str) -> str:
        titles = {
            BIASES: self.tr("biases"),
            NORMS: self.tr("norms"),
            OTHERS: self.tr("others"),
            OUTER: self.tr("outer layers"),
            OUTSIDE: self.tr("outside blocks"),
        }
        return titles.get(kind, kind)

    def _layer_words(self, name: str) -> str:
        row = self._model.find(name)
        if row is None:
            return self.tr("{layer}: not finished yet").format(layer=short_name(name))
        text = self.tr("{layer}: changed {change}, {kept} of it kept")
        change, kept = change_text(row.relative_change), share_text(row.energy_retained)
        words = text.format(layer=short_name(name), change=change, kept=kept)
        return "; ".join(part for part in (words, layer_words(row.noise)) if part)

    @Slot(int, bool)
    def _pick(self, cell: int, add: bool) -> None:
        names = [self._names[number] for number in self._grid.layers_in(cell)]
        if names:
            self._choice.choose([*self._choice.names, *names] if add else names)
            self.picked.emit()

    @Slot()
    def _mark_chosen(self) -> None:
        numbers = [self._numbers[name] for name in self._choice.names if name in self._numbers]
        self.canvas.show_chosen(self._grid.cells_of(numbers))
        self._describe()

    @Slot()
    def _describe(self) -> None:
        text = self.words(self.canvas.current) if self._grid.size else ""
        if text != self.canvas.accessibleDescription():
            self.canvas.setAccessibleDescription(text)

    @Slot()
    def _on_room(self) -> None:
        if self._names and self.canvas.room(self.area.viewport().height()) != self._room:
            self._arrange()
            self._show_values()

    @Slot()
    def _later(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    @Slot()
    def _begin(self) -> None:
        self._names, self._blocks, self._numbers, self._taken = [], [], {}, 0
        self._arrange()
        self.refresh()
