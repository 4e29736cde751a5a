"""A small line that keeps the last LoRA reachable while the bar already shows the next one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget

from app.text.outputs import names_of, shown_name
from app.widgets.basics.basics import ElidedLabel, link_button, set_look
from engine.results import OutputFile


class FileMenu(QMenu):
    """The files of a run, to choose one of.

    Attributes:
        chosen: emitted with its path.
    """

    chosen = Signal(object)

    def __init__(self, button: QPushButton, files: Sequence[Path]) -> None:
        super().__init__(button)
        self.setAccessibleName(button.accessibleName())
        for file in files:
            action = self.addAction(shown_name(file).replace("&", "&&"))
            action.setData(file)
        self.triggered.connect(self._choose)

    @Slot(QAction)
    def _choose(self, action: QAction) -> None:
        self.chosen.emit(action.data())


def set_file_menu(button: QPushButton, files: Sequence[Path]) -> FileMenu | None:
    """Let a button ask which of several files is meant; a single one needs no question, and gives None."""
    before = button.menu()
    menu = FileMenu(button, files) if len(files) > 1 else None
    button.setMenu(menu)  # type: ignore[arg-type]  # None takes the menu away
    if before is not None:
        before.deleteLater()
    return menu


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
        self._paths: tuple[Path, ...] = ()
        self._of_run = False
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
    def speaks(self) -> bool:
        """Whether there is anything to show."""
        return bool(self._paths)

    def speaks_of(self, lora: Path) -> bool:
        """Whether what a verification finds of a LoRA belongs here: the last run wrote it, or nothing newer."""
        return lora in self._paths or not self._of_run

    def set_outputs(self, outputs: Sequence[OutputFile], warning: str = "") -> None:
        """Remember the LoRAs of a run, or forget those there were; `warning` speaks against them, in a clause."""
        self._of_run = bool(outputs)
        self._set_paths(tuple(output.path for output in outputs))
        if not outputs:
            return
        name = names_of(self._paths)
        if warning:
            text = self.tr("\u26a0 Last: {name}: {warning}")
            self._show(text.format(name=name, warning=warning), warning, "warning")
        else:
            self._show(self.tr("Last: {name}").format(name=name))

    def show_checked(self, lora: Path, judgement: str, details: str, *, tone: str = "") -> None:
        """Show what a verification found of a LoRA, whichever program wrote it.

        Args:
            lora: its file.
            judgement: in a few words.
            details: all of it, for the tooltip.
            tone: ``bad`` or ``warning`` where it found something wrong.
        """
        if lora not in self._paths:
            self._of_run = False
            self._set_paths((lora,))
        mark = "\u26a0" if tone else "\u2713"
        text = self.tr("{mark} {name}: {judgement}")
        if lora.name in judgement:  # as errors do
            text = self.tr("{mark} {judgement}")
        self._show(text.format(mark=mark, name=shown_name(lora), judgement=judgement), details, tone)

    def _set_paths(self, paths: tuple[Path, ...]) -> None:
        self._paths = paths
        menu = set_file_menu(self.verify, paths)
        if menu is not None:
            menu.chosen.connect(self.verify_clicked)

    def _show(self, text: str, details: str = "", tone: str = "") -> None:
        self.name.setText(text)
        set_look(self.name, "tone", tone)
        self.setToolTip(details)

    @Slot()
    def _open_folder(self) -> None:
        if self._paths:
            self.open_folder_clicked.emit(self._paths[0].parent)

    @Slot()
    def _copy_path(self) -> None:
        if self._paths:
            QGuiApplication.clipboard().setText("\n".join(map(str, self._paths)))

    @Slot()
    def _verify(self) -> None:
        if len(self._paths) == 1:  # of several the link's menu names each
            self.verify_clicked.emit(self._paths[0])
