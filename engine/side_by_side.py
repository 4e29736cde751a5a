"""Work on several layers at once, results in the order of the plan: threads, bounded in number and in bytes.

On a processor several layers with a share of the cores each are faster than all cores on one layer: the small steps of
a decomposition (QR, eigenproblems, thin products) do not keep many cores busy. Arithmetic and threads per layer do not
depend on the neighbours, and so neither do the numbers.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

Task = TypeVar("Task")
Result = TypeVar("Result")
_AHEAD = 3  # tasks per worker that may be begun or finished before the oldest result is taken


def in_order(
    work: Callable[[Task], Result], tasks: Iterable[tuple[Task, int]], *, workers: int, threads: int, room: int
) -> Generator[Result, None, None]:
    """Do every task, and yield the results in the order of the tasks.

    Of the tasks at hand the largest is begun first, so that the last ones end together. Closing the iterator, or an
    error in a task, waits for those that have begun and forgets the others.

    Args:
        work: called on one of the workers' threads.
        tasks: each with the bytes it needs until its result has been taken.
        workers: tasks worked on at the same time; 1 does them on the caller's thread.
        threads: cores that each worker may use.
        room: bytes that all tasks at hand may need together. One that needs more is done alone.
    """
    if workers <= 1:
        yield from (work(task) for task, _ in tasks)
        return
    before = torch.get_num_threads()
    board = _Board(work)
    waiting: deque[tuple[Future[Result], int]] = deque()
    held = 0
    try:
        with ThreadPoolExecutor(workers, "layer", initializer=torch.set_num_threads, initargs=(threads,)) as pool:
            try:
                for task, needed in tasks:
                    while waiting and (held + needed > room or len(waiting) >= _AHEAD * workers):
                        held -= waiting[0][1]
                        yield waiting.popleft()[0].result()
                    waiting.append((board.add(task, needed), needed))
                    held += needed
                    pool.submit(board.work_on_largest)
                while waiting:
                    yield waiting.popleft()[0].result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    finally:
        torch.set_num_threads(before)  # of the product library it is the whole process's number, not the thread's


class _Board(Generic[Task, Result]):
    """Tasks that nobody has begun, from which workers take the largest."""

    def __init__(self, work: Callable[[Task], Result]) -> None:
        self._work = work
        self._open: list[tuple[int, Task, Future[Result]]] = []
        self._lock = threading.Lock()

    def add(self, task: Task, size: int) -> Future[Result]:
        """Put up a task; its result will be in the future."""
        future: Future[Result] = Future()
        with self._lock:
            self._open.append((size, task, future))
        return future

    def work_on_largest(self) -> None:
        """Do the largest open task; the oldest of equal ones."""
        with self._lock:
            index = max(range(len(self._open)), key=lambda at: (self._open[at][0], -at))
            _, task, future = self._open.pop(index)
        try:
            future.set_result(self._work(task))
        except BaseException as error:
            future.set_exception(error)
