"""What the window does around a run: starting, asking before layers of an earlier run are used, stopping, telling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtGui import QGuiApplication

from app.text.command_line import command_line
from app.text.log_lines import Level, error_lines
from app.text.notices import format_bytes
from app.widgets.basics.dialogs import ResumeAnswer, ask_resume, ask_stop
from app.window.frame import Tab
from app.work.controller import ENDED, State
from app.work.idle_memory import KeptMemory
from engine.errors import EngineError
from engine.events import Event, FinishingStep, Planned, Progress
from engine.planning.plan import Plan
from engine.results import ExtractionResult, Kept
from engine.settings import ExtractionSettings

if TYPE_CHECKING:
    from app.window.main_window import MainWindow
    from app.work.requests import PlanRequest, Prepared


class WindowRun(QObject):
    """Carries a run from the controller into the window's parts."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._start_when_ready = False
        self._start_over = False
        self._request: PlanRequest | None = None
        frame, controller = window.frame, window.controller
        self.kept_memory = KeptMemory(controller)
        frame.bar.extract_clicked.connect(self.extract)
        frame.bar.start_over_clicked.connect(self.start_over)
        frame.bar.stop_clicked.connect(self.stop)
        frame.run.result.explore.write_clicked.connect(self.write)
        frame.run.noticed.connect(frame.mark_log)
        frame.hardware.free_clicked.connect(controller.free_memory)
        controller.memory_kept.connect(frame.hardware.show_kept_memory)
        controller.memory_freed.connect(self._on_freed)
        self.kept_memory.minutes_left.connect(frame.hardware.show_minutes_left)
        controller.happened.connect(self._on_event)
        controller.finished.connect(self._on_finished)
        controller.failed.connect(self._on_failed)

    @Slot()
    def extract(self) -> None:
        """Start the extraction, or start it as soon as it is planned."""
        window, controller = self._window, self._window.controller
        if controller.busy or window.queue_control.running:
            return
        window.plan_now()
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
        window.save_session()
        self.show_start(current.request, current.plan)
        controller.extract(resume=answer is ResumeAnswer.GO_ON)

    def show_start(self, request: PlanRequest, plan: Plan, job: str = "") -> None:
        """Show that a run begins; `job` names it where it is one of the queue."""
        self._request = request
        self._window.frame.run.start(plan)
        self._window.frame.bar.show_started(len(plan.layers), job)

    def check_models(self) -> None:
        """Other ranks can only be tried of the models that the window shows."""
        shown = self._window.frame.models.models()
        if self._request is not None and (self._request.finetuned, self._request.original) != shown:
            self._request = None
            self._window.frame.run.result.leave_models()

    @Slot()
    def copy_command(self) -> None:
        """Copy the command that does what Extract would do now."""
        current = self._window.controller.current
        if current is not None:
            QGuiApplication.clipboard().setText(_command(current.request))

    @Slot()
    def start_over(self) -> None:
        """Extract all layers anew, without those that earlier runs left."""
        self._start_over = True
        self.extract()

    @Slot(object)
    def write(self, settings: ExtractionSettings) -> None:
        """Write what the card of other ranks shows; the options on the left follow."""
        window = self._window
        if window.controller.busy or window.queue_control.running:
            return
        window.frame.options.show_settings(settings)
        window.replan()
        self._start_over = False
        self.extract()

    def start_if_wanted(self) -> None:
        """The plan is there: start, where Extract was pressed before it was."""
        if self._start_when_ready:
            self._start_when_ready = False
            self.extract()

    @Slot()
    def stop(self) -> None:
        """Stop what is going on, after asking where something would be lost or left undone."""
        window, controller = self._window, self._window.controller
        if controller.state is State.VERIFYING:
            window.verify_control.stop()
        elif window.queue_control.running:
            window.queue_control.ask_stop()
        elif controller.state is State.RUNNING and self._may_stop():
            controller.stop()

    def _may_stop(self) -> bool:
        return ask_stop(self._window, self._window.controller.over, closing=False, kept=self.keeps_layers())

    def keeps_layers(self) -> bool:
        """Whether the layers of the run outlive it, and the next one will use them."""
        return self._window.frame.run.keeps_journal and self._window.controller.resumes

    def show_state(self, state: State) -> None:
        """Say in the bar and in the log that the run is stopping, or has stopped."""
        frame = self._window.frame
        if state is State.STOPPING:
            frame.bar.show_stopping()
        elif state is State.STOPPED:
            done, total = frame.run.layers_settled(), frame.run.layers_total
            kept = self.keeps_layers() and done > 0
            frame.bar.show_stopped(done, total, kept=kept)
            text = self.tr("Stopped; nothing was written")
            if kept:
                text = self.tr("Stopped; no LoRA was written, the finished layers are kept")
            frame.run.write(Level.INFO, text)

    def show_kept(self, kept: Kept) -> None:
        """After a stop: what is really there for the next run, once that is known."""
        layers = kept.layers if kept.layers else self._window.frame.run.layers_settled()
        self._window.frame.bar.show_stopped(layers, kept.of, kept=kept.layers > 0)

    def _how_to_start(self, current: Prepared) -> ResumeAnswer:
        """Ask only about runs of another day: whoever has just stopped one was told that Extract goes on."""
        if self._start_over:
            return ResumeAnswer.START_OVER
        kept = current.kept
        if kept is None or not kept.unfinished or kept.layers == 0 or self._window.controller.continues_stopped_run:
            return ResumeAnswer.GO_ON
        return ask_resume(self._window, kept)

    @Slot(object)
    def _on_event(self, event: Event) -> None:
        frame = self._window.frame
        frame.run.take(event)
        if isinstance(event, Progress) and self._window.controller.state is State.RUNNING:
            frame.bar.show_progress(event)
        elif isinstance(event, FinishingStep):
            frame.bar.show_finishing(event)
        elif isinstance(event, Planned):
            frame.hardware.show_planned_device(event)

    @Slot(object)
    def _on_finished(self, result: ExtractionResult) -> None:
        window = self._window
        window.frame.bar.show_result(result, _command(self._request))
        if not window.queue_control.running:
            window.notifier.on_finished(result)
            if window.frame.shown_tab() is Tab.MEMORY:
                window.frame.show_tab(Tab.RESULT)

    @Slot(object)
    def _on_failed(self, error: EngineError) -> None:
        frame = self._window.frame
        frame.bar.show_failed(error)
        for line in error_lines(error):
            frame.run.write(*line)
        if not self._window.queue_control.running:
            self._window.notifier.on_failed(error)

    @Slot(object)
    def _on_freed(self, size: int) -> None:
        log = self._window.frame.run
        if size:
            text = self.tr("Freed {size} that was kept on the device for a next extraction")
            log.write(Level.INFO, text.format(size=format_bytes(size)))
        else:
            log.write(Level.WARNING, self.tr("What is kept on the device could not be freed"))


def _command(request: PlanRequest | None) -> str:
    """The command line that does the same; empty where nothing was asked for."""
    if request is None:
        return ""
    models = request.finetuned, request.original
    return command_line(models, request.extraction, request.hardware, request.output_dir)
