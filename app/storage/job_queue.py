"""The queue of extractions as data: jobs, what may be done with them, and the file that outlives a restart."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from app.storage import paths
from app.storage.json_store import JsonStore
from engine.results import Coverage, ExtractionResult, LargeChange, NoiseFigures
from engine.settings import ExtractionSettings, HardwareSettings

QUEUE_VERSION = 1

Share = Annotated[float, Field(allow_inf_nan=False)]
Moment = datetime | None


class JobState(str, Enum):
    """Where a job stands. WAITING and STOPPED ones are worked on when the queue runs."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class JobFile:
    """A further file that a finished job wrote: where it is, its size, and the share of the change that it keeps."""

    file: Path
    size_bytes: int
    mean: Share


@dataclass(frozen=True)
class JobResult:
    """What a finished job wrote.

    Attributes:
        file: the LoRA; where there are several the first one.
        size_bytes: of it.
        mean, worst: share of the change kept, and in the weakest layer.
        seconds: it took.
        coverage: of how much of the models the shares speak.
        large_changes: layers that changed beyond recognition.
        others: the further files.
        noise: what of the difference is rounding, and what of the real change the first file keeps; None where that
            was not measured, as in queues of earlier versions.
    """

    file: Path
    size_bytes: int
    mean: Share
    worst: Share
    seconds: Share
    coverage: Coverage = field(default_factory=Coverage)
    large_changes: LargeChange = field(default_factory=lambda: LargeChange(0, 0))
    others: tuple[JobFile, ...] = ()
    noise: NoiseFigures | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All that was written."""
        return (self.file, *(other.file for other in self.others))

    @property
    def speaks(self) -> bool:
        """Whether the shares say something about the two models."""
        return self.coverage.enough and not self.large_changes.unrelated


@dataclass(frozen=True)
class JobFailure:
    """Why a job failed, in words: the error, the remedy, and what a report of it needs."""

    message: str
    remedy: str
    details: str = ""


@dataclass(frozen=True)
class Job:
    """One extraction in the queue.

    Attributes:
        id: unique, also among jobs with the same models and settings.
        result: what came of it; only where it is done.
        failure: why nothing came of it; only where it has failed.
        layers_kept: of a job that was stopped, how many layers the next run finds done, and how many there are.
        interrupted: the program ended while the job ran, so it waits again.
        added, started, ended: when, in UTC.
        coverage: of how much of the models its shares will speak, once that is known.
        also: the settings of each further file of the same run.
    """

    id: str
    finetuned: Path
    original: Path
    extraction: ExtractionSettings
    hardware: HardwareSettings
    output_dir: Path
    state: JobState = JobState.WAITING
    result: JobResult | None = None
    failure: JobFailure | None = None
    layers_kept: tuple[int, int] | None = None
    interrupted: bool = False
    added: Moment = None
    started: Moment = None
    ended: Moment = None
    coverage: Coverage | None = None
    also: tuple[ExtractionSettings, ...] = ()

    @property
    def files(self) -> tuple[ExtractionSettings, ...]:
        """The settings of all files."""
        return (self.extraction, *self.also)


Jobs = tuple[Job, ...]


@dataclass(frozen=True)
class Removal:
    """Jobs that were taken out, each with the row it had, so that they can be put back."""

    rows: tuple[tuple[int, Job], ...]


def now() -> datetime:
    """This moment, to the second."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def new_job(
    finetuned: Path,
    original: Path,
    extraction: ExtractionSettings,
    hardware: HardwareSettings,
    output_dir: Path,
    coverage: Coverage | None = None,
    also: tuple[ExtractionSettings, ...] = (),
) -> Job:
    """A job that waits for its turn; `coverage` where the pair is planned already."""
    return Job(
        uuid.uuid4().hex, finetuned, original, extraction, hardware, output_dir,
        added=now(), coverage=coverage, also=also,
    )  # fmt: skip


def waiting_again(job: Job) -> Job:
    """The same job before its first run; what came of an earlier one is forgotten."""
    return replace(
        job, state=JobState.WAITING, result=None, failure=None, layers_kept=None, interrupted=False,
        started=None, ended=None,
    )  # fmt: skip


def begun(job: Job) -> Job:
    """A job whose turn it is."""
    return replace(job, state=JobState.RUNNING, result=None, failure=None, interrupted=False, started=now(), ended=None)


def done(job: Job, result: ExtractionResult) -> Job:
    """A job whose files are in place."""
    output, *others = result.outputs
    summary = JobResult(
        output.path,
        output.size_bytes,
        output.mean_energy_retained,
        output.worst_energy_retained,
        result.seconds,
        output.coverage,
        result.large_changes,
        tuple(JobFile(other.path, other.size_bytes, other.mean_energy_retained) for other in others),
        output.noise,
    )
    return replace(job, state=JobState.DONE, result=summary, layers_kept=None, ended=now())


def failed(job: Job, failure: JobFailure) -> Job:
    """A job that could not be finished."""
    return replace(job, state=JobState.FAILED, failure=failure, layers_kept=None, ended=now())


def stopped(job: Job, layers_kept: tuple[int, int] | None) -> Job:
    """A job that was stopped by hand; the next run of the queue goes on with it."""
    return replace(job, state=JobState.STOPPED, layers_kept=layers_kept, ended=now())


def resumable(job: Job) -> bool:
    """Whether the job's turn comes when the queue is started."""
    return job.state in (JobState.WAITING, JobState.STOPPED)


