"""A search for the original of a model, on a thread of its own that is made for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QThread, Signal, Slot

from app.storage.decompositions import open_samples
from app.system.abandoned_threads import wait_or_keep
from app.work.background import thread_with
from app.work.engine_port import as_engine_error, without_traceback
from app.work.workers import PROGRESS_INTERVAL
from engine.analysis.candidates import OriginalSearch, SearchProgress
from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode


@dataclass(frozen=True)
class SearchFailed:
    """The search ended without an answer: an error, or it was stopped."""

    error: EngineError | Cancelled


SearchAnswer = SearchProgress | OriginalSearch | SearchFailed


class SearchWorker(QObject):
    """One search.

    Attributes:
        answered: a `SearchAnswer`; the last one is no `SearchProgress`.
    """

    answered = Signal(object)

    def __init__(self, model: Path, folders: Sequence[Path], cancel: CancelToken) -> None:
        super().__init__()
        self._model, self._folders, self._cancel = model, tuple(folders), cancel

    @Slot()
    def run(self) -> None:
        """Search to the end, whatever that is."""
        try:
            answer: OriginalSearch | SearchFailed = self._search()
        except Cancelled as stopped:
            answer = SearchFailed(without_traceback(stopped))
        except BaseException as error:
            answer = SearchFailed(without_traceback(as_engine_error(error)))
        self.answered.emit(answer)

    def _search(self) -> OriginalSearch | SearchFailed:
        from engine.analysis.original_search import find_original  # with numpy; not before somebody searches

        emitted = float("-inf")
        with closing(find_original(self._model, self._folders, open_samples(), self._cancel)) as events:
            for event in events:
                if isinstance(event, OriginalSearch):
                    return event
                if time.monotonic() - emitted >= PROGRESS_INTERVAL:
                    emitted = time.monotonic()
                    self.answered.emit(event)
        return SearchFailed(EngineError(ErrorCode.INTERNAL, detail="the search ended without a result"))


class OriginalFinder(QObject):
    """One search at a time. All of it is called on the GUI thread.

    Attributes:
        answered: see `SearchWorker.answered`; nothing comes of a search after a newer one was started.
    """

    answered = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._cancel = CancelToken()
        self._worker: SearchWorker | None = None
        self._thread: QThread | None = None

    @property
    def busy(self) -> bool:
        """Whether a search is on its way."""
        return self._thread is not None

    def start(self, model: Path, folders: Sequence[Path]) -> None:
        """Begin a search; an older one is given up."""
        self.shut_down()
        self._cancel = CancelToken()
        self._worker = SearchWorker(model, folders, self._cancel)
        self._thread = thread_with("find-original", self._worker)
        self._thread.started.connect(self._worker.run)
        self._worker.answered.connect(self._on_answer)
        self._thread.start(QThread.Priority.LowPriority)

    def stop(self) -> None:
        """Ask the search to stop; it answers with `SearchFailed`."""
        self._cancel.cancel()

    def shut_down(self) -> None:
        """Stop the search and end its thread; one that a drive holds up is given up after two seconds."""
        thread, worker, self._thread, self._worker = self._thread, self._worker, None, None
        if thread is None or worker is None:
            return
        self._cancel.cancel()
        worker.answered.disconnect(self._on_answer)
        thread.quit()
        wait_or_keep(thread, worker)

    @Slot(object)
    def _on_answer(self, answer: SearchAnswer) -> None:
        if not isinstance(answer, SearchProgress):
            self.shut_down()
        self.answered.emit(answer)
