"""What all threads of a run share: the queue, the results on their way out, and the one lock that guards them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from engine.decompose.method import LayerMethod
from engine.devices.memory_rules import MOST_WAITING
from engine.events import Event
from engine.extraction.block_cache import ResidentBlocks
from engine.extraction.layer_reader import LayerReader
from engine.extraction.queue import RunQueue, Task
from engine.layer import LayerOutcome
from engine.models.pairing import PairedWeight
from engine.settings import HardwareSettings

_AT_HAND = 3  # layers for each worker among which the largest is begun first


class RunState:
    """One run, as its threads see it.

    Attributes:
        method: how layers are decomposed and stored.
        hardware: how the machine is used.
        files: the fine-tuned model and the original.
        reader: reads layers.
        residents: blocks that stay on their devices.
        weights: all weights of the plan, also those that earlier runs have done.
        tell: takes an event, on any thread.
        changed: guards everything below and the fields of the lanes; notified when anything changes.
        queue: what is left to do.
        results: finished layers that the caller has not taken.
        on_cpu: layers that no device can do.
        failure: what ended the work, if something did.
        worked_seconds: from the start to the newest result.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        method: LayerMethod,
        *,
        hardware: HardwareSettings,
        files: tuple[Path, Path],
        reader: LayerReader,
        residents: ResidentBlocks,
        tell: Callable[[Event], None],
        cancelled: Callable[[], bool],
        workers: int,
        weights: Sequence[PairedWeight],
    ) -> None:
        self.method, self.hardware, self.files = method, hardware, files
        self.reader, self.residents, self.tell = reader, residents, tell
        self.weights = weights
        self.started = time.perf_counter()
        self.changed = threading.Condition()
        self.queue = RunQueue(tasks)
        self.results: deque[tuple[int, LayerOutcome]] = deque()
        self.on_cpu: set[int] = set()
        self.failure: BaseException | None = None
        self.worked_seconds = 0.0
        self._stopping, self._cancelled = False, cancelled
        self._reach = _AT_HAND * workers
        self._unwritten: dict[int, int] = {}

    @property
    def over(self) -> bool:
        """Whether the threads are to end: the caller has all it wants, or something failed."""
        return self._stopping or self.failure is not None or self._cancelled()

    @property
    def cancelled(self) -> bool:
        """Whether somebody has stopped the run; then layers at hand are abandoned too."""
        return self._cancelled()

    def may_begin(self, index: int) -> bool:
        """Whether a layer is near enough to the first one that is not finished, for whose result all others wait."""
        oldest = self.queue.oldest
        if oldest is None or index == oldest:
            return True
        return self.queue.distance(index) < self._reach and sum(self._unwritten.values()) <= MOST_WAITING

    def deliver(self, index: int, outcome: LayerOutcome) -> None:
        """A layer is finished."""
        self.queue.finish(index)
        self.results.append((index, outcome))
        self._unwritten[index] = outcome.nbytes
        self.worked_seconds = self.seconds()
        self.changed.notify_all()

    def written(self, index: int) -> None:
        """A result has left the memory."""
        self._unwritten.pop(index, None)

    def fail(self, error: BaseException) -> None:
        """End the work with an error; the first one counts."""
        self.failure = self.failure or error
        self.changed.notify_all()

    def stop(self) -> None:
        """End the work."""
        self._stopping = True
        self.changed.notify_all()

    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self.started
