"""The files of a run that wrote several: size and share kept of each, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QWidget

from app.text.notices import format_bytes
from app.text.outputs import files_counted, is_folder, output_kind, shown_name, size_written
from app.text.quality import share_text
from app.widgets.basics.basics import ElidedLabel, LinkButton, Panel, link_button, set_look, text_label
from engine.results import OutputFile

NAME, KIND, SIZE, KEPT, WORST, FOUND, DO = range(7)


class FilesPanel(Panel):
    """A row for each file; hidden where there is one only, which the bar below speaks of.

    Attributes:
        show_clicked: emitted with the file whose layers shall be shown.
        verify_clicked: emitted with the file that shall be measured.
        open_folder_clicked: emitted with a folder.
    """

    show_clicked = Signal(object)
    verify_clicked = Signal(object)
    open_folder_clicked = Signal(object)

    def __init__(self) -> None:
        super().__init__("")
        self._rows: dict[Path, FileRow] = {}
        self.folder = link_button(self.tr("Open folder"))
        self.folder.setAccessibleName(self.tr("Open the folder of these files"))
        self.folder.clicked.connect(self._open_folder)
        self.header.addWidget(self.folder)
        self._enabled = True
        self._table: QWidget | None = None
        self.clear()

    def clear(self) -> None:
        """There are no files yet."""
        self._replace(None)
        self._rows = {}
        self.hide()

    def show_files(self, outputs: Sequence[OutputFile]) -> None:
        """Show what a run wrote."""
        self.clear()
        if len(outputs) < 2:
            return
        self.title.setText(files_counted(len(outputs)))
        self.detail.setText(size_written(outputs))
        table = QWidget()
        table.setProperty("surface", "clear")
        grid = QGridLayout(table)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(NAME, 1)
        titles = {SIZE: self.tr("Size"), KEPT: self.tr("Kept"), WORST: self.tr("Worst layer")}
        for column, title in titles.items():
            grid.addWidget(text_label(title, "small"), 0, column, _side(column))
        for place, output in enumerate(outputs, start=1):
            row = self._rows[output.path] = FileRow(output)
            row.shown.clicked.connect(self._show)
            row.verify.clicked.connect(self._verify)
            row.copy.clicked.connect(self._copy)
            row.add_to(grid, place)
        self._replace(table)
        self._offer_verify()
        self.show()

    def lists(self, lora: Path) -> bool:
        """Whether a file is one of several that are shown here."""
        return lora in self._rows

    def mark_shown(self, lora: Path) -> None:
        """Mark the file whose layers are shown."""
        for path, row in self._rows.items():
            row.mark_shown(path == lora)

    def show_found(self, lora: Path, verdict: str, details: str, *, tone: str = "") -> None:
        """Show what a verification found of one of the files; of another one there is nothing to show."""
        row = self._rows.get(lora)
        if row is not None:
            row.show_found(verdict, details, tone)

    def set_locked(self, locked: bool) -> None:
        """While something works nothing can be verified."""
        self._enabled = not locked
        self._offer_verify()

    def _offer_verify(self) -> None:
        for row in self._rows.values():
            row.verify.setEnabled(self._enabled)

    def _replace(self, table: QWidget | None) -> None:
        if self._table is not None:
            self.body.removeWidget(self._table)
            self._table.hide()
            self._table.deleteLater()
        self._table = table
        if table is not None:
            self.body.addWidget(table)

    def _sender_path(self) -> Path:
        link = self.sender()
        return next(path for path, row in self._rows.items() if link in row.links)

    @Slot()
    def _show(self) -> None:
        self.show_clicked.emit(self._sender_path())

    @Slot()
    def _verify(self) -> None:
        self.verify_clicked.emit(self._sender_path())

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(str(self._sender_path()))

    @Slot()
    def _open_folder(self) -> None:
        self.open_folder_clicked.emit(next(iter(self._rows)).parent)


class FileRow(QWidget):
    """The labels and links of one file; the widget itself holds the links."""

    def __init__(self, output: OutputFile) -> None:
        super().__init__()
        name = shown_name(output.path)
        self.setProperty("surface", "clear")
        self.name = ElidedLabel(name, mode=Qt.TextElideMode.ElideMiddle)
        where = self.tr("A folder: {path}") if is_folder(output.path) else "{path}"
        self._figures: dict[int, QLabel] = {
            KIND: text_label(output_kind(output), "muted"),
            SIZE: text_label(format_bytes(output.size_bytes)),
            KEPT: text_label(share_text(output.mean_energy_retained)),
            WORST: text_label(share_text(output.worst_energy_retained)),
        }
        self._figures[KIND].setToolTip(where.format(path=output.path))
        self.found = text_label("", "small")
        self.shown = self._link(self.tr("Show"), self.tr("Show the layers of {name}").format(name=name))
        self.verify = self._link(self.tr("Verify"), self.tr("Verify {name}").format(name=name))
        self.copy = self._link(self.tr("Copy path"), self.tr("Copy the path of {name}").format(name=name))
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(12)
        self.links = (self.shown, self.copy, self.verify)
        for link in self.links:
            line.addWidget(link)

    def add_to(self, grid: QGridLayout, row: int) -> None:
        """Put the labels into a table."""
        grid.addWidget(self.name, row, NAME)
        for column, label in self._figures.items():
            grid.addWidget(label, row, column, _side(column))
        grid.addWidget(self.found, row, FOUND)
        grid.addWidget(self, row, DO)

    def mark_shown(self, shown: bool) -> None:
        """Whether the layers of this file are shown."""
        texts = self.tr("Show"), self.tr("Shown")
        self.shown.setEnabled(not shown)
        self.shown.setText(texts[shown])
        self.shown.setFixedWidth(2 + max(self.shown.fontMetrics().horizontalAdvance(text) for text in texts))
        set_look(self.name, "role", "title" if shown else "")

    def show_found(self, verdict: str, details: str, tone: str) -> None:
        """What a verification found."""
        mark = "\u26a0" if tone else "\u2713"
        self.found.setText(self.tr("{mark} {verdict}").format(mark=mark, verdict=verdict))
        self.found.setToolTip(details)
        set_look(self.found, "tone", tone or "good")

    def _link(self, text: str, name: str) -> LinkButton:
        link = link_button(text)
        link.setAccessibleName(name)
        return link


def _side(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column == KIND else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter
