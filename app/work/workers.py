"""The objects that run an extraction or a verification on a thread of their own.

Each iterates the engine's generator, lets at most 20 progress reports a second through and everything else
at once, and ends with exactly one answer: the result or the error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol, TypeVar

from PySide6.QtCore import QObject, Signal, Slot

from app.text.verification import claimed_quality
from app.work.engine_port import as_engine_error, without_traceback
from app.work.requests import Extracted, ExtractionFailed, VerificationFailed, Verified
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
        answered: a `RunAnswer`: the engine's events, and at the end `Extracted` or `ExtractionFailed`.
    """

    answered = Signal(object)

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
        outcome = _outcome(self._iterate, "the run ended without a result")
        if isinstance(outcome, (EngineError, Cancelled)):
            self.answered.emit(ExtractionFailed(outcome))
        else:
            self.answered.emit(Extracted(outcome))

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
                self.answered.emit(event)
        return result

    def _hold(self, progress: Progress) -> None:
        self._held = progress
        self._release(at_once=False)

    def _release(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if self._held is not None and (at_once or now - self._last_progress >= PROGRESS_INTERVAL):
            self.answered.emit(self._held)
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
        answered: a `VerifyAnswer`: `VerifyProgress`, and at the end `Verified` or `VerificationFailed`.
    """

    answered = Signal(object)

    def __init__(self, verifier: Verifier, lora: Path, cancel: CancelToken) -> None:
        super().__init__()
        self.lora = lora
        self._verifier = verifier
        self._cancel = cancel

    @Slot()
    def run(self) -> None:
        """Verify to the end, whatever that is."""
        outcome = _outcome(self._iterate, "the verification ended without a result")
        if isinstance(outcome, (EngineError, Cancelled)):
            self.answered.emit(VerificationFailed(self.lora, outcome))
        else:
            self.answered.emit(outcome)

    def _iterate(self) -> Verified | None:
        emitted = float("-inf")
        with closing(_as_generator(self._verifier.verify(self.lora, self._cancel))) as events:
            for item in events:
                if not isinstance(item, VerifyProgress):
                    return Verified(self.lora, item, claimed_quality(self.lora))
                if item.done == item.total or time.monotonic() - emitted >= PROGRESS_INTERVAL:
                    emitted = time.monotonic()
                    self.answered.emit(item)
        return None


def _outcome(work: Callable[[], _Item | None], nothing: str) -> _Item | EngineError | Cancelled:
    """What work gives, or the error it raised; `nothing` is the detail of the error where it gives neither."""
    failure: EngineError | Cancelled
    try:
        result = work()
        if result is not None:
            return result
        failure = EngineError(ErrorCode.INTERNAL, detail=nothing)
    except Cancelled as error:
        failure = error
    except BaseException as error:
        failure = as_engine_error(error)
    return without_traceback(failure)


def _as_generator(items: Iterator[_Item]) -> Generator[_Item, None, None]:
    """Give any iterator a `close` that reaches the generator behind it."""
    yield from items
