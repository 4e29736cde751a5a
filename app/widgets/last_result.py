"""A small line that keeps the last LoRA at hand while the bar already speaks of the next one."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.widgets.basics import ElidedLabel, link_button
from engine.results import OutputFile


class LastResult(QWidget):
    """The name of the last file, and links to its folder and its path.

    Attributes:
        open_folder_clicked: emitted with the folder.
    """

    open_folder_clicked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._output: OutputFile | None = None
        self.name = ElidedLabel("", "small", mode=Qt.TextElideMode.ElideMiddle)
        self.open_folder = link_button(self.tr("Open folder"))
        self.open_folder.setAccessibleName(self.tr("Open the folder of the last LoRA"))
        self.open_folder.clicked.connect(self._open_folder)
        self.copy_path = link_button(self.tr("Copy path"))
        self.copy_path.setAccessibleName(self.tr("Copy the path of the last LoRA"))
        self.copy_path.clicked.connect(self._copy_path)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self.name, 1)
        row.addWidget(self.open_folder)
        row.addWidget(self.copy_path)

    @property
    def output(self) -> OutputFile | None:
        """The last LoRA, if there is one."""
        return self._output

    def set_output(self, output: OutputFile | None) -> None:
        """Remember a LoRA, or forget the one there was."""
        self._output = output
        if output is not None:
            self.name.setText(self.tr("Last: {name}").format(name=output.path.name))

    @Slot()
    def _open_folder(self) -> None:
        if self._output is not None:
            self.open_folder_clicked.emit(self._output.path.parent)

    @Slot()
    def _copy_path(self) -> None:
        if self._output is not None:
            QGuiApplication.clipboard().setText(str(self._output.path))
