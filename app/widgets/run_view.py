"""Hands each event of a run to the views that show it: plots, tables, log."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.run_log import Level, event_lines
from app.theme import Theme
from app.widgets.layer_model import LayerModel
from app.widgets.layer_table import LayersPanel
from app.widgets.log_view import LogPanel
from app.widgets.run_panel import RunPanel
from engine.debug_report import DebugReport
from engine.events import Event, Finished, LayerDone, LayerSkipped, Notice, NoticeCode, Progress
from engine.planning import Plan


class RunView(QObject):
    """The right side of the window.

    Attributes:
        panel, layers, log: the content of the three tabs.
        progress: the newest progress of the run.
        layers_total: how many layers the run was planned with.
        keeps_journal: whether the run's finished layers outlive it.
        noticed: emitted when the log has a warning or an error.
    """

    noticed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._rows = LayerModel()
        self._report: DebugReport | None = None
        self.panel = RunPanel(theme, self._rows)
        self.layers = LayersPanel(theme, self._rows)
        self.log = LogPanel(theme)
        self.progress: Progress | None = None
        self.layers_total = self._skipped = 0
        self.keeps_journal = True

    def start(self, plan: Plan) -> None:
        """A run of this plan begins."""
        self._rows.start()
        self.panel.clear()
        self.progress = None
        self.layers_total, self._skipped = len(plan.layers), 0
        self.keeps_journal = True
        self._report = DebugReport(plan.settings, plan.hardware) if plan.hardware.debug_mode else None

    def take(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, LayerDone):
            self._rows.add(event.row)
        elif isinstance(event, LayerSkipped):
            self._skipped += 1
        elif isinstance(event, Notice) and event.code is NoticeCode.JOURNAL_OFF:
            self.keeps_journal = False
        elif isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Finished):
            self._rows.flush()
        self.panel.take(event)
        for line in event_lines(event):
            self.write(*line)
        if self._report is not None:
            for text in self._report.lines(event):
                self.write(Level.INFO, text)

    def write(self, level: Level, text: str) -> None:
        """Write a line into the log."""
        self.log.add((level, text))
        if level in (Level.WARNING, Level.ERROR):
            self.noticed.emit()

    def layers_done(self) -> int:
        """How many layers the run has finished so far; the tables show as many."""
        self._rows.flush()
        return self._rows.rowCount()

    def layers_settled(self) -> int:
        """How many layers the run need not look at again: finished, or found to be left out."""
        return self.layers_done() + self._skipped