def next_waiting(jobs: Jobs) -> Job | None:
    """The first job whose turn has not come yet."""
    return next((job for job in jobs if job.state is JobState.WAITING), None)


def running_row(jobs: Jobs) -> int | None:
    """The row of the job that runs, if one does."""
    return next((row for row, job in enumerate(jobs) if job.state is JobState.RUNNING), None)


def count(jobs: Jobs, *states: JobState) -> int:
    """How many jobs are in one of these states."""
    return sum(job.state in states for job in jobs)


def landing(jobs: Jobs, ids: Collection[str], row: int) -> int:
    """The row before which moved jobs can be put, closest to the one wanted: none passes the job that runs."""
    row = min(max(row, 0), len(jobs))
    wall = running_row(jobs)
    if wall is None:
        return row
    sides = {position > wall for position, job in enumerate(jobs) if job.id in ids and position != wall}
    if sides == {True}:
        return max(row, wall + 1)
    return min(row, wall) if sides == {False} else row


def moved(jobs: Jobs, ids: Collection[str], row: int) -> Jobs:
    """The jobs with some of them put before a row of the old order; the running one keeps its row."""
    wall = running_row(jobs)
    if wall is None:
        return _moved(jobs, ids, row)
    above, below = jobs[:wall], jobs[wall + 1 :]
    return (*_moved(above, ids, row), jobs[wall], *_moved(below, ids, row - wall - 1))


def stepped(jobs: Jobs, ids: Collection[str], *, up: bool) -> Jobs:
    """The jobs with some of them one row further up or down; the running one keeps its row."""
    result = list(jobs)
    rows = range(1, len(result)) if up else range(len(result) - 2, -1, -1)
    for row in rows:
        other = row - 1 if up else row + 1
        walls = (JobState.RUNNING,)
        if result[row].id not in ids or result[other].id in ids:
            continue
        if result[row].state not in walls and result[other].state not in walls:
            result[row], result[other] = result[other], result[row]
    return tuple(result)


def removed(jobs: Jobs, ids: Collection[str]) -> tuple[Jobs, Removal]:
    """The jobs without some of them, and these; the running one stays."""
    going = [(row, job) for row, job in enumerate(jobs) if job.id in ids and job.state is not JobState.RUNNING]
    gone = {job.id for _, job in going}
    return tuple(job for job in jobs if job.id not in gone), Removal(tuple(going))


def restored(jobs: Jobs, removal: Removal) -> Jobs:
    """The jobs with removed ones back in their rows, or at the end where there are fewer rows by now."""
    result = list(jobs)
    for row, job in removal.rows:
        result.insert(row, job)
    return tuple(result)


def duplicated(jobs: Jobs, ids: Collection[str]) -> Jobs:
    """The jobs with a waiting copy behind each of some."""
    result: list[Job] = []
    for job in jobs:
        result.append(job)
        if job.id in ids:
            result.append(replace(waiting_again(job), id=uuid.uuid4().hex, added=now()))
    return tuple(result)


def _moved(jobs: Jobs, ids: Collection[str], row: int) -> Jobs:
    row = min(max(row, 0), len(jobs))
    going = tuple(job for job in jobs if job.id in ids)
    before = tuple(job for job in jobs[:row] if job.id not in ids)
    return (*before, *going, *(job for job in jobs[row:] if job.id not in ids))


@cache
def _job_form() -> TypeAdapter[Job]:
    return TypeAdapter(Job)


class QueueStore(JsonStore):
    """Reads and writes the queue's file.

    Attributes:
        damaged: how many single jobs could not be read and were left out; `problem` says where they are now.
    """

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path or paths.config_dir() / "queue.json", QUEUE_VERSION)
        self.damaged = 0

    def load(self) -> Jobs:
        """Read the queue; a job that ran when the program ended waits again."""
        data, self.damaged = self.read(), 0
        if data is None:
            return ()
        entries = data.get("jobs")
        if not isinstance(entries, list):
            self.reject()
            return ()
        jobs = _readable(entries)
        self.damaged = len(entries) - len(jobs)
        if self.damaged:
            self._set_aside(jobs)
        return tuple(_woken(job) for job in jobs)

    def save(self, jobs: Jobs) -> None:
        """Write the queue, unless the file there is not ours to replace.

        Raises:
            OSError: the file cannot be written.
        """
        if self.refuses:
            return
        try:
            self.write({"jobs": [_job_form().dump_python(job, mode="json") for job in jobs]})
        except UnicodeEncodeError as error:  # a path that is no valid text on this system
            raise OSError(str(error)) from error

    def _set_aside(self, jobs: Jobs) -> None:
        """Keep the whole file for mending by hand, and go on with the jobs that could be read."""
        problem = self.reject()
        try:
            self.save(jobs)
        except OSError:
            if problem.set_aside is not None:
                with suppress(OSError):
                    problem.set_aside.replace(self.path)


def _readable(entries: Iterable[Any]) -> Jobs:
    """The jobs that can be read; of two with one id the second counts as damaged."""
    jobs: dict[str, Job] = {}
    for entry in entries:
        with suppress(ValidationError):
            job = _job_form().validate_python(entry)
            jobs.setdefault(job.id, job)
    return tuple(jobs.values())


def _woken(job: Job) -> Job:
    """A job as the next start finds it."""
    if job.state is not JobState.RUNNING:
        return job
    return replace(waiting_again(job), interrupted=True)
