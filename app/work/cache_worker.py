"""Measures, limits and empties the cache of decompositions off the GUI thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QThread, Signal, Slot

from app.storage.decompositions import cache_bytes, clear_cache, limit_cache, open_store
from app.work.background import thread_with
from app.work.engine_port import without_traceback
from engine.errors import EngineError, ErrorCode


@dataclass(frozen=True)
class CacheUse:
    """What the cache holds.

    Attributes:
        folder: of the cache.
        size_bytes: taken on the disk.
        limit_bytes: the most it may take.
        freed_bytes: what was removed just now; None where nothing was to be removed.
    """

    folder: Path
    size_bytes: int
    limit_bytes: int
    freed_bytes: int | None = None


@dataclass(frozen=True)
class CacheFailed:
    """The cache could not be looked at or changed."""

    error: EngineError


@dataclass(frozen=True)
class MeasureCache:
    """Measure what the cache takes."""


@dataclass(frozen=True)
class ClearCache:
    """Remove all but what live runs use."""


@dataclass(frozen=True)
class LimitCache:
    """Remember another limit, and remove the longest unused pairs above it."""

    limit_bytes: int


@dataclass(frozen=True)
class EndThread:
    """End the worker's thread, behind all that was asked for before."""


CacheRequest = MeasureCache | ClearCache | LimitCache | EndThread
CacheAnswer = CacheUse | CacheFailed


class CacheWorker(QObject):
    """Works on the thread it lives in.

    Attributes:
        answered: a `CacheAnswer` to each request but `EndThread`.
    """

    answered = Signal(object)

    @Slot(object)
    def take(self, request: CacheRequest) -> None:
        """Work on a request."""
        if isinstance(request, EndThread):
            QThread.currentThread().quit()
            return
        answer: CacheAnswer
        try:
            answer = self._use(request)
        except (OSError, EngineError) as error:
            answer = CacheFailed(_engine_error(error))
        self.answered.emit(answer)

    def _use(self, request: CacheRequest) -> CacheUse:
        store, freed = open_store(), None
        if isinstance(request, ClearCache):
            freed = clear_cache()
        elif isinstance(request, LimitCache):
            freed = limit_cache(request.limit_bytes)
            store.limit_bytes = request.limit_bytes
        return CacheUse(store.folder, cache_bytes(), store.limit_bytes, freed)


class DecompositionCache(QObject):
    """The cache as the window sees it; `shut_down` before it goes.

    Attributes:
        answered: a `CacheAnswer`.
    """

    answered = Signal(object)

    _asked = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker = CacheWorker()
        self._thread = thread_with("cache", self._worker)
        self._asked.connect(self._worker.take)
        self._worker.answered.connect(self.answered)

    @property
    def limit_bytes(self) -> int:
        """The most that the cache may take, as it is remembered now."""
        return open_store().limit_bytes

    def measure(self) -> None:
        """Ask what the cache takes."""
        self._ask(MeasureCache())

    def clear(self) -> None:
        """Ask to remove all that no live run uses."""
        self._ask(ClearCache())

    def set_limit(self, limit_bytes: int) -> None:
        """Ask to keep at most this much from now on."""
        self._ask(LimitCache(limit_bytes))

    def shut_down(self) -> None:
        """Finish what was asked for and end the thread."""
        if self._thread.isRunning():
            self._asked.emit(EndThread())
            self._thread.wait()

    def _ask(self, request: CacheRequest) -> None:
        if not self._thread.isRunning():
            self._thread.start(QThread.Priority.LowPriority)
        self._asked.emit(request)


def _engine_error(error: OSError | EngineError) -> EngineError:
    if isinstance(error, OSError):
        error = EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=error.filename, reason=error.strerror or str(error))
    return without_traceback(error)
