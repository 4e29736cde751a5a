"""The object that runs an extraction on its own thread and tells the window about it.

It iterates the engine's generator, lets at most 20 progress reports a second through and everything else
at once, and turns whatever happens into exactly one of `finished` and `failed`.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Protocol

from PySide6.QtCore import QObject, Signal, Slot

from app.preparation import as_engine_error
from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, Progress
from engine.planning import Plan
from engine.results import ExtractionResult

PROGRESS_INTERVAL = 1 / 20


class Extractor(Protocol):
    """The part of the engine's session that a run needs."""

    def extract(self, plan: Plan, cancel: CancelToken) -> Iterator[Event]:
        """Run a plan."""


class ExtractionWorker(QObject):
    """One run of one plan.

    Attributes:
        happened: an event of the engine.
        finished: the run's `ExtractionResult`.
        failed: an `EngineError`, or `Cancelled` where somebody asked to stop.
    """

    happened = Signal(object)
    finished = Signal(object)
    failed = Signal(object)

    def __init__(self, extractor: Extractor, plan: Plan, cancel: CancelToken) -> None:
        super().__init__()
        self._extractor = extractor
        self._plan = plan
        self._cancel = cancel
        self._held: Progress | None = None
        self._last_progress = float("-inf")

    @Slot()
    def run(self) -> None:
        """Run to the end, whatever that is."""
        result: ExtractionResult | None = None
        failure: Exception | None = None
        try:
            result = self._iterate()
        except Cancelled as error:
            failure = error
        except BaseException as error:
            failure = as_engine_error(error)
        # A traceback keeps every tensor of the frames it passed through alive.
        if failure is not None:
            failure.__traceback__ = failure.__cause__ = failure.__context__ = None
            self.failed.emit(failure)
        elif result is not None:
            self.finished.emit(result)
        else:
            self.failed.emit(EngineError(ErrorCode.INTERNAL, detail="the run ended without a result"))

    def _iterate(self) -> ExtractionResult | None:
        result = None
        with closing(_as_generator(self._extractor.extract(self._plan, self._cancel))) as events:
            for event in events:
                if isinstance(event, Progress):
                    self._hold(event)
                    continue
                self._release(at_once=isinstance(event, Finished))
                if isinstance(event, Finished):
                    result = event.result
                self.happened.emit(event)
        return result

    def _hold(self, progress: Progress) -> None:
        self._held = progress
        self._release(at_once=False)

    def _release(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if self._held is not None and (at_once or now - self._last_progress >= PROGRESS_INTERVAL):
            self.happened.emit(self._held)
            self._held = None
            self._last_progress = now


def _as_generator(events: Iterator[Event]) -> Generator[Event, None, None]:
    """Give any iterator a `close` that reaches the generator behind it."""
    yield from events
