"""The small dialogs: questions before something is lost, the list of shortcuts, what this program is."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from PySide6.QtCore import QObject, Qt, SignalInstance, Slot
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QMessageBox, QVBoxLayout, QWidget

from app.text.notices import counted, format_moment
from app.text.translation import translator
from app.text.window_text import whose_place_text
from app.widgets.basics.basics import push_button, set_look, text_label, wrapped_label
from app.widgets.basics.shortcuts import SHORTCUTS
from engine.results import Reusable

_tr = translator("dialogs")


class ResumeAnswer(Enum):
    """What to do with the layers of a run that was stopped."""

    GO_ON = "go_on"
    START_OVER = "start_over"
    CANCEL = "cancel"


def ask_stop(parent: QWidget, busy_changed: SignalInstance, *, closing: bool, kept: bool, queue: bool = False) -> bool:
    """Ask whether a run shall be stopped.

    Args:
        parent: the window.
        busy_changed: emitted with False when what works has ended; the question goes away then.
        closing: the window closes afterwards, also where the run ended by itself meanwhile.
        kept: its finished layers are used by the next run.
        queue: it is the queue that runs.
    """
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(_tr("Stop the extraction"))
    box.setText(_tr("Stop the extraction and quit?") if closing else _tr("Stop the extraction?"))
    consequence = _tr("Nothing is written.")
    if kept:
        consequence = _tr("No LoRA is written; the finished layers are kept, and Extract continues from there.")
    if queue:
        box.setText(_tr("Stop the queue and quit?"))
        consequence = _tr("The jobs stay in the queue, and \u201cRun all\u201d goes on with them.")
    box.setInformativeText(f"{_tr('The layer being worked on is finished first.')} {consequence}")
    stop = box.addButton(_tr("Stop"), QMessageBox.ButtonRole.DestructiveRole)
    keep = box.addButton(_tr("Keep going"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(keep)
    box.setEscapeButton(keep)
    ended = Ended(busy_changed, box)
    box.exec()
    return closing if ended.reached else box.clickedButton() is stop


class Ended(QObject):
    """Takes a question away once what it is about has ended.

    Attributes:
        reached: whether it has ended.
    """

    def __init__(self, busy_changed: SignalInstance, box: QMessageBox) -> None:
        super().__init__(box)
        self._box = box
        self.reached = False
        busy_changed.connect(self._on_busy)

    @Slot(bool)
    def _on_busy(self, busy: bool) -> None:
        if not busy:
            self.reached = True
            self._box.reject()


def ask_resume(parent: QWidget, kept: Reusable) -> ResumeAnswer:
    """Ask whether a run shall go on from where an earlier one was stopped."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(_tr("Continue the extraction"))
    text = _tr("An earlier run of these two models was stopped: {done} of {total} are done.")
    box.setText(text.format(done=kept.layers, total=counted(kept.of, "layer")))
    details = _tr("\u201cContinue\u201d works on the others only, \u201cStart over\u201d on all of them again.")
    if kept.layers == kept.of:
        details = _tr("\u201cContinue\u201d only writes the file, \u201cStart over\u201d works on all of them again.")
    if kept.started:
        details = f"{_tr('It was started on {moment}.').format(moment=format_moment(kept.started))} {details}"
    box.setInformativeText(details)
    go_on = box.addButton(_tr("Continue"), QMessageBox.ButtonRole.AcceptRole)
    set_look(go_on, "kind", "primary")
    start_over = box.addButton(_tr("Start over"), QMessageBox.ButtonRole.DestructiveRole)
    cancel = box.addButton(_tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(go_on)
    box.setEscapeButton(cancel)
    box.exec()
    answers = {go_on: ResumeAnswer.GO_ON, start_over: ResumeAnswer.START_OVER}
    return next((answer for button, answer in answers.items() if box.clickedButton() is button), ResumeAnswer.CANCEL)


def ask_whose_place(parent: QWidget, file: Path) -> str:
    """Ask which model a file is; returns ``finetuned``, ``original``, or nothing."""
    question, details = whose_place_text(file)
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(_tr("Another model"))
    box.setText(question)
    box.setInformativeText(details)
    finetuned = box.addButton(_tr("Fine-tuned model"), QMessageBox.ButtonRole.AcceptRole)
    original = box.addButton(_tr("Original model"), QMessageBox.ButtonRole.AcceptRole)
    cancel = box.addButton(_tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(finetuned)
    box.setEscapeButton(cancel)
    box.exec()
    answers = {finetuned: "finetuned", original: "original"}
    return next((answer for button, answer in answers.items() if box.clickedButton() is button), "")


class ShortcutsDialog(QDialog):
    """All shortcuts, from the table that binds them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(8)
        for row, shortcut in enumerate(SHORTCUTS.values()):
            keys = text_label(shortcut.shown(), "key")
            grid.addWidget(keys, row, 0, Qt.AlignmentFlag.AlignLeft)
            grid.addWidget(text_label(shortcut.title), row, 1)
        close = push_button(self.tr("Close"), kind="primary")
        close.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(close)
        hint = wrapped_label(
            self.tr("Tab moves through all controls; arrow keys move sliders and open lists."), "small"
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 20, 20, 16)
        column.setSpacing(16)
        column.addLayout(grid)
        column.addWidget(hint)
        column.addLayout(buttons)
