"""The bar at the bottom: what Extract will do, how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QPushButton

from app.text.estimates import time_parts
from app.text.headline import kept_so_far
from app.text.notices import counted, finishing_text
from app.text.outputs import and_more, shown_name, size_at_most
from app.text.translation import whole
from app.text.verification import ClaimedQuality, quality_text, verdict, verification_lines
from app.text.window_text import Blocked, folder_text, kept_text, short_error_text
from app.widgets.bar.last_result import set_file_menu
from app.widgets.bar.parts import MARGIN, BarParts
from app.widgets.bar.result_card import CheckOutcome, ResultCard, tone_of
from app.widgets.basics.basics import scaled, set_look
from engine.errors import EngineError
from engine.events import FinishingStep, Progress
from engine.results import Coverage, ExtractionResult, Reusable, Verification

WORDS_WIDTH = 620  # what the words beside the buttons should have at least


class BottomBar(BarParts):
    """Lines of words, a progress bar, and the buttons that go with the moment.

    Attributes:
        extract_clicked, start_over_clicked, stop_clicked, folder_clicked: the buttons.
        open_folder_clicked: emitted with the folder of a LoRA.
        verify_clicked: emitted with the path of a LoRA.
        stop_clicked: while a verification is shown it means that.
    """

    extract_clicked = Signal()
    start_over_clicked = Signal()
    stop_clicked = Signal()
    folder_clicked = Signal()
    open_folder_clicked = Signal(object)
    verify_clicked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._card: ResultCard | None = None
        self._outcome: CheckOutcome | None = None
        self._error: EngineError | None = None
        self._job, self._coverage = "", Coverage()
        self._expected: float | None = None
        self._connect()

    def _connect(self) -> None:
        self.last.open_folder_clicked.connect(self.open_folder_clicked)
        self.last.verify_clicked.connect(self.verify_clicked)
        self.copy_details.clicked.connect(self._copy_details)
        self.back.clicked.connect(self._go_back)
        self.copy_path.clicked.connect(self._copy_path)
        self.copy_command.clicked.connect(self._copy_command)
        self.open_folder.clicked.connect(self._open_folder)
        self.verify.clicked.connect(self._verify)
        self.start_over.clicked.connect(self.start_over_clicked)
        self.folder.clicked.connect(self.folder_clicked)
        self.extract.clicked.connect(self.extract_clicked)
        self.stop.clicked.connect(self.stop_clicked)

    def show_blocked(self, blocked: Blocked) -> None:
        """Extract cannot start, and why."""
        headline = f"\u26a0 {blocked.reason}" if blocked.bad else blocked.reason
        self._show(headline, blocked.remedy, (self.folder, self.extract), tone="bad" if blocked.bad else "")
        self.extract.setEnabled(False)
        self.extract.setToolTip(blocked.reason)

    def show_planning(self) -> None:
        """The plan is being made; for a moment only."""
        self.extract.setEnabled(False)

    def show_ready(
        self,
        name: str,
        size_bytes: int,
        folder: Path,
        kept: Reusable | None = None,
        warning: str = "",
        others: Sequence[str] = (),
        *,
        alarm: bool = False,
    ) -> None:
        """Extract will write this file.

        Args:
            name: of the file.
            size_bytes: at most, of all files together.
            folder: where it goes.
            kept: what earlier runs left for it.
            warning: what should be known before, in a few words; it takes the first line.
            others: names of further files.
            alarm: the warning is so grave that it is red.
        """
        written = self.tr("Will write {name}").format(name=and_more(name, len(others)))
        place = self.tr("in {folder}").format(folder=folder_text(folder))
        parts = (size_at_most(size_bytes, 1 + len(others)), kept_text(kept), place)
        detail = " \u00b7 ".join(part for part in ((written, *parts) if warning else parts) if part)
        headline, tone = written, ""
        if warning:
            headline, tone = self.tr("\u26a0 {text}").format(text=warning), "bad" if alarm else "warning"
        self._show(headline, detail, (self.folder, self.extract), tone=tone, elide=Qt.TextElideMode.ElideMiddle)
        self.detail.set_more("\n".join((name, *others)) if others else "")
        self.extract.setEnabled(True)
        self.extract.setToolTip("")

    def show_started(
        self, layers: int, job: str = "", coverage: Coverage | None = None, expected: float | None = None
    ) -> None:
        """The run has begun.

        Args:
            layers: how many there are.
            job: names it where it is one of a queue, which the person may be busy with.
            coverage: of how much of the models its shares speak.
            expected: seconds, estimated before; None where they were not.
        """
        self._card, self._job, self._coverage, self._expected = None, job, coverage or Coverage(), expected
        self.last.set_outputs(())
        self._show(self.tr("Starting\u2026"), counted(layers, "layer"), (self.stop,))
        self.progress.setValue(0)
        self.progress.show()
        self.stop.setEnabled(True)
        if not job:
            self.stop.setFocus()

    def show_progress(self, progress: Progress) -> None:
        """How far the run is."""
        layer = min(progress.layers_total, progress.layers_done + 1)
        texts = {
            "extract": self.tr("Layer {layer} of {total}"),
            "measure": self.tr("Reading: layer {layer} of {total}"),
            "decompose": self.tr("Decomposing: layer {layer} of {total}"),
            "write": self.tr("Writing: layer {layer} of {total}"),
        }
        text = texts[progress.phase]
        if self._job:
            text = self.tr("{job}: layer {layer} of {total}")
        self.headline.setText(text.format(job=self._job, layer=whole(layer), total=whole(progress.layers_total)))
        parts = time_parts(progress, self._expected)
        if progress.energy_so_far is not None:
            parts.append(kept_so_far(progress.energy_so_far, self._coverage))
        self.detail.setText(" \u00b7 ".join(parts))
        self.progress.setValue(round(progress.share * 1000))

    def show_stopping(self) -> None:
        """The run ends; unfinished layers are abandoned."""
        self.headline.setText(self.tr("Stopping\u2026"))
        self.detail.setText(self.tr("Unfinished layers are dropped."))
        self.stop.setEnabled(False)

    def show_finishing(self, event: FinishingStep) -> None:
        """The run was stopped and waits for a step that cannot be interrupted."""
        self.detail.setText(finishing_text(event))

    def show_stopped(self, done: int, total: int, *, kept: bool) -> None:
        """The run was stopped; `kept` where the next one goes on from there."""
        headline = self.tr("Stopped after {done} of {total} layers")
        detail = self.tr("Nothing was written. Extract starts again from the first layer.")
        if kept:
            headline = self.tr("Stopped: {done} of {total} layers are kept; Extract continues from there")
            detail = self.tr("No LoRA was written yet.")
        buttons = (self.start_over, self.folder, self.extract) if kept else (self.folder, self.extract)
        self._show(headline.format(done=whole(done), total=whole(total)), detail, buttons)

    def show_result(self, result: ExtractionResult, command: str = "") -> None:
        """The run is over and its files are in place; `command` does the same on a command line."""
        self._card = ResultCard(result, command)
        self.last.set_outputs(result.outputs, self._card.warning())
        menu = set_file_menu(self.verify, self._card.paths)
        if menu is not None:
            menu.chosen.connect(self.verify_clicked)
        self.copy_path.setText(self.tr("Copy path") if len(result.outputs) == 1 else self.tr("Copy paths"))
        self.copy_path.setAccessibleName(self.copy_path.text())
        self._show_card()

    def show_verifying(self, lora: Path) -> None:
        """A verification has begun."""
        self._show(
            self.tr("Verifying {name}\u2026").format(name=shown_name(lora)),
            self.tr("Reading both models"),
            (self.stop,),
        )
        self.progress.setValue(0)
        self.progress.show()
        self.stop.setEnabled(True)
        self.stop.setFocus()

    def show_verify_progress(self, done: int, total: int) -> None:
        """How far the verification is."""
        text = self.tr("{done} of {total} weights measured").format(done=whole(done), total=whole(total))
        self.detail.setText(text)
        self.progress.setValue(1000 * done // max(1, total))

    def show_verify_stopping(self) -> None:
        """The verification ends."""
        self.detail.setText(self.tr("Stopping\u2026"))
        self.stop.setEnabled(False)

    def show_verified(self, lora: Path, verification: Verification, claimed: ClaimedQuality | None) -> None:
        """The verification is over: what it found is on the result's card where it is of that, else in its place."""
        lines = verification_lines(lora, verification, claimed)
        tone = tone_of(verification, claimed)
        judgement = self.tr("{quality} \u00b7 {verdict}").format(
            quality=quality_text(verification), verdict=verdict(verification, claimed)
        )
        if self._card is not None and lora in self._card.paths:
            self._card = self._card.verified(lora, verification, claimed)
        else:
            self._outcome = CheckOutcome(lora, judgement, tuple(lines), tone)
        if self.last.speaks_of(lora):
            self.last.show_checked(lora, judgement, "\n".join(lines), tone=tone)
        self.show_verify_ended()

    def show_verify_failed(self, lora: Path, error: EngineError) -> None:
        """The verification failed: show cause and remedy."""
        message, remedy = short_error_text(error)
        both = self.tr("{message} {remedy}").format(message=message, remedy=remedy)
        if self._card is not None and lora in self._card.paths:
            self._card = self._card.not_verified(lora, both)
        else:
            self._outcome = CheckOutcome(lora, remedy, (message, remedy), "bad", failure=message)
        if self.last.speaks_of(lora):
            self.last.show_checked(lora, both, both, tone="bad")
        self.show_verify_ended()

    def show_verify_ended(self) -> None:
        """What it found of another file, or the result's card of the last run; else the window says what comes next."""
        if self._outcome is not None:
            self._show_outcome(self._outcome)
        elif self._card is not None:
            self._show_card()

    def show_failed(self, error: EngineError) -> None:
        """The run failed: show cause and remedy."""
        message, remedy = short_error_text(error)
        buttons = (self.copy_details, self.folder, self.extract)
        self._show(f"\u26a0 {message}", remedy, buttons, tone="bad", error=error)

    def set_extract_enabled(self, enabled: bool) -> None:
        """After a run: Extract can be pressed again, and its file verified, once the next plan is there."""
        self.extract.setEnabled(enabled)
        self.verify.setEnabled(enabled)
        self.start_over.setEnabled(enabled)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Decide again which buttons have room."""
        super().resizeEvent(event)
        self.buttons.set_room(self.width() - 3 * MARGIN - scaled(WORDS_WIDTH))

    def _show_card(self) -> None:
        card = self._card
        assert card is not None
        optional = [self.copy_path, *((self.copy_command,) if card.command else ()), self.folder]
        always = (self.open_folder, self.verify, self.extract)
        tone, extra, extra_tone = card.own_tone, card.extra(), card.extra_tone
        self._show(card.headline(), card.detail(), always, optional, tone=tone, extra=extra, extra_tone=extra_tone)
        for label in (self.detail, self.extra):
            label.set_more(card.tooltip())

    def _show_outcome(self, outcome: CheckOutcome) -> None:
        optional = (self.back,) if self._card is not None else ()
        tone = outcome.tone if outcome.failure else ""
        extra_tone = "" if outcome.failure else outcome.tone
        always = (self.copy_details, *optional, self.extract)
        self._show(outcome.headline(), outcome.detail, always, tone=tone, extra=outcome.extra(), extra_tone=extra_tone)
        self._outcome = outcome
        self.last.hide()
        for label in (self.detail, self.extra):
            label.set_more(outcome.tooltip())

    def _show(
        self,
        headline: str,
        detail: str,
        buttons: Sequence[QPushButton],
        optional: Sequence[QPushButton] = (),
        *,
        tone: str = "",
        extra: str = "",
        extra_tone: str = "",
        error: EngineError | None = None,
        elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> None:
        self._error, self._outcome = error, None
        shows_card = self.open_folder in buttons
        self.headline.setText(headline)
        set_look(self.headline, "tone", tone)
        self.detail.setText(detail)
        self.detail.set_eliding(elide)
        self.extra.setText(extra)
        set_look(self.extra, "tone", extra_tone)
        self.extra.setVisible(bool(extra))
        for label in (self.headline, self.detail):
            label.set_wrapping(tone == "bad")
        for label in (self.detail, self.extra):
            label.set_more("")
        self.progress.hide()
        self.last.setVisible(self.last.speaks and not shows_card and self.stop not in buttons)
        self.buttons.offer(buttons, optional, further=shows_card)

    @Slot()
    def _go_back(self) -> None:
        if self._card is not None:
            self._show_card()
            self.open_folder.setFocus()

    @Slot()
    def _copy_path(self) -> None:
        if self._card is not None:
            QGuiApplication.clipboard().setText("\n".join(map(str, self._card.paths)))

    @Slot()
    def _copy_command(self) -> None:
        if self._card is not None:
            QGuiApplication.clipboard().setText(self._card.command)

    @Slot()
    def _open_folder(self) -> None:
        if self._card is not None:
            self.open_folder_clicked.emit(self._card.path.parent)

    @Slot()
    def _verify(self) -> None:
        if self._card is not None and len(self._card.paths) == 1:  # of several the button's menu names each
            self.verify_clicked.emit(self._card.path)

    @Slot()
    def _copy_details(self) -> None:
        if self._outcome is not None:
            QGuiApplication.clipboard().setText("\n".join((str(self._outcome.path), *self._outcome.lines)))
        elif self._error is not None:
            message, remedy = short_error_text(self._error)
            details = str(self._error.data.get("traceback", ""))
            QGuiApplication.clipboard().setText("\n".join((message, remedy, str(self._error), details)).strip())
