"""What the window does around a run: starting, asking before layers of an earlier run are used, stopping, telling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QApplication

from app.controller import ENDED, State
from app.kept_memory import KeptMemory
from app.messages import format_bytes
from app.run_log import Level, error_lines
from app.widgets.dialogs import ResumeAnswer, ask_resume, ask_stop
from engine.errors import EngineError
from engine.events import Event, Planned, Progress
from engine.results import ExtractionResult, Kept

if TYPE_CHECKING:
    from app.preparation import Prepared
    from app.widgets.main_window import MainWindow


class WindowRun(QObject):
    """Carries a run from the controller into the window's parts."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._start_when_ready = False
        frame, controller = window.frame, window.controller
        self.kept_memory = KeptMemory(controller)
        frame.bar.extract_clicked.connect(self.extract)
        frame.bar.stop_clicked.connect(self.stop)
        frame.run.noticed.connect(frame.mark_log)
        frame.hardware.free_clicked.connect(controller.free_memory)
        controller.memory_kept.connect(frame.hardware.show_kept_memory)
        controller.memory_freed.connect(self._on_freed)
        controller.happened.connect(self._on_event)
        controller.finished.connect(self._on_finished)
        controller.failed.connect(self._on_failed)

    @Slot()
    def extract(self) -> None:
        """Start the extraction, or start it as soon as it is planned."""
        window, controller = self._window, self._window.controller
        if controller.busy:
            return
        window.plan_now()
        current = controller.current
        if current is None:
            self._start_when_ready = controller.state is State.PLANNING or controller.state in ENDED
            return
        self._start_when_ready = False
        if current.plan is None:
            return
        answer = self._ask_resume(current)
        if answer is ResumeAnswer.CANCEL:
            return
        if controller.current is None:  # planned anew while the question was open
            self._start_when_ready = True
            return
        window.save_session()
        window.frame.run.start(current.plan)
        window.frame.bar.show_started(len(current.plan.layers))
        controller.extract(resume=answer is ResumeAnswer.GO_ON)

    def start_if_wanted(self) -> None:
        """The plan is there: start, where Extract was pressed before it was."""
        if self._start_when_ready:
            self._start_when_ready = False
            self.extract()

    @Slot()
    def stop(self) -> None:
        """Stop the run, after asking."""
        controller = self._window.controller
        if controller.state is State.RUNNING and ask_stop(self._window, closing=False, kept=self.keeps_layers()):
            controller.stop()

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

    def _ask_resume(self, current: Prepared) -> ResumeAnswer:
        kept = current.kept
        if kept is None or not kept.unfinished or kept.layers == 0:
            return ResumeAnswer.GO_ON
        return ask_resume(self._window, kept)

    @Slot(object)
    def _on_event(self, event: Event) -> None:
        frame = self._window.frame
        frame.run.take(event)
        if isinstance(event, Progress) and self._window.controller.state is State.RUNNING:
            frame.bar.show_progress(event)
        elif isinstance(event, Planned):
            frame.hardware.show_planned_device(event)

    @Slot(object)
    def _on_finished(self, result: ExtractionResult) -> None:
        self._window.frame.bar.show_result(result)
        QApplication.alert(self._window)

    @Slot(object)
    def _on_failed(self, error: EngineError) -> None:
        frame = self._window.frame
        frame.bar.show_failed(error)
        for line in error_lines(error):
            frame.run.write(*line)
        QApplication.alert(self._window)

    @Slot(object)
    def _on_freed(self, size: int) -> None:
        log = self._window.frame.run
        if size:
            text = self.tr("Freed {size} that was kept on the device for a next extraction")
            log.write(Level.INFO, text.format(size=format_bytes(size)))
        else:
            log.write(Level.WARNING, self.tr("What is kept on the device could not be freed"))
