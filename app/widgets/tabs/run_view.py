"""Hands each event of a run to the views that show it: plots, tables, log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from app.look.theme import Theme
from app.text.debug_report import DebugReport
from app.text.log_lines import Level, event_lines
from app.widgets.layers.layer_choice import LayerChoice
from app.widgets.layers.layer_model import LayerModel
from app.widgets.run.log_view import LogPanel
from app.widgets.tabs.layers_tab import LayersTab
from app.widgets.tabs.result_tab import ResultTab
from app.widgets.tabs.run_tab import RunPanel
from engine.events import Event, Finished, LayerDone, LayerSkipped, Notice, NoticeCode, Progress
from engine.planning.plan import Plan
from engine.results import ExtractionResult
from engine.settings import ExtractionSettings


class RunView(QObject):
    """The right side of the window.

    Attributes:
        panel, result, layers, log: the content of the tabs.
        choice: the layers chosen in any of them.
        progress: the newest progress of the run.
        layers_total: how many layers the run was planned with.
        keeps_journal: whether the run's finished layers outlive it.
        noticed: emitted when the log has a warning or an error.
    """

    noticed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._rows = LayerModel()
        self._plan: Plan | None = None
        self._report: DebugReport | None = None
        self.panel = RunPanel(theme, self._rows)
        self.choice = LayerChoice(self)
        self.result = ResultTab(theme, self._rows, self.choice)
        self.layers = LayersTab(theme, self._rows, self.choice)
        self.log = LogPanel(theme)
        self._result: ExtractionResult | None = None
        self.result.files.show_clicked.connect(self.show_file)
        self.progress: Progress | None = None
        self.layers_total, self._skipped, self._last = 0, 0, -1
        self.keeps_journal = True

    def start(self, plan: Plan) -> None:
        """A run of this plan begins."""
        self._plan, self._result = plan, None
        self._rows.start()
        self.panel.clear()
        self.result.start(plan)
        self.progress = None
        self.layers_total, self._skipped, self._last = len(plan.layers), 0, -1
        self.keeps_journal = True
        self._report = DebugReport() if plan.hardware.debug_mode else None

    def take(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, (LayerDone, LayerSkipped)) and event.index <= self._last:
            self._rows.start()  # the files came out too large and are written once more, from the first layer on
            self._skipped = 0
        if isinstance(event, LayerDone):
            self._rows.add(event.row)
            self._last = event.index
        elif isinstance(event, LayerSkipped):
            self._skipped += 1
            self._last = event.index
        elif isinstance(event, Notice) and event.code is NoticeCode.JOURNAL_OFF:
            self.keeps_journal = False
        elif isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Finished):
            self._show_result(event.result)
        self.panel.take(event)
        for line in event_lines(event):
            self.write(*line)
        if self._report is not None:
            for text in self._report.lines(event):
                self.write(Level.INFO, text)

    def end(self) -> None:
        """The run is over, however it ended."""
        self._rows.flush()
        self.result.end_run()

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
        return max(self.layers_done() + self._skipped, 0 if self.progress is None else self.progress.kept)

    @Slot(object)
    def show_file(self, lora: Path) -> None:
        """Show the layers of another file of the run, and how good that is."""
        plan, result = self._plan, self._result
        if plan is None or result is None:
            return
        place = next(number for number, output in enumerate(result.outputs) if output.path == lora)
        output = result.outputs[place]
        self._rows.start()
        for row in output.rows:
            self._rows.add(row)
        self._rows.flush()
        settings = ExtractionSettings.model_validate(plan.outputs[place].made_with)
        alone = replace(result, outputs=(output,), rows=output.rows, left_out=output.left_out)
        self.result.show_file(settings, alone, available=self.keeps_journal)

    def _show_result(self, result: ExtractionResult) -> None:
        self._rows.flush()
        self._result = result
        if self._plan is not None:
            self.result.show_result(self._plan, result, available=self.keeps_journal)
