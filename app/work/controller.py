"""What the window can ask for and what becomes of it: the state machine between widgets and threads.

The threads that work all the time are those of `Background`; each run or verification has one thread and one worker.
Nothing here touches a disk or a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from app.system.pyside_refcounts import protect_constants
from app.work.background import Background
from app.work.engine_port import Engine, LocalEngine
from app.work.missing_devices import MissingDevices
from app.work.requests import (
    BackgroundAnswer,
    DeviceFound,
    DeviceInfo,
    DeviceMissing,
    Extracted,
    ExtractionFailed,
    Forecast,
    ForecastRequest,
    Inspected,
    MemoryFreed,
    MemoryKept,
    Models,
    PlanRequest,
    Prepared,
    RunAnswer,
    Sampled,
    SampleRequest,
    Timing,
    VerificationFailed,
    Verified,
    VerifyAnswer,
)
from app.work.run_thread import RunThread, Worker
from app.work.time_left import TimeLeft
from app.work.workers import ExtractionWorker, VerificationWorker
from engine.analysis.pair_verdict import PairSample
from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError
from engine.events import Notice, NoticeCode, Progress, VerifyProgress
from engine.planning.estimates import Estimate
from engine.planning.plan import Plan
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

    The queue reserves it for a series of runs. `busy` covers that, a single run and a verification: then
    only the owner of the reservation may plan or run.

    Attributes:
        answered: a `BackgroundAnswer` that belongs to the newest request. `Prepared` comes again, without its plan,
            once its device turns out to be missing.
        run_event: a `RunAnswer`; a stopped run has no `ExtractionFailed`.
        verify_event: a `VerifyAnswer`; a stopped verification has no `VerificationFailed`.
        state_changed: the new `State`.
        busy_changed: the new value of `busy`; emitted before the `state_changed` that belongs to it.
    """

    answered = Signal(object)
    run_event = Signal(object)
    verify_event = Signal(object)
    state_changed = Signal(object)
    busy_changed = Signal(bool)

    def __init__(self, engine: Engine | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        protect_constants()
        self._state = State.IDLE
        self._number = 0
        self._waiting_for = 0
        self._current: Prepared | None = None
        self._estimated: Estimate | None = None
        self._left = TimeLeft(None)
        self._sampling: SampleRequest | None = None
        self._sampled: Sampled | None = None
        self._newest: PlanRequest | None = None
        self._models: Models = (None, None)
        self._ran: tuple[PlanRequest, Plan] | None = None
        self._stopped: PlanRequest | None = None
        self._to_verify: Path | None = None
        self._missing = MissingDevices()
        self._outcome = State.IDLE
        self._reserved = self._was_busy = False
        self._journal_on = True
        self._run = RunThread(self)
        self._run.ended.connect(self._on_thread_ended)
        background = self._background = Background(engine or LocalEngine(), self)
        background.answered.connect(self._on_answer)

    @property
    def state(self) -> State:
        """Where the controller stands."""
        return self._state

    @property
    def busy(self) -> bool:
        """Whether a run or a verification is on its way or its thread has not ended yet, or the queue works."""
        return self._run.busy or self._reserved

    @property
    def reserved(self) -> bool:
        """Whether the queue works: between two of its jobs and while it plans the next one, too."""
        return self._reserved

    @property
    def current(self) -> Prepared | None:
        """The answer to the newest plan request, once it is there."""
        return self._current

    @property
    def estimate(self) -> Estimate | None:
        """What `current` will take, as far as is known by now."""
        return self._estimated

    @property
    def sample(self) -> PairSample | None:
        """What some rows of the pair of `current` say, once that is known."""
        sampled, asked = self._sampled, self._sampling
        return sampled.sample if sampled is not None and asked is not None and sampled.request is asked else None

    @property
    def continues_stopped_run(self) -> bool:
        """Whether the current plan is that of the run that was stopped last, so that it need not be asked about."""
        current, stopped = self._current, self._stopped
        return current is not None and stopped is not None and current.request.same_work(stopped)

    @property
    def held_up(self) -> bool:
        """Whether a verification was stopped and does not end, because a drive does not answer: no need to wait."""
        return self._state is State.VERIFYING and self._run.held_up

    @property
    def ran(self) -> PlanRequest | None:
        """The request of the newest run; None before the first."""
        return None if self._ran is None else self._ran[0]

    @property
    def keeps_layers(self) -> bool:
        """Whether the layers of the newest run outlive a stop, and the next run will use them."""
        return self._journal_on and self._newest is not None and self._newest.extraction.resume

    def reserve(self) -> bool:
        """Reserve the controller for the runs of a queue; False while it is busy.

        Until `release` only the owner of the reservation may call `prepare` and `extract`.
        """
        if self.busy:
            return False
        self._reserved = True
        self._follow_busy()
        return True

    def release(self) -> None:
        """End the reservation."""
        self._reserved = False
        self._follow_busy()

    def inspect(self, side: str, path: Path | None) -> None:
        """Describe the model of a side; None only makes answers on their way stale."""
        self._number += 1
        self._background.inspect(self._number, side, path)

    def prepare(
        self,
        models: Models,
        extraction: ExtractionSettings | None,
        hardware: HardwareSettings | None,
        output_dir: Path,
        also: Sequence[ExtractionSettings] = (),
    ) -> None:
        """Plan an extraction, unless a run or a verification works; with anything missing there is nothing to plan.

        Args:
            models: the fine-tuned model and the original.
            extraction: what to write; None where a value cannot be used.
            hardware: what to compute with; None where a value cannot be used.
            output_dir: the folder that the LoRA is written to.
            also: what to write beside it, from the same decomposition.
        """
        if self._run.busy:
            return
        self._request(models, extraction, hardware, output_dir, also)
        self._set_state(State.IDLE if self._waiting_for == 0 else State.PLANNING)

    def renew_plan(self) -> None:
        """Plan the same again after a run, as its file name is taken now; the run's outcome stays shown."""
        if self._newest is not None and not self._run.busy:
            last = self._newest
            models = last.finetuned, last.original
            self._request(models, last.extraction, last.hardware, last.output_dir, last.also)

    def free_memory(self) -> None:
        """Free what is kept on the device, unless something works with it.

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
        if self._run.busy or current is None or current.plan is None or current.session is None:
            return False
        plan = current.plan
        if not resume:
            plan = plan.starting_over()
        estimated = self._estimated.seconds if self._estimated is not None and resume else None
        self._left = TimeLeft(estimated)
        self._current, self._stopped, self._ran = None, None, (current.request, plan)
        self._journal_on = True
        worker = ExtractionWorker(current.session, plan, self._run.new_token())
        worker.answered.connect(self._on_run_answer)
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
        worker.answered.connect(self._on_verify_answer)
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
        self._leave_sample()
        ended = self._run.shut_down(self)
        return self._background.end(close_pair=ended) and ended

    def _start(self, name: str, worker: Worker, state: State) -> None:
        self._background.set_idle(False)
        self._run.start(name, worker)
        self._set_state(state)

    def _request(
        self,
        models: Models,
        extraction: ExtractionSettings | None,
        hardware: HardwareSettings | None,
        output_dir: Path,
        also: Sequence[ExtractionSettings],
    ) -> None:
        self._number += 1
        self._background.expect_plan(self._number)
        self._current = self._newest = self._estimated = self._to_verify = None
        finetuned, original = models
        self._waiting_for = 0
        if models != self._models:
            self._models = models
            self._leave_sample()
        if finetuned is None or original is None:
            self._background.leave_pair()
        elif extraction is not None and hardware is not None:
            self._waiting_for = self._number
            self._newest = PlanRequest(self._number, finetuned, original, extraction, hardware, output_dir, tuple(also))
            self._background.prepare(self._newest)

    @Slot(object)
    def _on_answer(self, answer: BackgroundAnswer) -> None:
        """Drop what belongs to a replaced request, and emit the rest."""
        match answer:
            case Inspected():
                if self._background.is_newest(answer.request):
                    self.answered.emit(answer)
            case Prepared():
                self._on_prepared(answer)
            case Forecast():
                self._on_forecast(answer)
            case Sampled():
                if answer.request is self._sampling:
                    self._sampled = answer
                    self.answered.emit(answer)
            case MemoryKept() | MemoryFreed():
                self.answered.emit(answer)
            case DeviceFound(hardware, found) | DeviceMissing(hardware, found):
                self.answered.emit(answer)
                self._on_device(hardware, found)

    def _on_prepared(self, answer: Prepared) -> None:
        if answer.request.number != self._waiting_for:
            return
        self._waiting_for = 0
        answer = self._current = self._missing.checked(answer)
        lora, self._to_verify = self._to_verify, None
        if lora is None:
            self._planned(answer)
        self._ask_for_sample(answer)
        if answer.plan is not None:
            self._background.estimate(ForecastRequest(answer.request.number, answer.plan, answer.kept))
        self.answered.emit(answer)
        if lora is not None and not self.verify(lora):
            self._planned(answer)

    def _ask_for_sample(self, answer: Prepared) -> None:
        """Look at the pair, unless what would be looked at is known or being looked at."""
        if answer.session is None or answer.pair is None or self._reserved:
            return
        request = SampleRequest(answer.session, answer.request.extraction, CancelToken())
        if self._sampling is not None and request.same_sample(self._sampling):
            return
        self._leave_sample()
        self._sampling = request
        self._background.sample(request)

    def _leave_sample(self) -> None:
        """Forget what was looked at, and stop looking."""
        if self._sampling is not None:
            self._sampling.cancel.cancel()
        self._sampling = self._sampled = None

    def _planned(self, answer: Prepared) -> None:
        if self._state is State.PLANNING:
            self._set_state(State.READY if answer.plan is not None else State.IDLE)

    def _on_device(self, hardware: HardwareSettings, found: DeviceInfo | EngineError) -> None:
        if self._missing.note(hardware, found) and self._state is not State.VERIFYING:
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
            self.answered.emit(checked)
        elif current.lacks_device and current.request.hardware.device not in self._missing:
            self.renew_plan()
            if self._state is State.IDLE:
                self._set_state(State.PLANNING)

    def _on_forecast(self, answer: Forecast) -> None:
        if self._current is not None and answer.number == self._current.request.number:
            self._estimated = answer.estimate
            self.answered.emit(answer)

    @Slot(object)
    def _on_run_answer(self, answer: RunAnswer) -> None:
        match answer:
            case Extracted():
                self._on_extracted(answer)
            case ExtractionFailed():
                self._on_failed(answer)
            case _:
                if isinstance(answer, Notice) and answer.code is NoticeCode.JOURNAL_OFF:
                    self._journal_on = False
                if isinstance(answer, Progress):
                    answer = replace(answer, remaining=self._left.take(answer))
                self.run_event.emit(answer)

    def _on_extracted(self, answer: Extracted) -> None:
        self._outcome = State.DONE
        if self._ran is not None:
            self._background.learn(Timing(self._ran[1], answer.result))
        self.run_event.emit(answer)
        self._run.quit()

    def _on_failed(self, answer: ExtractionFailed) -> None:
        error = answer.error
        stopped = isinstance(error, Cancelled)
        if isinstance(error, EngineError) and self._ran is not None:
            self._missing.note(self._ran[0].hardware, error)
        self._outcome = State.STOPPED if stopped else State.FAILED
        if stopped and self._ran is not None:
            self._stopped = self._ran[0]
        elif not stopped:
            self.run_event.emit(answer)
        self._run.quit()

    @Slot(object)
    def _on_verify_answer(self, answer: VerifyAnswer) -> None:
        match answer:
            case VerifyProgress():
                self.verify_event.emit(answer)
            case Verified():
                self.verify_event.emit(answer)
                self._run.quit()
            case VerificationFailed(error=error):
                if not isinstance(error, Cancelled):
                    self.verify_event.emit(answer)
                self._run.quit()

    @Slot(object)
    def _on_thread_ended(self, worker: Worker) -> None:
        self._background.set_idle(True)
        self._set_state(self._outcome)
        if isinstance(worker, ExtractionWorker):
            self.renew_plan()
        else:
            self._judge_again()

    def _follow_busy(self) -> None:
        busy = self.busy
        if busy is not self._was_busy:
            self._was_busy = busy
            self.busy_changed.emit(busy)

    def _set_state(self, state: State) -> None:
        changed = state is not self._state
        self._state = state
        self._follow_busy()
        if changed:
            self.state_changed.emit(state)
