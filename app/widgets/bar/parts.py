"""What the bottom bar is made of: its lines of words, its progress bar and all of its buttons, in their places."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QVBoxLayout

from app.widgets.bar.buttons import BarButtons, KeyedButton
from app.widgets.bar.last_result import LastResult
from app.widgets.basics.basics import ElidedLabel, push_button
from app.widgets.basics.shortcuts import SHORTCUTS, Command

MARGIN = 16
HEIGHT = 48  # with usual text; larger text takes what it needs


class BarParts(QFrame):
    """The parts without a meaning yet; `BottomBar` says when which of them is shown.

    Attributes:
        headline, detail, extra: the lines.
        progress: how far something is.
        last: a line that keeps the last LoRA reachable.
        buttons: all buttons, of which a few are offered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "bar")
        self.headline = ElidedLabel("", "title")
        self.detail, self.extra = BarLine("small"), BarLine("small")
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(self.tr("Progress"))
        self.last = LastResult()
        self.copy_details = push_button(self.tr("Copy details"))
        self.back = push_button(self.tr("Back"), kind="quiet")
        self.back.setToolTip(self.tr("Back to the result of the last run"))
        self.copy_path = push_button(self.tr("Copy path"), kind="quiet")
        self.copy_command = push_button(self.tr("Copy as command line"), kind="quiet")
        self.copy_command.setToolTip(self.tr("Copy the command that extracts this LoRA without the window"))
        self.open_folder = push_button(self.tr("Open folder"))
        self.verify = push_button(self.tr("Verify"))
        self.verify.setToolTip(self.tr("Measure the file against the two models, independently of the run"))
        self.start_over = push_button(self.tr("Start over"), kind="quiet")
        self.start_over.setToolTip(self.tr("Extract all layers anew, also those that are finished"))
        self.folder = push_button(self.tr("Output folder\u2026"), kind="quiet")
        self.folder.setToolTip(self.tr("Choose the folder that LoRAs are written to"))
        self.extract = KeyedButton(self.tr("Extract"), _key_of("extract"), kind="primary")
        self.stop = KeyedButton(self.tr("Stop"), _key_of("stop"))
        self.buttons = BarButtons(
            (
                self.copy_details,
                self.back,
                self.open_folder,
                self.verify,
                self.copy_path,
                self.copy_command,
                self.start_over,
                self.folder,
                self.extract,
                self.stop,
            )
        )
        words = QVBoxLayout()
        words.setSpacing(3)
        words.addStretch(1)
        for widget in (self.headline, self.detail, self.extra, self.progress, self.last):
            words.addWidget(widget)
        words.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(MARGIN, 6, MARGIN, 6)
        row.setSpacing(MARGIN)
        row.addStrut(HEIGHT)  # a fixed least height would let large text be cut
        row.addLayout(words, 1)
        row.addWidget(self.buttons)
        for widget in (self.extra, self.progress, self.last):
            widget.hide()


class BarLine(ElidedLabel):
    """A line whose tooltip says more than the line."""

    def __init__(self, role: str) -> None:
        super().__init__("", role, mode=Qt.TextElideMode.ElideRight)
        self._more = ""

    def set_more(self, text: str) -> None:
        """Have the tooltip say this below the line itself; an empty text takes it away."""
        self._more = text
        self._update_tooltip()

    def _update_tooltip(self) -> None:
        super()._update_tooltip()
        if self._more:
            self.setToolTip(f"{self.text()}\n{self._more}")


def _key_of(command: Command) -> str:
    """The key of a command as a button has room for it."""
    return SHORTCUTS[command].shown().replace("Return", "\u21b5").replace("+\u21b5", " \u21b5")
