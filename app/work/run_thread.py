"""The thread of one extraction or verification: starts its worker, stops it, and reports its end."""

from __future__ import annotations

import time

from PySide6.QtCore import QObject, QThread, Signal, Slot

from app.system.abandoned_threads import GIVE_UP_MS, wait_or_keep
from app.work.background import thread_with
from app.work.workers import ExtractionWorker, VerificationWorker
from engine.cancel import CancelToken

Worker = ExtractionWorker | VerificationWorker


class RunThread(QObject):
    """One piece of work at a time, on a thread that is made for it. All of it is called on the GUI thread.

    Attributes:
        ended: the worker that had the thread; it and the thread may go now.
    """

    ended = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._thread: QThread | None = None
        self._cancelled_at = float("inf")
        self.cancel = CancelToken()
        self.worker: Worker | None = None

    @property
    def busy(self) -> bool:
        """Whether work is on its way or its thread has not ended yet."""
        return self._thread is not None

    @property
    def held_up(self) -> bool:
        """Whether the work was stopped and does not end, because a drive does not answer."""
        return self.busy and time.monotonic() - self._cancelled_at > GIVE_UP_MS / 1000

    def new_token(self) -> CancelToken:
        """The token for the next piece of work."""
        self.cancel = CancelToken()
        self._cancelled_at = float("inf")
        return self.cancel

    def start(self, name: str, worker: Worker) -> None:
        """Begin; the worker was made with `new_token` and its signals are connected."""
        self.worker = worker
        self._thread = thread_with(name, worker)
        self._thread.started.connect(worker.run)
        self._thread.finished.connect(self._on_finished)
        self._thread.start()

    def stop(self) -> None:
        """Ask the work to stop. The token is set from here: a queued call would wait behind the work."""
        self.cancel.cancel()
        self._cancelled_at = min(self._cancelled_at, time.monotonic())

    def quit(self) -> None:
        """The work has emitted its outcome: let the thread end."""
        if self._thread is not None:
            self._thread.quit()

    def shut_down(self, *used: object) -> bool:
        """Stop the work and wait: for an extraction until its next check, for a verification two seconds at most.

        Args:
            used: objects that a thread that is given up still needs, see `app.system.abandoned_threads`.

        Returns:
            Whether the thread has ended.
        """
        if self._thread is None:
            return True
        self.cancel.cancel()
        self._thread.quit()
        if isinstance(self.worker, VerificationWorker):
            return wait_or_keep(self._thread, self.worker, *used)
        return self._thread.wait()

    @Slot()
    def _on_finished(self) -> None:
        worker, self.worker, self._thread = self.worker, None, None
        self.ended.emit(worker)
