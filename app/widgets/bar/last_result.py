"""A small line that keeps the last LoRA reachable while the bar already shows the next one."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.widgets.basics.basics import ElidedLabel, link_button, set_look
from engine.results import OutputFile


class LastResult(QWidget):
    """The name of the last file, what a verification found of it, and links to what can be done with it.

    Attributes:
        open_folder_clicked: emitted with the folder.
        verify_clicked: emitted with the file.
    """

    open_folder_clicked = Signal(object)
    verify_clicked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._output: OutputFile | None = None
        self._path: Path | None = None
        self.name = ElidedLabel("", "small", mode=Qt.TextElideMode.ElideMiddle)
        self.open_folder = link_button(self.tr("Open folder"))
        self.open_folder.setAccessibleName(self.tr("Open the folder of the last LoRA"))
        self.open_folder.clicked.connect(self._open_folder)
        self.copy_path = link_button(self.tr("Copy path"))
        self.copy_path.setAccessibleName(self.tr("Copy the path of the last LoRA"))
        self.copy_path.clicked.connect(self._copy_path)
        self.verify = link_button(self.tr("Verify"))
        self.verify.setAccessibleName(self.tr("Verify the last LoRA against the two models"))
        self.verify.clicked.connect(self._verify)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self.name, 1)
        for link in (self.open_folder, self.copy_path, self.verify):
            row.addWidget(link)

    @property
    def output(self) -> OutputFile | None:
        """The last LoRA of this window's runs, if there is one."""
        return self._output

    @property
    def speaks(self) -> bool:
        """Whether there is anything to show."""
        return self._path is not None

    def set_output(self, output: OutputFile | None, warning: str = "") -> None:
        """Remember a LoRA, or forget the one there was; `warning` is what speaks against it, in a clause."""
        self._output = output
        self._path = output.path if output is not None else None
        if output is not None and warning:
            text = self.tr("\u26a0 Last: {name}: {warning}")
            self._show(text.format(name=output.path.name, warning=warning), warning, "warning")
        elif output is not None:
            self._show(self.tr("Last: {name}").format(name=output.path.name))

    def show_checked(self, lora: Path, judgement: str, details: str, *, tone: str = "") -> None:
        """Show what a verification found of a LoRA, whichever program wrote it.

        Args:
            lora: its file.
            judgement: in a few words.
            details: all of it, for the tooltip.
            tone: ``bad`` or ``warning`` where it found something wrong.
        """
        self._path = lora
        if self._output is not None and self._output.path != lora:
            self._output = None
        mark = "\u26a0" if tone else "\u2713"
        text = self.tr("{mark} {name}: {judgement}")
        if lora.name in judgement:  # as errors do
            text = self.tr("{mark} {judgement}")
        self._show(text.format(mark=mark, name=lora.name, judgement=judgement), details, tone)

    def _show(self, text: str, details: str = "", tone: str = "") -> None:
        self.name.setText(text)
        set_look(self.name, "tone", tone)
        self.setToolTip(details)

    @Slot()
    def _open_folder(self) -> None:
        if self._path is not None:
            self.open_folder_clicked.emit(self._path.parent)

    @Slot()
    def _copy_path(self) -> None:
        if self._path is not None:
            QGuiApplication.clipboard().setText(str(self._path))

    @Slot()
    def _verify(self) -> None:
        if self._path is not None:
            self.verify_clicked.emit(self._path)
