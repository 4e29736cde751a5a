"""Looks after the cache of decompositions off the GUI thread: what it takes, making it smaller, emptying it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QThread, Signal, Slot

from app.storage.decompositions import open_store
from engine.errors import EngineError, ErrorCode
from engine.store import write_limit


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


class CacheWorker(QObject):
    """Works on the thread it lives in.

    Attributes:
        measured: a `CacheUse`.
        failed: an `EngineError`.
    """

    measured = Signal(object)
    failed = Signal(object)

    @Slot()
    def measure(self) -> None:
        """Emit what the cache takes."""
        self._emit_use()

    @Slot()
    def clear(self) -> None:
        """Remove all but what live runs use, and emit what is left."""
        try:
            freed = open_store().clear()
        except (OSError, EngineError) as error:
            self._fail(error)
            return
        self._emit_use(freed)

    @Slot(object)
    def limit(self, limit_bytes: int) -> None:
        """Remember another limit, and remove the longest unused pairs above it."""
        try:
            store = open_store()
            write_limit(store.folder, limit_bytes)
            store.limit_bytes = limit_bytes
            freed = store.make_room()
        except (OSError, EngineError) as error:
            self._fail(error)
            return
        self._emit_use(freed)

    @Slot()
    def leave(self) -> None:
        """End this worker's thread, behind all that was asked for before."""
        QThread.currentThread().quit()

    def _emit_use(self, freed: int | None = None) -> None:
        try:
            store = open_store()
            use = CacheUse(store.folder, store.size_bytes, store.limit_bytes, freed)
        except (OSError, EngineError) as error:
            self._fail(error)
            return
        self.measured.emit(use)

    def _fail(self, error: Exception) -> None:
        failure = error
        if isinstance(error, OSError):
            failure = EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=error.filename, reason=error.strerror or str(error))
        failure.__traceback__ = failure.__cause__ = failure.__context__ = None
        self.failed.emit(failure)


class DecompositionCache(QObject):
    """The cache as the window sees it; answers come as signals. `shut_down` before it goes.

    Attributes:
        measured: a `CacheUse`.
        failed: an `EngineError`.
    """

    measured = Signal(object)
    failed = Signal(object)

    _measure = Signal()
    _clear = Signal()
    _limit = Signal(object)
    _leave = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker = CacheWorker()
        self._thread = QThread()
        self._thread.setObjectName("cache")
        self._worker.moveToThread(self._thread)
        self._measure.connect(self._worker.measure)
        self._clear.connect(self._worker.clear)
        self._limit.connect(self._worker.limit)
        self._leave.connect(self._worker.leave)
        self._worker.measured.connect(self.measured)
        self._worker.failed.connect(self.failed)

    @property
    def limit_bytes(self) -> int:
        """The most that the cache may take, as it is remembered now."""
        return open_store().limit_bytes

    def measure(self) -> None:
        """Ask what the cache takes."""
        self._start()
        self._measure.emit()

    def clear(self) -> None:
        """Ask to remove all that no live run uses."""
        self._start()
        self._clear.emit()

    def set_limit(self, limit_bytes: int) -> None:
        """Ask to keep at most this much from now on."""
        self._start()
        self._limit.emit(limit_bytes)

    def shut_down(self) -> None:
        """Finish what was asked for and end the thread."""
        if self._thread.isRunning():
            self._leave.emit()
            self._thread.wait()

    def _start(self) -> None:
        if not self._thread.isRunning():
            self._thread.start(QThread.Priority.LowPriority)
