"""The dialog behind "Find..." on the original's card: folders, the search at work, and the candidates it found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QPlainTextEdit,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.text.original_search import (
    candidate_remark,
    coefficient_text,
    distance_text,
    search_details,
    search_headline,
    skip_text,
    skipped_summary,
)
from app.text.translation import whole
from app.text.window_text import short_error_text
from app.widgets.basics.basics import ElidedLabel, link_button, push_button, scaled, set_look, wrapped_label
from app.widgets.basics.window_placement import resize_on_screen
from engine.analysis.candidates import OriginalSearch, SearchProgress
from engine.checkpoints.names_of_files import model_name
from engine.errors import Cancelled, EngineError

NAME, DISTANCE, SHARE, STORED, REMARK = range(5)
FOLDERS_HEIGHT, ROW_HEIGHT, SKIPPED_HEIGHT = 76, 28, 110


class FindOriginalDialog(QDialog):
    """Asks for folders, shows the search and what it found, and hands on which model is to be used.

    Attributes:
        search_clicked: emitted with the list of folders to look through.
        stop_clicked: the search is to stop.
        folders_changed: emitted with the list of folders.
        chosen: emitted with the path of the candidate that is to be the original.
    """

    search_clicked = Signal(object)
    stop_clicked = Signal()
    folders_changed = Signal(object)
    chosen = Signal(object)

    def __init__(self, model: Path, folders: Sequence[Path], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Find the original"))
        self._model, self._searching = model, False
        self._paths: list[Path] = []
        self.headline = wrapped_label("", "name")
        self.detail = wrapped_label("", "muted")
        self.folders = QTreeWidget()
        self.folders.setHeaderHidden(True)
        self.folders.setRootIsDecorated(False)
        self.folders.setProperty("rows", "roomy")
        self.folders.setAccessibleName(self.tr("Folders to look through"))
        self.folders.setFixedHeight(scaled(FOLDERS_HEIGHT))
        self.folders.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.add = push_button(self.tr("Add folder\u2026"), small=True)
        self.remove = push_button(self.tr("Remove"), kind="quiet", small=True)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(self.tr("Search"))
        self.at = ElidedLabel("", "small", mode=Qt.TextElideMode.ElideMiddle)
        self.table = self._table()
        self.why_skipped = link_button("")
        self.skipped = QPlainTextEdit()
        self.skipped.setReadOnly(True)
        self.skipped.setProperty("framed", True)
        self.skipped.setAccessibleName(self.tr("What was skipped"))
        self.skipped.setFixedHeight(scaled(SKIPPED_HEIGHT))
        self.search = push_button(self.tr("Search"), kind="primary")
        self.use = push_button(self.tr("Use this one"), kind="primary")
        self.close_button = push_button(self.tr("Close"))
        self._lay_out()
        self.add.clicked.connect(self._add_folder)
        self.remove.clicked.connect(self._remove_folder)
        self.folders.itemSelectionChanged.connect(self._update)
        self.search.clicked.connect(self._search_clicked)
        self.use.clicked.connect(self._use_clicked)
        self.table.itemSelectionChanged.connect(self._update)
        self.table.itemActivated.connect(self._use_clicked)
        self.why_skipped.clicked.connect(self._show_skipped)
        self.close_button.clicked.connect(self.close)
        for folder in folders:
            self._append(folder)
        resize_on_screen(self, QSize(scaled(820), scaled(540)))
        self.show_empty()

    def chosen_folders(self) -> list[Path]:
        """The folders of the list."""
        items = (self.folders.topLevelItem(row) for row in range(self.folders.topLevelItemCount()))
        return [Path(item.text(0)) for item in items if item is not None]

    def show_empty(self) -> None:
        """Nothing was searched yet."""
        headline = self.tr("Which model was {name} made from?").format(name=model_name(self._model))
        detail = self.tr(
            "Choose the folders where its original may lie. A few rows of every weight are compared with every model "
            "in them and below them."
        )
        self._show(headline, detail)

    def show_searching(self) -> None:
        """The search has begun."""
        self._searching = True
        self._show(self.tr("Looking through the folders\u2026"), "")
        self.progress.setRange(0, 0)
        self.progress.show()
        self.at.setText("")
        self.at.show()
        self._update()

    def show_progress(self, progress: SearchProgress) -> None:
        """How far the search is."""
        if progress.total is None:
            self.at.setText(str(progress.path))
            return
        self.headline.setText(
            self.tr("Comparing {done} of {total} models\u2026").format(
                done=whole(progress.done + 1), total=whole(progress.total)
            )
        )
        self.progress.setRange(0, progress.total)
        self.progress.setValue(progress.done)
        self.at.setText(str(progress.path))

    def show_found(self, search: OriginalSearch) -> None:
        """The candidates, the nearest first."""
        self._searching = False
        self._show(search_headline(search), "\n".join(search_details(search)))
        set_look(self.headline, "tone", "" if search.best else "bad")
        self._paths = [one.path for one in search.candidates]
        self.table.setRowCount(len(search.candidates))
        for row, one in enumerate(search.candidates):
            texts = (
                model_name(one.path),
                distance_text(one),
                coefficient_text(one),
                one.encoding,
                candidate_remark(one),
            )
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(str(one.path) if column == NAME else text)
                if column in (DISTANCE, SHARE):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(row, column, item)
        self.table.setColumnHidden(SHARE, search.merge is None)
        self.table.setVisible(bool(search.candidates))
        if search.best is not None:
            self.table.selectRow(0)
        self.why_skipped.setText(skipped_summary(search))
        self.why_skipped.setVisible(bool(self.why_skipped.text()))
        self.skipped.setPlainText("\n".join(f"{item.path}\n    {skip_text(item)}" for item in search.skipped))
        self._update()

    def show_failed(self, error: EngineError | Cancelled) -> None:
        """The search ended without an answer."""
        self._searching = False
        if isinstance(error, Cancelled):
            self._show(
                self.tr("The search was stopped."),
                self.tr("What was compared so far is remembered; the next search goes on from there."),
            )
        else:
            message, remedy = short_error_text(error)
            self._show(message, remedy)
            set_look(self.headline, "tone", "bad")
        self._update()

    def done(self, result: int) -> None:
        """Stop the search together with the dialog."""
        if self._searching:
            self.stop_clicked.emit()
        super().done(result)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Likewise."""
        if self._searching:
            self.stop_clicked.emit()
        super().closeEvent(event)

    def _table(self) -> QTableWidget:
        table = QTableWidget(0, 5)
        table.setAccessibleName(self.tr("Candidates, the nearest first"))
        table.setHorizontalHeaderLabels(
            [self.tr("Model"), self.tr("Distance"), self.tr("Share"), self.tr("Stored as"), self.tr("Remark")]
        )
        tips = {
            DISTANCE: self.tr("Difference from the model, as a share of the candidate's numbers"),
            SHARE: self.tr("Of the merge, and the bounds of that share"),
        }
        for column, tip in tips.items():
            item = table.horizontalHeaderItem(column)
            assert item is not None, "it was just named"
            item.setToolTip(tip)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column in range(5):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        for column in (NAME, REMARK):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(scaled(ROW_HEIGHT))
        table.setShowGrid(False)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.setWordWrap(False)
        table.setTabKeyNavigation(False)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        return table

    def _lay_out(self) -> None:
        beside = QVBoxLayout()
        beside.addWidget(self.add)
        beside.addWidget(self.remove)
        beside.addStretch(1)
        places = QHBoxLayout()
        places.addWidget(self.folders, 1)
        places.addLayout(beside)
        buttons = QHBoxLayout()
        buttons.addWidget(self.search)
        buttons.addStretch(1)
        buttons.addWidget(self.use)
        buttons.addWidget(self.close_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(10)
        column.addWidget(self.headline)
        column.addWidget(self.detail)
        column.addLayout(places)
        column.addWidget(self.progress)
        column.addWidget(self.at)
        column.addWidget(self.table, 100)
        column.addWidget(self.why_skipped, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.skipped)
        column.addStretch(1)
        column.addLayout(buttons)

    def _show(self, headline: str, detail: str) -> None:
        """Say something, and hide what belongs to another state."""
        self.headline.setText(headline)
        self.detail.setText(detail)
        self.detail.setVisible(bool(detail))
        set_look(self.headline, "tone", "")
        for widget in (self.progress, self.at, self.table, self.why_skipped, self.skipped):
            widget.hide()
        self.table.setRowCount(0)
        self._update()

    @Slot()
    def _update(self) -> None:
        """Which buttons can be used, and which one is the likeliest next."""
        selected = self._selected_row() is not None
        self.search.setText(self.tr("Stop") if self._searching else self.tr("Search"))
        self.search.setEnabled(self._searching or bool(self.folders.topLevelItemCount()))
        set_look(self.search, "kind", "" if self.table.rowCount() or self._searching else "primary")
        self.use.setVisible(bool(self.table.rowCount()))
        self.use.setEnabled(selected)
        self.add.setEnabled(not self._searching)
        self.remove.setEnabled(not self._searching and bool(self.folders.selectedItems()))
        self.search.setDefault(not self.table.rowCount())
        self.use.setDefault(bool(self.table.rowCount()))

    def _selected_row(self) -> int | None:
        rows = self.table.selectionModel().selectedRows()
        return rows[0].row() if rows else None

    def _append(self, folder: Path) -> None:
        item = QTreeWidgetItem([str(folder)])
        item.setToolTip(0, str(folder))
        self.folders.addTopLevelItem(item)

    @Slot()
    def _add_folder(self) -> None:
        known = self.chosen_folders()
        start = str(known[-1] if known else self._model.parent)
        name = QFileDialog.getExistingDirectory(self, self.tr("A folder to look through"), start)
        if name and Path(name) not in known:
            self._append(Path(name))
            self.folders_changed.emit(self.chosen_folders())
            self._update()

    @Slot()
    def _remove_folder(self) -> None:
        for item in self.folders.selectedItems():
            self.folders.takeTopLevelItem(self.folders.indexOfTopLevelItem(item))
        self.folders_changed.emit(self.chosen_folders())
        self._update()

    @Slot()
    def _search_clicked(self) -> None:
        if self._searching:
            self.search.setEnabled(False)
            self.headline.setText(self.tr("Stopping\u2026"))
            self.stop_clicked.emit()
        else:
            self.search_clicked.emit(self.chosen_folders())

    @Slot()
    def _use_clicked(self) -> None:
        row = self._selected_row()
        if row is not None:
            self.chosen.emit(self._paths[row])
            self.accept()

    @Slot()
    def _show_skipped(self) -> None:
        self.skipped.setVisible(not self.skipped.isVisible())
