"""Runs the jobs of the queue one after the other on the window's controller; a failed job does not end the queue."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.storage.job_queue import (
    Job,
    JobFailure,
    JobState,
    begun,
    count,
    done,
    failed,
    next_waiting,
    resumable,
    stopped,
)
from app.text.window_text import short_error_text
from app.work.controller import ENDED, Controller, State
from app.work.live_queue import LiveQueue
from app.work.requests import BackgroundAnswer, Extracted, ExtractionFailed, Prepared, RunAnswer
from engine.errors import EngineError, ErrorCode
from engine.events import LayerDone, LayerSkipped, Planned, Progress
from engine.planning.plan import Plan


@dataclass(frozen=True)
class QueueSummary:
    """The outcome of one run of the queue, in jobs; `waiting` are those that were not begun."""

    done: int
    failed: int
    stopped: int
    waiting: int


@dataclass(frozen=True)
class QueueStarted:
    """The queue begins; nothing else may plan or run until its `QueueSummary`."""


@dataclass(frozen=True)
class JobStarted:
    """The run of a job begins right after."""

    job: Job
    plan: Plan


@dataclass(frozen=True)
class JobEnded:
    """A job as it is now: done, failed, or stopped."""

    job: Job


QueueEvent = QueueStarted | JobStarted | Progress | JobEnded | QueueSummary


class _Step(Enum):
    """What the runner waits for: nothing, a plan, the end of a run, or the event loop before the next job."""

    IDLE = "idle"
    PLANNING = "planning"
    EXTRACTING = "extracting"
    BETWEEN = "between"


@dataclass
class _Run:
    """The progress of the run of one job, in layers."""

    progress: Progress | None = None
    settled: set[int] = field(default_factory=set)
    total: int = 0

    @property
    def kept(self) -> int:
        """How many layers the next run of the job finds done; files that came out too large are written twice."""
        return max(len(self.settled), 0 if self.progress is None else self.progress.kept)


class QueueRunner(QObject):
    """Runs the jobs of a queue.

    It reserves the controller while `running`.

    Attributes:
        queue_event: a `QueueEvent`; the `QueueSummary` comes once the controller is free again.
    """

    queue_event = Signal(object)

    def __init__(self, controller: Controller, queue: LiveQueue, parent: QObject | None = None) -> None:
        super().__init__(parent or controller)
        self._controller = controller
        self._queue = queue
        self._step = _Step.IDLE
        self._job: Job | None = None
        self._attempted: list[str] = []
        self._stop_wanted = self._skip_wanted = False
        self._run = _Run()
        controller.answered.connect(self._on_answer)
        controller.run_event.connect(self._on_event)
        controller.state_changed.connect(self._on_state)

    @property
    def running(self) -> bool:
        """Whether the queue is being worked through; the controller is reserved meanwhile."""
        return self._step is not _Step.IDLE

    @property
    def stopping(self) -> bool:
        """Whether the running job has been asked to stop."""
        return self.running and (self._stop_wanted or self._skip_wanted)

    @property
    def job(self) -> Job | None:
        """The job that is being planned or run."""
        return self._job

    @property
    def progress(self) -> Progress | None:
        """How far the running job is, once that is known."""
        return self._run.progress

    @property
    def keeps_layers(self) -> bool:
        """Whether the layers of the running job outlive it, and its next run will use them."""
        return self._job is not None and self._controller.keeps_layers

    @property
    def controller(self) -> Controller:
        """The controller that runs the jobs."""
        return self._controller

    def can_start(self) -> bool:
        """Whether there is a job to run and nothing runs already."""
        return not self._controller.busy and any(map(resumable, self._queue.jobs))

    @Slot()
    def start(self) -> bool:
        """Work through all jobs that wait or were stopped; False where there are none or something runs."""
        if not self.can_start() or not self._controller.reserve():
            return False
        self._queue.wake_stopped()
        self._attempted = []
        self._stop_wanted = self._skip_wanted = False
        self._step = _Step.BETWEEN
        self.queue_event.emit(QueueStarted())
        self._advance()
        return True

    @Slot()
    def stop(self) -> None:
        """Stop the running job; it and the rest wait for the next start."""
        if self.running and not self._stop_wanted:
            self._stop_wanted = True
            self._interrupt()

    @Slot()
    def skip(self) -> None:
        """Stop the running job and go on with the next one."""
        if self.running and not self.stopping:
            self._skip_wanted = True
            self._interrupt()

    def _interrupt(self) -> None:
        if self._step is _Step.EXTRACTING:
            self._controller.stop()
        elif self._step is _Step.PLANNING and self._job is not None:
            # A stopped one waits in vain until the next start, a waiting one would be taken again at once.
            self._end_job(stopped(self._job, self._job.layers_kept))
            self._go_on_later()

    @Slot()
    def _advance(self) -> None:
        """Begin the next job, or end."""
        if self._step is not _Step.BETWEEN:
            return
        job = None if self._stop_wanted else next_waiting(self._queue.jobs)
        self._skip_wanted = False
        if job is None:
            self._step = _Step.IDLE
            self._controller.release()
            self.queue_event.emit(self._summary())
            return
        self._run = _Run()
        self._attempted.append(job.id)
        self._step = _Step.PLANNING
        self._change(begun(job))
        self._plan()

    def _plan(self) -> None:
        if self._job is not None:
            job = self._job
            models = job.finetuned, job.original
            self._controller.prepare(models, job.extraction, job.hardware, job.output_dir, job.also)

    @Slot(object)
    def _on_answer(self, answer: BackgroundAnswer) -> None:
        if not isinstance(answer, Prepared) or self._step is not _Step.PLANNING or self._job is None:
            return
        if not _answers(answer, self._job):
            self._plan()
        elif answer.plan is None:
            self._fail(answer.error or EngineError(ErrorCode.INTERNAL, detail="the plan is missing"))
            self._go_on_later()
        else:
            self._step = _Step.EXTRACTING
            self._change(replace(self._job, coverage=answer.plan.coverage))
            self.queue_event.emit(JobStarted(self._job, answer.plan))
            if not self._controller.extract():
                self._fail(EngineError(ErrorCode.INTERNAL, detail="the planned run could not be started"))
                self._go_on_later()

    @Slot(object)
    def _on_event(self, event: RunAnswer) -> None:
        if self._step is not _Step.EXTRACTING:
            return
        match event:
            case Planned():
                self._run.total = event.layers
            case LayerDone(index=index) | LayerSkipped(index=index):
                self._run.settled.add(index)
            case Progress():
                self._run.progress = event
                self.queue_event.emit(event)
            case Extracted(result):
                if self._job is not None:
                    self._end_job(done(self._job, result))
            case ExtractionFailed(EngineError() as error):
                self._fail(error)

    @Slot(object)
    def _on_state(self, state: State) -> None:
        """The run's thread is gone: the next job may begin."""
        if self._step is not _Step.EXTRACTING or state not in ENDED:
            return
        if state is State.STOPPED and self._job is not None:
            self._stop_wanted = self._stop_wanted or not self._skip_wanted
            kept = (self._run.kept, self._run.total) if self.keeps_layers and self._run.kept else None
            self._end_job(stopped(self._job, kept))
        self._go_on_later()

    def _go_on_later(self) -> None:
        """The controller plans the old job once more right after it has emitted its state; that must come first."""
        self._step = _Step.BETWEEN
        QTimer.singleShot(0, self, self._advance)

    def _fail(self, error: EngineError) -> None:
        if self._job is not None:
            message, remedy = short_error_text(error)
            details = "\n".join((str(error), str(error.data.get("traceback", "")))).strip()
            self._end_job(failed(self._job, JobFailure(message, remedy, details)))

    def _end_job(self, job: Job) -> None:
        self._change(job)
        self._job = None
        self.queue_event.emit(JobEnded(job))

    def _change(self, job: Job) -> None:
        self._job = job
        self._queue.replace(job)

    def _summary(self) -> QueueSummary:
        tried = tuple(job for job in self._queue.jobs if job.id in self._attempted)
        return QueueSummary(
            count(tried, JobState.DONE),
            count(tried, JobState.FAILED),
            count(tried, JobState.STOPPED),
            count(self._queue.jobs, JobState.WAITING),
        )


def _answers(answer: Prepared, job: Job) -> bool:
    """Whether a plan is this job's, and not one of another request."""
    asked = answer.request
    wanted = (job.finetuned, job.original, job.files, job.hardware, job.output_dir)
    return (asked.finetuned, asked.original, asked.files, asked.hardware, asked.output_dir) == wanted
