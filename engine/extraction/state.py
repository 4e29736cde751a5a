"""The state that all threads of an executor share: the queue, results not yet taken, and the lock that guards them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

from engine.devices.memory_rules import MOST_WAITING
from engine.extraction.block_cache import BlockCache
from engine.extraction.layer_executor import RunContext, RunInputs
from engine.extraction.queue import RunQueue
from engine.extraction.stages import LayerReader
from engine.layer import LayerOutcome
from engine.planning.task import Task

_AT_HAND = 3  # layers for each worker among which the largest is begun first


class RunState:
    """The shared state of one run.

    Attributes:
        method: how layers are decomposed and stored.
        hardware: how the machine is used.
        checkpoints: the fine-tuned model and the original.
        reader: reads layers.
        residents: blocks that stay on their devices.
        weights: all weights of the plan, also those that earlier runs have done.
        emit: takes an event, on any thread.
        changed: guards everything below and the fields of the lanes; notified when anything changes.
        queue: what is left to do.
        results: finished layers that the caller has not taken.
        on_cpu: layers that no device can do.
        failure: what ended the work, if something did.
        worked_seconds: from `begin` to the newest result.
    """

    def __init__(self, inputs: RunInputs, context: RunContext, residents: BlockCache, *, workers: int) -> None:
        self.method, self.hardware, self.weights = inputs.method, inputs.hardware, inputs.weights
        self.checkpoints = context.checkpoints
        self.reader, self.residents, self.emit = LayerReader(*context.checkpoints), residents, context.emit
        self.started = time.perf_counter()
        self.changed = threading.Condition()
        self.queue = RunQueue(())
        self.results: deque[tuple[int, LayerOutcome]] = deque()
        self.on_cpu: set[int] = set()
        self.failure: BaseException | None = None
        self.worked_seconds = 0.0
        self._stopping, self._cancelled = False, context.cancelled
        self._reach = _AT_HAND * workers
        self._unwritten: dict[int, int] = {}

    def begin(self, tasks: Sequence[Task]) -> None:
        """Begin with the first tasks: from here on time is measured."""
        self.queue, self.started = RunQueue(tasks), time.perf_counter()

    @property
    def over(self) -> bool:
        """Whether the threads are to end: stopped, cancelled or failed."""
        return self._stopping or self.failure is not None or self._cancelled()

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled; then layers in work are abandoned too."""
        return self._cancelled()

    def may_begin(self, index: int) -> bool:
        """Whether a layer may begin: near the oldest unfinished one, and results waiting to be written are few."""
        oldest = self.queue.oldest
        if oldest is None or index == oldest:
            return True
        return self.queue.distance(index) < self._reach and sum(self._unwritten.values()) <= MOST_WAITING

    def deliver(self, index: int, outcome: LayerOutcome) -> None:
        """Add the result of a finished layer."""
        self.queue.finish(index)
        self.results.append((index, outcome))
        self._unwritten[index] = outcome.nbytes
        self.worked_seconds = self.seconds()
        self.changed.notify_all()

    def written(self, index: int) -> None:
        """Note that a result was written and has left the memory."""
        self._unwritten.pop(index, None)

    def fail(self, error: BaseException) -> None:
        """End the work with an error; only the first one is kept."""
        self.failure = self.failure or error
        self.changed.notify_all()

    def stop(self) -> None:
        """End the work."""
        self._stopping = True
        self.changed.notify_all()

    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self.started
