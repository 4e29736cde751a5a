"""What the window can ask for and what becomes of it: the state machine between widgets and threads.

The threads that work all the time are those of `Background`; each run or verification has one thread and one worker.
Nothing here touches a disk or a tensor.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from app.system.pyside_refcounts import protect_constants
from app.text.verification import ClaimedQuality
from app.work.background import Background
from app.work.engine_port import Engine, LocalEngine
from app.work.forecast import Forecast, ForecastRequest, Timing
from app.work.missing_devices import MissingDevices
from app.work.requests import DeviceInfo, Inspected, PlanRequest, Prepared
from app.work.run_thread import RunThread, Worker
from app.work.workers import ExtractionWorker, VerificationWorker
from engine.errors import Cancelled, EngineError
from engine.planning.estimates import Estimate
from engine.planning.plan import Plan
from engine.results import ExtractionResult
from engine.settings import ExtractionSettings, HardwareSettings


class State(Enum):
    """Where the controller stands. Only READY, DONE, STOPPED and FAILED may start a run."""

    IDLE = "idle"
    PLANNING = "planning"
    READY = "ready"
    RUNNING = "running"
    STOPPING = "stopping"
    VERIFYING = "verifying"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


ENDED = (State.DONE, State.STOPPED, State.FAILED)


class Controller(QObject):
    """Inspects, plans, runs, verifies and stops.

    Attributes:
        inspected: an `Inspected` of a file that is still chosen.
        prepared: a `Prepared` for the newest request; again, without its plan, once its device turns out to be missing.
        estimated: an `Estimate` of the newest plan; more than one may come for a plan, each knowing more.
        device_found: a `DeviceInfo`.
        device_missing: the `EngineError` of a device that cannot be used.
        happened: an event of the run.
        finished: the run's result.
        failed: the run's `EngineError`; a stopped run has none.
        verify_progress: weights measured, and how many there are.
        verified: a `Verification`, the path of its file, and the `ClaimedQuality` of that or None.
        verify_failed: the verification's `EngineError`; a stopped one has none.
        memory_kept: bytes of the device that are kept for a next extraction.
        memory_freed: bytes that were given back.
        state_changed: the new `State`.
        over: a run or a verification has ended, whatever came of it.
    """

    inspected = Signal(object)
    prepared = Signal(object)
    estimated = Signal(object)
    device_found = Signal(object)
    device_missing = Signal(object)
    run_event = Signal(object)
    finished = Signal(object)
    failed = Signal(object)
    verify_progress = Signal(int, int)
    verified = Signal(object, object, object)
    verify_failed = Signal(object)
    state_changed = Signal(object)
    over = Signal()
    memory_kept = Signal(object)
    memory_freed = Signal(object)

    def __init__(self, engine: Engine | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        protect_constants()
        self._state = State.IDLE
        self._number = 0
        self._waiting_for = 0
        self._current: Prepared | None = None
        self._estimated: Estimate | None = None
        self._newest: PlanRequest | None = None
        self._ran: tuple[PlanRequest, Plan] | None = None
        self._stopped: PlanRequest | None = None
        self._to_verify: Path | None = None
        self._missing = MissingDevices()
        self._outcome = State.IDLE
        self._run = RunThread(self)
        self._run.ended.connect(self._on_thread_ended)
        background = self._background = Background(engine or LocalEngine(), self)
        background.inspected.connect(self._on_inspected)
        background.prepared.connect(self._on_prepared)
        background.estimated.connect(self._on_estimated)
        background.memory_kept.connect(self.memory_kept)
        background.memory_freed.connect(self.memory_freed)
        background.device_found.connect(self.device_found)
        background.device_missing.connect(self.device_missing)
        background.device_known.connect(self._on_device_known)

    @property
    def state(self) -> State:
        """Where the controller stands."""
        return self._state

    @property
    def busy(self) -> bool:
        """Whether a run or a verification is on its way or its thread has not ended yet."""
        return self._run.busy

    @property
    def current(self) -> Prepared | None:
        """The answer to the newest plan request, once it is there."""
        return self._current

    @property
    def estimate(self) -> Estimate | None:
        """What `current` will take, as far as is known by now."""
        return self._estimated

    @property
    def continues_stopped_run(self) -> bool:
        """Whether the plan at hand is that of the run that was stopped last, so that it need not be asked about."""
        current, stopped = self._current, self._stopped
        return current is not None and stopped is not None and current.request.same_work(stopped)

    @property
    def held_up(self) -> bool:
        """Whether a verification was stopped and does not end, because a drive does not answer: no need to wait."""
        return self._state is State.VERIFYING and self._run.held_up

    @property
    def resumes(self) -> bool:
        """Whether the newest settings want a run to go on from what earlier ones left."""
        return self._newest is not None and self._newest.extraction.resume

    def inspect(self, side: str, path: Path | None) -> None:
        """Describe the model of a side; None only makes answers on their way stale."""
        self._number += 1
        self._background.inspect(self._number, side, path)

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
        self._background.free_memory()
        self.renew_plan()
        if self._state is State.READY:
            self._set_state(State.PLANNING)

    def describe_device(self, hardware: HardwareSettings) -> None:
        """Ask for the device that would compute."""
        self._background.describe_device(hardware)

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
        self._current, self._stopped, self._ran = None, None, (current.request, plan)
        worker = ExtractionWorker(current.session, plan, self._run.new_token())
        worker.run_event.connect(self.run_event)
        worker.finished.connect(self._on_finished)
        worker.failed.connect(self._on_failed)
        self._start("extraction", worker, State.RUNNING)
        return True

    def verify(self, lora: Path) -> bool:
        """Measure a LoRA against the two models of the window, once they are planned; False where they are not.

        Until it has ended nothing else can be planned or run.
        """
        if self.busy or self._newest is None:
            return False
        current = self._current
        if current is None:
            self._to_verify = lora
            return True
        if current.session is None:
            return False
        worker = VerificationWorker(current.session, lora, self._run.new_token())
        worker.progressed.connect(self.verify_progress)
        worker.finished.connect(self._on_verified)
        worker.failed.connect(self._on_verify_failed)
        ready = State.READY if current.plan is not None else State.IDLE
        self._outcome = State.DONE if self._state is State.DONE else ready
        self._start("verification", worker, State.VERIFYING)
        return True

    def stop(self) -> None:
        """Ask the run or the verification to stop."""
        if self._state in (State.RUNNING, State.VERIFYING):
            self._run.stop()
            if self._state is State.RUNNING:
                self._set_state(State.STOPPING)

    def shut_down(self) -> bool:
        """End all threads and close the files; waits for a run to reach its next check.

        A thread that waits for a drive which does not answer is given up after two seconds, see
        `app.system.abandoned_threads`.

        Returns:
            Whether all have ended.
        """
        ended = self._run.shut_down(self)
        return self._background.end(close_pair=ended) and ended

    def _start(self, name: str, worker: Worker, state: State) -> None:
        self._background.set_idle(False)
        self._run.start(name, worker)
        self._set_state(state)

    def _request(
        self,
        models: tuple[Path | None, Path | None],
        extraction: ExtractionSettings | None,
        hardware: HardwareSettings | None,
        output_dir: Path,
    ) -> None:
        self._number += 1
        self._background.expect_plan(self._number)
        self._current = self._newest = self._estimated = self._to_verify = None
        finetuned, original = models
        self._waiting_for = 0
        if finetuned is None or original is None:
            self._background.leave_pair()
        elif extraction is not None and hardware is not None:
            self._waiting_for = self._number
            self._newest = PlanRequest(self._number, finetuned, original, extraction, hardware, output_dir)
            self._background.prepare(self._newest)

    @Slot(object)
    def _on_inspected(self, answer: Inspected) -> None:
        if self._background.is_newest(answer.request):
            self.inspected.emit(answer)

    @Slot(object)
    def _on_prepared(self, answer: Prepared) -> None:
        if answer.request.number != self._waiting_for:
            return
        self._waiting_for = 0
        answer = self._current = self._missing.checked(answer)
        lora, self._to_verify = self._to_verify, None
        if lora is None:
            self._planned(answer)
        if answer.plan is not None:
            self._background.estimate(ForecastRequest(answer.request.number, answer.plan, answer.kept))
        self.prepared.emit(answer)
        if lora is not None and not self.verify(lora):
            self._planned(answer)

    def _planned(self, answer: Prepared) -> None:
        if self._state is State.PLANNING:
            self._set_state(State.READY if answer.plan is not None else State.IDLE)

    @Slot(object, object)
    def _on_device_known(self, hardware: HardwareSettings, answer: DeviceInfo | EngineError) -> None:
        if self._missing.note(hardware, answer) and self._state is not State.VERIFYING:
            self._judge_again()

    def _judge_again(self) -> None:
        """Take back a plan whose device is not there, and make it again once it is."""
        current = self._current
        if current is None:
            return
        checked = self._missing.checked(current)
        if checked is not current:
            self._current, self._estimated = checked, None
            if self._state is State.READY:
                self._set_state(State.IDLE)
            self.prepared.emit(checked)
        elif current.lacks_device and current.request.hardware.device not in self._missing:
            self.renew_plan()
            if self._state is State.IDLE:
                self._set_state(State.PLANNING)

    @Slot(object)
    def _on_estimated(self, answer: Forecast) -> None:
        if self._current is not None and answer.number == self._current.request.number:
            self._estimated = answer.estimate
            self.estimated.emit(answer.estimate)

    @Slot(object)
    def _on_finished(self, result: ExtractionResult) -> None:
        self._outcome = State.DONE
        if self._ran is not None:
            self._background.learn(Timing(self._ran[1], result))
        self.finished.emit(result)
        self._run.quit()

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        stopped = isinstance(error, Cancelled)
        if isinstance(error, EngineError) and self._ran is not None:
            self._missing.note(self._ran[0].hardware, error)
        self._outcome = State.STOPPED if stopped else State.FAILED
        if stopped and self._ran is not None:
            self._stopped = self._ran[0]
        elif not stopped:
            self.failed.emit(error)
        self._run.quit()

    @Slot(object, object)
    def _on_verified(self, verification: object, claimed: ClaimedQuality | None) -> None:
        if isinstance(self._run.worker, VerificationWorker):
            self.verified.emit(verification, self._run.worker.lora, claimed)
        self._run.quit()

    @Slot(object)
    def _on_verify_failed(self, error: Exception) -> None:
        if not isinstance(error, Cancelled):
            self.verify_failed.emit(error)
        self._run.quit()

    @Slot(object)
    def _on_thread_ended(self, worker: Worker) -> None:
        self._background.set_idle(True)
        self._set_state(self._outcome)
        self.over.emit()
        if isinstance(worker, ExtractionWorker):
            self.renew_plan()
        else:
            self._judge_again()

    def _set_state(self, state: State) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)
