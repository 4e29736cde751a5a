"""The objects that run an extraction or a verification on a thread of their own, with signals for the window.

Each iterates the engine's generator, lets at most 20 progress reports a second through and everything else
at once, and turns every outcome into exactly one of `finished` and `failed`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol, TypeVar

from PySide6.QtCore import QObject, Signal, Slot

from app.text.verification import ClaimedQuality, claimed_quality
from app.work.engine_port import as_engine_error
from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, Progress, VerifyProgress
from engine.planning.plan import Plan
from engine.results import ExtractionResult, Verification

PROGRESS_INTERVAL = 1 / 20

_Item = TypeVar("_Item")


class Extractor(Protocol):
    """The part of the engine's session that a run needs."""

    def extract(self, plan: Plan, cancel: CancelToken) -> Iterator[Event]:
        """Run a plan."""


class ExtractionWorker(QObject):
    """One run of one plan.

    Attributes:
        happened: an event of the engine.
        finished: the run's `ExtractionResult`.
        failed: an `EngineError`, or `Cancelled` where it was asked to stop.
    """

    run_event = Signal(object)
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
        result, failure = _outcome(self._iterate, "the run ended without a result")
        if result is not None:
            self.finished.emit(result)
        else:
            self.failed.emit(failure)

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
                self.run_event.emit(event)
        return result

    def _hold(self, progress: Progress) -> None:
        self._held = progress
        self._release(at_once=False)

    def _release(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if self._held is not None and (at_once or now - self._last_progress >= PROGRESS_INTERVAL):
            self.run_event.emit(self._held)
            self._held = None
            self._last_progress = now


class Verifier(Protocol):
    """The part of the engine's session that a verification needs."""

    def verify(self, lora: Path, cancel: CancelToken) -> Iterator[VerifyProgress | Verification]:
        """Judge a LoRA against the open pair."""


class VerificationWorker(QObject):
    """One verification of one LoRA.

    Attributes:
        lora: the file.
        progressed: weights measured, and how many there are.
        finished: the `Verification`, and the `ClaimedQuality` that the file has of itself, or None.
        failed: an `EngineError`, or `Cancelled` where it was asked to stop.
    """

    progressed = Signal(int, int)
    finished = Signal(object, object)
    failed = Signal(object)

    def __init__(self, verifier: Verifier, lora: Path, cancel: CancelToken) -> None:
        super().__init__()
        self.lora = lora
        self._verifier = verifier
        self._cancel = cancel

    @Slot()
    def run(self) -> None:
        """Verify to the end, whatever that is."""
        answer, failure = _outcome(self._iterate, "the verification ended without a judgement")
        if answer is not None:
            self.finished.emit(*answer)
        else:
            self.failed.emit(failure)

    def _iterate(self) -> tuple[Verification, ClaimedQuality | None] | None:
        emitted = float("-inf")
        with closing(_as_generator(self._verifier.verify(self.lora, self._cancel))) as events:
            for item in events:
                if not isinstance(item, VerifyProgress):
                    return item, claimed_quality(self.lora)
                if item.done == item.total or time.monotonic() - emitted >= PROGRESS_INTERVAL:
                    emitted = time.monotonic()
                    self.progressed.emit(item.done, item.total)
        return None


def _outcome(work: Callable[[], _Item | None], nothing: str) -> tuple[_Item | None, Exception | None]:
    """What work gives, or the exception for it; `nothing` is the detail of the error where it gives neither."""
    failure: Exception
    try:
        result = work()
        if result is not None:
            return result, None
        failure = EngineError(ErrorCode.INTERNAL, detail=nothing)
    except Cancelled as error:
        failure = error
    except BaseException as error:
        failure = as_engine_error(error)
    # A traceback would keep every tensor of the frames it passed through alive.
    failure.__traceback__ = failure.__cause__ = failure.__context__ = None
    return None, failure


def _as_generator(items: Iterator[_Item]) -> Generator[_Item, None, None]:
    """Give any iterator a `close` that reaches the generator behind it."""
    yield from items
