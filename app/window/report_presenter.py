"""The report for a bug: keeps what it contains, and offers one after a crash of the last time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QBoxLayout, QWidget

from app.look.theme import Theme
from app.support.bug_report import LOG_LINES, ErrorFacts, ReportFacts, error_facts, trace_facts, versions
from app.support.crash_log import UncleanEnds, crash_text
from app.support.redaction import PrivateWords, private_words
from app.text.log_lines import Level
from app.widgets.help.bug_report_dialog import BugReportDialog
from app.widgets.help.crash_bar import CrashBar
from app.widgets.run.log_view import LogPanel
from app.window.model import WindowModel
from app.work.controller import Controller
from app.work.requests import BackgroundAnswer, DeviceFound, DeviceInfo, ExtractionFailed, RunAnswer
from engine.errors import EngineError


@dataclass(frozen=True)
class ReportViews:
    """Where a crash is offered for a report, and the log that a report ends with."""

    notices: QBoxLayout
    log: LogPanel


class WindowReport(QObject):
    """Shows the report, with the newest error, the device and the log."""

    def __init__(
        self, window: QWidget, model: WindowModel, controller: Controller, views: ReportViews, theme: Theme
    ) -> None:
        super().__init__(window)
        self._window, self._model, self._views, self._theme = window, model, views, theme
        self._device: DeviceInfo | None = None
        self._error: ErrorFacts | None = None
        self._crashes: tuple[Path, ...] = ()
        controller.answered.connect(self._on_answer)
        controller.run_event.connect(self._on_run)
        views.log.report_clicked.connect(self.report)

    def show_ends(self, ends: UncleanEnds) -> None:
        """Offer the report of a crash of the last time, quietly; what was killed from outside is for the log only."""
        if ends.killed:
            self._model.write(Level.INFO, self.tr("The last time the program was ended from outside."))
        if not ends.crashes:
            return
        self._crashes = ends.crashes
        bar = CrashBar(self._theme)
        bar.report_clicked.connect(self._report_crash)
        bar.file_clicked.connect(self._show_crash)
        self._views.notices.addWidget(bar)

    @Slot()
    def report(self) -> None:
        """Show the report for a bug."""
        self._show_report("")

    @Slot(str)
    def remember_error(self, trace: str) -> None:
        """Keep an unexpected error for the next report."""
        self._error = trace_facts(trace)

    def _show_report(self, crash: str) -> None:
        request = self._model.request
        facts = ReportFacts(
            versions=versions(),
            device=self._device,
            extraction=request.extraction,
            hardware=request.hardware,
            error=self._error,
            crash=crash,
            log=self._views.log.newest(LOG_LINES),
            also=request.also,
        )
        dialog = BugReportDialog(facts, self._private(), self._window)
        dialog.exec()
        dialog.deleteLater()

    def _private(self) -> PrivateWords:
        request = self._model.request
        finetuned, original = request.models
        return private_words(finetuned=finetuned, original=original, output_dir=request.output_dir)

    @Slot()
    def _report_crash(self) -> None:
        self._show_report("\n".join(crash_text(file) for file in self._crashes))

    @Slot()
    def _show_crash(self) -> None:
        if self._crashes:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._crashes[0])))

    @Slot(object)
    def _on_answer(self, answer: BackgroundAnswer) -> None:
        if isinstance(answer, DeviceFound):
            self._device = answer.device

    @Slot(object)
    def _on_run(self, event: RunAnswer) -> None:
        if isinstance(event, ExtractionFailed) and isinstance(event.error, EngineError):
            self._error = error_facts(event.error)
