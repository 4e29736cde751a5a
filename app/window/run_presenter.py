"""A run: started after asking about layers of an earlier one, stopped after asking, and shown until it has ended."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from app.system.notifications import Notifier
from app.text.command_line import command_line
from app.text.log_lines import Level, error_lines
from app.widgets.bar.bottom_bar import BottomBar
from app.widgets.basics.dialogs import ResumeAnswer, ask_resume, ask_stop
from app.widgets.tabs.run_view import RunView
from app.window.frame import Tab, ViewTabs
from app.window.model import WindowModel
from app.work.controller import ENDED, Controller, State
from app.work.requests import Extracted, ExtractionFailed, PlanRequest, Prepared, RunAnswer
from engine.errors import EngineError
from engine.events import Event, FinishingStep, Progress
from engine.planning.plan import Plan
from engine.results import ExtractionResult, Reusable
from engine.settings import ExtractionSettings


@dataclass(frozen=True)
class RunViews:
    """What shows a run: the bar, the views on the right, and the tabs that those are in."""

    bar: BottomBar
    run: RunView
    tabs: ViewTabs


class WindowRun(QObject):
    """Starts and stops runs, and shows them, also those of the queue.

    Attributes:
        starting: a run of the window is about to begin.
    """

    starting = Signal()

    def __init__(
        self, window: QWidget, model: WindowModel, controller: Controller, views: RunViews, notifier: Notifier
    ) -> None:
        super().__init__(window)
        self._window, self._model, self._controller = window, model, controller
        self._bar, self._run, self._tabs, self._notifier = views.bar, views.run, views.tabs, notifier
        self._start_when_ready = False
        self._start_over = False
        self._request: PlanRequest | None = None
        self._bar.extract_clicked.connect(self.extract)
        self._bar.start_over_clicked.connect(self.start_over)
        self._run.result.explore.write_clicked.connect(self.write)
        controller.run_event.connect(self._on_event)
        controller.state_changed.connect(self._on_state)

    @Slot()
    def extract(self) -> None:
        """Start the extraction, or start it as soon as it is planned."""
        model, controller = self._model, self._controller
        if model.locked:
            return
        model.settle()
        current = controller.current
        if current is None:
            self._start_when_ready = controller.state is State.PLANNING or controller.state in ENDED
            return
        self._start_when_ready = False
        if current.plan is None:
            return
        answer = self._how_to_start(current)
        if answer is ResumeAnswer.CANCEL:
            return
        if controller.current is None:  # planned anew while the question was open
            self._start_when_ready = True
            return
        self._start_over = False
        self.starting.emit()
        self.show_start(current.request, current.plan)
        controller.extract(resume=answer is ResumeAnswer.GO_ON)

    @Slot()
    def start_over(self) -> None:
        """Extract all layers anew, without those that earlier runs left."""
        self._start_over = True
        self.extract()

    @Slot(object)
    def write(self, settings: ExtractionSettings) -> None:
        """Write what the card of other ranks shows; the options on the left follow."""
        if self._model.locked:
            return
        self._model.show_extraction(settings)
        self._start_over = False
        self.extract()

    @Slot()
    def start_if_wanted(self) -> None:
        """The plan is there: start, where Extract was pressed before it was."""
        if self._start_when_ready:
            self._start_when_ready = False
            self.extract()

    def stop(self) -> None:
        """Stop the run, after asking."""
        if self._controller.state is State.RUNNING:
            controller = self._controller
            if ask_stop(self._window, controller.busy_changed, closing=False, kept=controller.keeps_layers):
                controller.stop()

    @Slot()
    def copy_command(self) -> None:
        """Copy the command that does what Extract would do now."""
        current = self._controller.current
        if current is not None:
            QGuiApplication.clipboard().setText(_command(current.request))

    @Slot(object, object, str)
    def show_start(self, request: PlanRequest, plan: Plan, job: str = "") -> None:
        """Show that a run begins; `job` names it where it is one of the queue."""
        self._request = request
        self._run.start(plan)
        estimate = None if self._start_over else self._controller.estimate
        self._bar.show_started(len(plan.layers), job, plan.coverage, None if estimate is None else estimate.seconds)

    @Slot()
    def check_models(self) -> None:
        """Other ranks can only be tried of the models that the window shows."""
        ran = self._request
        if ran is not None and (ran.finetuned, ran.original) != self._model.request.models:
            self._request = None
            self._run.result.leave_models()

    @Slot(object)
    def show_kept(self, kept: Reusable) -> None:
        """After a stop: what is really there for the next run, once that is known."""
        layers = kept.layers if kept.layers else self._run.layers_settled()
        self._bar.show_stopped(layers, kept.of, kept=kept.layers > 0)

    def _how_to_start(self, current: Prepared) -> ResumeAnswer:
        """Ask only about runs of another day: after a stop the window has said already that Extract goes on."""
        if self._start_over:
            return ResumeAnswer.START_OVER
        kept = current.kept
        if kept is None or not kept.unfinished or kept.layers == 0 or self._controller.continues_stopped_run:
            return ResumeAnswer.GO_ON
        return ask_resume(self._window, kept)

    @Slot(object)
    def _on_state(self, state: State) -> None:
        """Say in the bar and in the log that the run is stopping, or has stopped."""
        if state in ENDED:
            self._run.end()
        if state is State.STOPPING:
            self._bar.show_stopping()
        elif state is State.STOPPED:
            done, total = self._run.layers_settled(), self._run.layers_total
            kept = self._controller.keeps_layers and done > 0
            self._bar.show_stopped(done, total, kept=kept)
            text = self.tr("Stopped; nothing was written")
            if kept:
                text = self.tr("Stopped; no LoRA was written, the finished layers are kept")
            self._model.write(Level.INFO, text)

    @Slot(object)
    def _on_event(self, event: RunAnswer) -> None:
        match event:
            case Extracted(result):
                self._on_finished(result)
            case ExtractionFailed(EngineError() as error):
                self._on_failed(error)
            case ExtractionFailed():
                return  # the state says that it was stopped
            case _:
                self._show(event)

    def _show(self, event: Event) -> None:
        self._run.take(event)
        if isinstance(event, Progress) and self._controller.state is State.RUNNING:
            self._bar.show_progress(event)
        elif isinstance(event, FinishingStep):
            self._bar.show_finishing(event)

    def _on_finished(self, result: ExtractionResult) -> None:
        self._bar.show_result(result, _command(self._request))
        if not self._model.queue_running:
            self._notifier.on_finished(result)
            if self._tabs.shown_tab() is Tab.MEMORY:
                self._tabs.show_tab(Tab.RESULT)

    def _on_failed(self, error: EngineError) -> None:
        self._bar.show_failed(error)
        for line in error_lines(error):
            self._model.write(*line)
        if not self._model.queue_running:
            self._notifier.on_failed(error)


def _command(request: PlanRequest | None) -> str:
    """The command line that does the same; empty where nothing was asked for."""
    if request is None:
        return ""
    models = request.finetuned, request.original
    return command_line(models, request.extraction, request.hardware, request.output_dir, request.also)
