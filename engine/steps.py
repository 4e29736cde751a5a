"""Where a thread's work can be stopped, and the steps that cannot be: each is named and its length bounded.

A thread that works for a run says who may stop it (`stoppable`). Loops that take long ask `check` now and then, at
least every half second or so. A single call into LAPACK cannot be broken off: it is announced as a `Step`, so that a
person who waits for it is told which one it is and how long it can take.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from engine.errors import Cancelled

StepKind = Literal["eigh", "eigvalsh", "svd", "svdvals", "qr"]

SLACK = 2.0  # a call may be slower than others of its kind by so much: other programs, other sizes
TIMED = 1e8  # operations of a call whose time tells the machine's speed
LONG = 1e10  # from here on a call may take a second, and its speed has to be known before it begins
_RECENT, _ALIKE = 4, 8.0  # calls of a kind that are remembered; by how many times their operations may differ


@dataclass(frozen=True)
class Step:
    """One call that cannot be broken off.

    Attributes:
        layer: whose work it is; empty where it is no layer's.
        kind: LAPACK's routine as torch calls it.
        size: (rows, columns) of its matrix.
        most_seconds: how long it takes at most, by the speed this machine has shown.
        since: when it began, `time.monotonic`.
    """

    layer: str
    kind: StepKind
    size: tuple[int, int]
    most_seconds: float
    since: float

    def remaining(self, now: float | None = None) -> float:
        """Seconds that it can still take."""
        return max(0.0, self.since + self.most_seconds - (time.monotonic() if now is None else now))


class Speeds:
    """How long calls of each kind took by operation: the slowest of the last few large ones. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[StepKind, list[tuple[float, float]]] = {}  # operations, seconds for each

    def known(self, kind: StepKind) -> bool:
        """Whether a call of this kind has been timed."""
        with self._lock:
            return kind in self._calls

    def note(self, kind: StepKind, operations: float, seconds: float) -> None:
        """A call took so long. Small calls are slower by operation, so large ones take their place."""
        if operations < TIMED:
            return
        with self._lock:
            calls = [*self._calls.get(kind, []), (operations, seconds / operations)]
            largest = max(size for size, _ in calls)
            self._calls[kind] = [call for call in calls if call[0] >= largest / _ALIKE][-_RECENT:]

    def most_seconds(self, kind: StepKind, operations: float) -> float:
        """How long a call takes at most; 0 while no call of its kind was timed."""
        with self._lock:
            return SLACK * operations * max((pace for _, pace in self._calls.get(kind, [])), default=0.0)


SPEEDS = Speeds()  # of this process: how many threads a call may use hardly changes within it


class ThreadWork:
    """What one thread does, as far as stopping it goes.

    Attributes:
        step: what cannot be broken off now; any thread may look.
        layer: whose work is done.
    """

    def __init__(self, stopped: Callable[[], bool], layer: str = "") -> None:
        self._stopped, self.layer = stopped, layer
        self.step: Step | None = None

    def check(self) -> None:
        """Raise `Cancelled` where the work is to stop."""
        if self._stopped():
            raise Cancelled


_thread = threading.local()


@contextmanager
def stoppable(work: ThreadWork) -> Iterator[None]:
    """What this thread does meanwhile asks `work` whether to stop."""
    before = getattr(_thread, "work", None)
    _thread.work = work
    try:
        yield
    finally:
        _thread.work = before


def check() -> None:
    """Raise `Cancelled` where this thread's work is to stop; nothing where nobody may stop it."""
    work: ThreadWork | None = getattr(_thread, "work", None)
    if work is not None:
        work.check()


@contextmanager
def announced(kind: StepKind, size: tuple[int, int], operations: float) -> Iterator[None]:
    """A call that cannot be broken off: checked before and after, known to others meanwhile, and timed.

    Args:
        kind: what it is.
        size: of its matrix.
        operations: floating point operations, about.
    """
    work: ThreadWork | None = getattr(_thread, "work", None)
    started = time.monotonic()
    if work is not None:
        work.check()
        work.step = Step(work.layer, kind, size, SPEEDS.most_seconds(kind, operations), started)
    try:
        yield
    finally:
        if work is not None:
            work.step = None
    SPEEDS.note(kind, operations, time.monotonic() - started)
    if work is not None:
        work.check()
