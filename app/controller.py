"""What the window can ask for and what becomes of it: the state machine between widgets and threads.

It owns two threads for as long as the window lives, one for preparation and one that finds the device, and
for each run one thread and one worker.
Nothing here touches a disk or a tensor.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path

from PySide6.QtCore import QObject, QThread, Signal, Slot

from app.preparation import (
    DeviceWorker,
    Engine,
    Inspected,
    InspectRequest,
    LocalEngine,
    PlanRequest,
    PreparationWorker,
    Prepared,
)
from app.pyside_guard import protect_constants
from app.worker import ExtractionWorker
from engine.cancel import CancelToken
from engine.errors import Cancelled
from engine.settings import ExtractionSettings, HardwareSettings


class State(Enum):
    """Where the controller stands. Only READY, DONE, STOPPED and FAILED may start a run."""

    IDLE = "idle"
    PLANNING = "planning"
    READY = "ready"
    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


ENDED = (State.DONE, State.STOPPED, State.FAILED)


class Controller(QObject):
    """Inspects, plans, runs and stops.

    Attributes:
        inspected: an `Inspected` of a file that is still chosen.
        prepared: a `Prepared` for the newest request.
        device_found: a `DeviceInfo`.
        device_missing: the `EngineError` of a device that cannot be used.
        happened: an event of the run.
        finished: the run's result.
        failed: the run's `EngineError`; a stopped run has none.
        memory_kept: bytes of the device that are kept for a next extraction.
        memory_freed: bytes that were given back.
        state_changed: the new `State`.
    """

    inspected = Signal(object)
    prepared = Signal(object)
    device_found = Signal(object)
    device_missing = Signal(object)
    happened = Signal(object)
    finished = Signal(object)
    failed = Signal(object)
    state_changed = Signal(object)
    memory_kept = Signal(object)
    memory_freed = Signal(object)

    _inspect = Signal(object)
    _prepare = Signal(object)
    _free_memory = Signal()
    _leave_pair = Signal()
    _describe_device = Signal(object)

    def __init__(self, engine: Engine | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        protect_constants()
        self._state = State.IDLE
        self._number = 0
        self._waiting_for = 0
        self._current: Prepared | None = None
        self._newest: PlanRequest | None = None
        self._cancel: CancelToken | None = None
        self._run_thread: QThread | None = None
        self._run_worker: ExtractionWorker | None = None
        self._outcome = State.IDLE
        engine = engine or LocalEngine()
        self._preparation = PreparationWorker(engine)
        self._preparation_thread = QThread()
        self._preparation_thread.setObjectName("preparation")
        self._preparation.moveToThread(self._preparation_thread)
        self._inspect.connect(self._preparation.inspect)
        self._prepare.connect(self._preparation.prepare)
        self._free_memory.connect(self._preparation.free_memory)
        self._leave_pair.connect(self._preparation.leave_pair)
        self._preparation.memory_kept.connect(self.memory_kept)
        self._preparation.memory_freed.connect(self.memory_freed)
        self._preparation.inspected.connect(self._on_inspected)
        self._preparation.prepared.connect(self._on_prepared)
        self._preparation_thread.start()
        self._device_worker = DeviceWorker(engine)
        self._device_thread = QThread()
        self._device_thread.setObjectName("device")
        self._device_worker.moveToThread(self._device_thread)
        self._describe_device.connect(self._device_worker.describe)
        self._device_worker.found.connect(self.device_found)
        self._device_worker.missing.connect(self.device_missing)
        self._device_thread.start(QThread.Priority.LowPriority)

    @property
    def state(self) -> State:
        """Where the controller stands."""
        return self._state

    @property
    def busy(self) -> bool:
        """Whether a run is on its way or its thread has not ended yet."""
        return self._run_thread is not None

    @property
    def current(self) -> Prepared | None:
        """The answer to the newest plan request, once it is there."""
        return self._current

    @property
    def resumes(self) -> bool:
        """Whether the newest settings want a run to go on from what earlier ones left."""
        return self._newest is not None and self._newest.extraction.resume

    def inspect(self, side: str, path: Path | None) -> None:
        """Describe the model of a side; None only makes answers on their way stale."""
        self._number += 1
        self._preparation.newest_inspection[side] = self._number
        if path is not None:
            self._inspect.emit(InspectRequest(self._number, side, path))

    def prepare(
        self,
        models: tuple[Path | None, Path | None],
        extraction: ExtractionSettings | None,
        hardware: HardwareSettings | None,
        output_dir: Path,
    ) -> None:
        """Plan an extraction; with anything missing there is nothing to plan."""
        if self.busy:
            return
        self._request(models, extraction, hardware, output_dir)
        self._set_state(State.IDLE if self._waiting_for == 0 else State.PLANNING)

    def renew_plan(self) -> None:
        """Plan the same again after a run, as its file name is taken now; the run's outcome stays shown."""
        if self._newest is not None and not self.busy:
            last = self._newest
            self._request((last.finetuned, last.original), last.extraction, last.hardware, last.output_dir)

    def free_memory(self) -> None:
        """Give back what is kept on the device, unless a run is using it.

        The plan is made again behind it on the same thread, so that no run begins before all is freed.
        """
        if self.busy:
            return
        self._free_memory.emit()
        self.renew_plan()
        if self._state is State.READY:
            self._set_state(State.PLANNING)

    def describe_device(self, hardware: HardwareSettings) -> None:
        """Ask for the device that would compute."""
        self._describe_device.emit(hardware)

    def extract(self, *, resume: bool = True) -> bool:
        """Start the planned run; False when there is none to start.

        Args:
            resume: go on from what earlier runs left, where the settings want that; else begin anew, once.
        """
        current = self._current
        if self.busy or current is None or current.plan is None or current.session is None:
            return False
        plan = current.plan
        if not resume:
            plan = replace(plan, settings=plan.settings.model_copy(update={"resume": False}))
        self._current = None
        self._cancel = CancelToken()
        self._run_worker = ExtractionWorker(current.session, plan, self._cancel)
        self._run_thread = QThread()
        self._run_thread.setObjectName("extraction")
        self._run_worker.moveToThread(self._run_thread)
        self._run_thread.started.connect(self._run_worker.run)
        self._run_worker.happened.connect(self.happened)
        self._run_worker.finished.connect(self._on_finished)
        self._run_worker.failed.connect(self._on_failed)
        self._run_thread.finished.connect(self._on_thread_finished)
        self._set_state(State.RUNNING)
        self._run_thread.start()
        return True

    def stop(self) -> None:
        """Ask the run to stop. The token is set from here: a queued call would wait behind the run."""
        if self._state is State.RUNNING and self._cancel is not None:
            self._cancel.cancel()
            self._set_state(State.STOPPING)

    def shut_down(self) -> None:
        """End both threads and close the files; waits for a run to reach its next check."""
        if self._cancel is not None:
            self._cancel.cancel()
        if self._run_thread is not None:
            self._run_thread.quit()
            self._run_thread.wait()
        for thread in (self._preparation_thread, self._device_thread):
            thread.quit()
        for thread in (self._preparation_thread, self._device_thread):
            thread.wait()
        self._preparation.close_pair()

    def _request(
        self,
        models: tuple[Path | None, Path | None],
        extraction: ExtractionSettings | None,
        hardware: HardwareSettings | None,
        output_dir: Path,
    ) -> None:
        self._number += 1
        self._preparation.newest_plan = self._number
        self._current = self._newest = None
        finetuned, original = models
        self._waiting_for = 0
        if finetuned is None or original is None:
            self._leave_pair.emit()
        elif extraction is not None and hardware is not None:
            self._waiting_for = self._number
            self._newest = PlanRequest(self._number, finetuned, original, extraction, hardware, output_dir)
            self._prepare.emit(self._newest)

    @Slot(object)
    def _on_inspected(self, answer: Inspected) -> None:
        if answer.request.number == self._preparation.newest_inspection.get(answer.request.side):
            self.inspected.emit(answer)

    @Slot(object)
    def _on_prepared(self, answer: Prepared) -> None:
        if answer.request.number != self._waiting_for:
            return
        self._waiting_for = 0
        self._current = answer
        if self._state is State.PLANNING:
            self._set_state(State.READY if answer.plan is not None else State.IDLE)
        self.prepared.emit(answer)

    @Slot(object)
    def _on_finished(self, result: object) -> None:
        self._outcome = State.DONE
        self.finished.emit(result)
        self._end_thread()

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        stopped = isinstance(error, Cancelled)
        self._outcome = State.STOPPED if stopped else State.FAILED
        if not stopped:
            self.failed.emit(error)
        self._end_thread()

    def _end_thread(self) -> None:
        if self._run_thread is not None:
            self._run_thread.quit()

    @Slot()
    def _on_thread_finished(self) -> None:
        """Only now may the thread and the worker go."""
        self._run_thread = None
        self._run_worker = None
        self._cancel = None
        self._set_state(self._outcome)
        self.renew_plan()

    def _set_state(self, state: State) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)
