"""Records of earlier runs, read and turned into outcomes on a few threads, a little ahead of their turn."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from engine.layer import LayerOutcome
from engine.store import Entry

_AHEAD_BYTES = 64 * 1024 * 1024  # of records that are read before their turn
_AHEAD = 8


class RecordLoader:
    """Loads the records of a run in the order of their indices. Close it in any case.

    Args:
        entries: the records, by index.
        restore: makes the outcome from a record; runs on the loader's threads.
        workers: how many of them.
    """

    def __init__(self, entries: Mapping[int, Entry], restore: Callable[[int], LayerOutcome], *, workers: int) -> None:
        self._restore = restore
        self._sizes = {index: entries[index].payload_bytes for index in sorted(entries)}
        self._left = deque(self._sizes)
        self._coming: dict[int, Future[LayerOutcome]] = {}
        self._pool = ThreadPoolExecutor(max(1, workers), "records") if entries else None
        if self._pool is not None:
            self._prepare_threads(self._pool, max(1, workers))

    def _prepare_threads(self, pool: ThreadPoolExecutor, workers: int) -> None:
        """One core for each; now, as torch's product library has one number for all threads, which others set later."""
        together = threading.Barrier(workers)

        def prepare() -> None:
            torch.set_num_threads(1)
            together.wait()

        for prepared in [pool.submit(prepare) for _ in range(workers)]:
            prepared.result()

    def take(self, index: int) -> LayerOutcome:
        """The outcome of a record; it must not have been taken before.

        Raises:
            EngineError: see `engine.resume.records.restore`.
        """
        self._read_ahead(index)
        return self._coming.pop(index).result()

    def _read_ahead(self, index: int) -> None:
        assert self._pool is not None
        while self._left and (index not in self._coming or self._may_go_on()):
            following = self._left.popleft()
            self._coming[following] = self._pool.submit(self._restore, following)

    def _may_go_on(self) -> bool:
        coming = sum(self._sizes[index] for index in self._coming)
        return len(self._coming) < _AHEAD and coming + self._sizes[self._left[0]] <= _AHEAD_BYTES

    def close(self) -> None:
        """Forget what was not taken; waits for what is being read."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
