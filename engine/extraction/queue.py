"""The layers of a run that all devices share: which nobody has taken, which are not finished. No lock."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence

from engine.planning.task import Task


class RunQueue:
    """Tasks in the order of their indices. The caller holds the run's lock."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.tasks = {task.index: task for task in tasks}
        self._open = sorted(self.tasks)
        self._unfinished = sorted(self.tasks)
        self._all = sorted(self.tasks)

    @property
    def open(self) -> Sequence[int]:
        """Indices that nobody has taken, in order."""
        return self._open

    @property
    def empty(self) -> bool:
        """Whether everything is finished."""
        return not self._unfinished

    @property
    def oldest(self) -> int | None:
        """The first index that is not finished."""
        return self._unfinished[0] if self._unfinished else None

    def distance(self, index: int) -> int:
        """How many tasks, finished ones included, a task is behind the first one that is not finished."""
        return bisect.bisect_left(self._all, index) - bisect.bisect_left(self._all, self._unfinished[0])

    def within(self, index: int, ahead: int) -> bool:
        """Whether a task lies at most so many blocks ahead of the first one that is not finished."""
        return self.tasks[index].position <= self.tasks[self._unfinished[0]].position + ahead

    def take(self, index: int) -> Task:
        """Take an open task."""
        self._open.remove(index)
        return self.tasks[index]

    def put_back(self, index: int) -> None:
        """Give a taken task back, to be taken again."""
        bisect.insort(self._open, index)

    def add(self, task: Task) -> None:
        """A task that was not thought to be one."""
        self.tasks[task.index] = task
        bisect.insort(self._open, task.index)
        bisect.insort(self._all, task.index)
        bisect.insort(self._unfinished, task.index)

    def finish(self, index: int) -> None:
        """A task is done."""
        self._unfinished.remove(index)
