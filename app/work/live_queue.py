"""The queue of the window: every change is saved and emitted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from app.storage.job_queue import (
    Job,
    Jobs,
    JobState,
    QueueStore,
    Removal,
    duplicated,
    moved,
    removed,
    restored,
    stepped,
    waiting_again,
)


class LiveQueue(QObject):
    """The jobs in their order.

    Attributes:
        store: where they are saved.
        changed: emitted after each change.
        write_failed: the `OSError` of the first of several changes in a row that could not be written.
    """

    changed = Signal()
    write_failed = Signal(object)

    def __init__(self, store: QueueStore | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.store = store or QueueStore()
        self._jobs: Jobs = self.store.load()
        self._unwritten = False

    @property
    def jobs(self) -> Jobs:
        """All jobs, in their order."""
        return self._jobs

    @property
    def unwritten(self) -> bool:
        """Whether the newest change could not be saved."""
        return self._unwritten

    def find(self, job_id: str) -> Job | None:
        """The job with this id, if it is still there."""
        return next((job for job in self._jobs if job.id == job_id), None)

    def add(self, job: Job) -> None:
        """Put a job at the end."""
        self._set((*self._jobs, job))

    def replace(self, job: Job) -> None:
        """Put a newer version of a job in its place; one that is gone stays gone."""
        self._set(tuple(job if other.id == job.id else other for other in self._jobs))

    def remove(self, ids: Collection[str]) -> Removal:
        """Take jobs out, but never the running one."""
        jobs, removal = removed(self._jobs, ids)
        self._set(jobs)
        return removal

    def restore(self, removal: Removal) -> None:
        """Put removed jobs back."""
        self._set(restored(self._jobs, removal))

    def move(self, ids: Collection[str], row: int) -> None:
        """Put jobs before a row."""
        self._set(moved(self._jobs, ids, row))

    def step(self, ids: Collection[str], *, up: bool) -> None:
        """Move jobs by one row."""
        self._set(stepped(self._jobs, ids, up=up))

    def duplicate(self, ids: Collection[str]) -> None:
        """Put a waiting copy behind each of some jobs."""
        self._set(duplicated(self._jobs, ids))

    def run_again(self, ids: Collection[str]) -> None:
        """Let jobs that have ended wait for another run."""
        ended = (JobState.DONE, JobState.FAILED, JobState.STOPPED)
        self._set(tuple(waiting_again(job) if job.id in ids and job.state in ended else job for job in self._jobs))

    def wake_stopped(self) -> None:
        """Let the stopped jobs wait for their turn; their layers stay kept."""
        self._set(
            tuple(replace(job, state=JobState.WAITING) if job.state is JobState.STOPPED else job for job in self._jobs)
        )

    def _set(self, jobs: Jobs) -> None:
        if jobs == self._jobs:
            return
        self._jobs = jobs
        try:
            self.store.save(jobs)
        except OSError as error:
            emitted, self._unwritten = self._unwritten, True
            if not emitted:
                self.write_failed.emit(error)
        else:
            self._unwritten = False
        self.changed.emit()


class PassingQueue(QueueStore):
    """A queue in memory: begins empty, reads no file and writes none."""

    def load(self) -> Jobs:
        """No jobs."""
        return ()

    def save(self, jobs: Jobs) -> None:
        """Save nothing."""
