"""The scheduler of one lane: which layers are read, staged and in work, and what is next. All under the run's lock."""

from __future__ import annotations

import time
from collections.abc import Iterable

from engine.devices.buffer_pool import BufferPool
from engine.devices.device import Device
from engine.devices.governor import Governor
from engine.devices.memory_rules import IDLE_PART, Eviction, Need
from engine.extraction.block_cache import Weights
from engine.extraction.residents import DeviceResidents, LaneEvents
from engine.extraction.stages import Prefetched
from engine.extraction.state import RunState
from engine.planning.costs import measuring_need, need, need_within
from engine.planning.task import Task


class Scheduler:
    """Decides for one device which layer is read or begun next, and which are evicted.

    Attributes:
        governor: the bytes.
        residents: the blocks that stay.
        buffers: the host's memory.
        waited_seconds: how long no layer was at work although some were left.
    """

    def __init__(self, device: Device, state: RunState, *, workers: int) -> None:
        hardware, tasks = state.hardware, state.queue.tasks.values()
        self.device, self.state, self.workers = device, state, workers
        idle = device.ceiling_bytes // IDLE_PART
        self.buffers = BufferPool(idle, pinned=device.torch_device.type == "cuda")
        self._ceiling = device.ceiling_bytes - (idle if device.host else 0)
        self._needs = {task.index: self._need(task) for task in tasks}
        conservative = hardware.vram_usage_mode == "conservative"
        self.governor = Governor(
            ceiling=self._ceiling,
            threshold=device.threshold_bytes,
            batch_size=workers,
            needs=self._needs,
            most_staged=hardware.batch_size if conservative else None,
            prefetches_to_host=conservative and not device.host,
        )
        self.events = LaneEvents(device, self.governor, state)
        self.residents = DeviceResidents(device, self.governor, state.residents, self.events, state.weights, hardware)
        self.ahead = hardware.prefetch_ahead
        self.reading: set[int] = set()
        self.prefetched: dict[int, Prefetched] = {}
        self.unwanted: set[int] = set()  # being read, but to be dropped when they arrive
        self._granted: dict[int, int] = {}
        self.waited_seconds = 0.0
        self._waiting_since: float | None = None

    def begin(self) -> None:
        """Begin the run with the blocks that are resident already."""
        self.residents.enter()
        self.apply(self.governor.trim(), "ceiling")
        self._waiting_since = time.perf_counter()

    def expect(self, task: Task) -> None:
        """Compute the need of a task that will be added to the queue."""
        self._needs[task.index] = self._need(task)

    def observe(self) -> None:
        """Look at the device's memory; evicts where its use is above the threshold."""
        memory = self.device.memory(self.governor.held)
        eviction = self.governor.observe(memory.run, memory.device_used)
        if eviction is not None:
            self.apply(eviction, "threshold" if eviction.batch_after <= eviction.batch_before else "recovered")
        self.state.changed.notify_all()  # the limit may have risen

    # Reading

    def next_to_read(self) -> Task | None:
        """The layer to read now, if one may be."""
        queue, governor = self.state.queue, self.governor
        if not queue.open:
            return None
        index = self._preferred(queue.open)
        wanted = self.workers - len(governor.working) - len(governor.prefetched)
        forced = not governor.working and not governor.prefetched
        if not forced and wanted <= 0 and not (self.ahead and queue.within(index, self.ahead)):
            return None
        return queue.tasks[index] if governor.may_prefetch(index, forced=forced) else None

    def _preferred(self, open_tasks: Iterable[int]) -> int:
        """The first open task; where there are several devices the first one that is not resident on another."""
        first: int | None = None
        for index in open_tasks:
            first = index if first is None else first
            if not self.residents.elsewhere(self.state.queue.tasks[index]):
                return index
        assert first is not None
        return first

    def take(self, task: Task) -> Weights | None:
        """Take an open task for reading; returns its weights where they are resident, so that nothing is read."""
        self.state.queue.take(task.index)
        resident = self.residents.take(task)
        if task.index in self.state.on_cpu:
            resident = None  # the processor needs it on the host
        self.governor.prefetch(task.index, None if resident is None else resident.nbytes)
        self.reading.add(task.index)
        return resident

    def arrived(self, task: Task, prefetched: Prefetched) -> None:
        """A layer was read."""
        self.reading.discard(task.index)
        if task.index in self.unwanted:
            self.unwanted.discard(task.index)
            self.put_back(task.index, prefetched)
        else:
            self.prefetched[task.index] = prefetched
        self.state.changed.notify_all()

    def never_arrived(self, task: Task) -> None:
        """Reading a layer failed; it stays taken."""
        self.reading.discard(task.index)
        self.unwanted.discard(task.index)
        self.governor.cancel_prefetch(task.index)

    def put_back(self, index: int, prefetched: Prefetched) -> None:
        """A staged layer goes back to the queue."""
        for buffer in prefetched.weights.buffers:
            self.buffers.release(buffer)
        self.governor.cancel_prefetch(index)
        self.state.queue.put_back(index)

    def need_of(self, index: int) -> Need:
        """The bytes that a layer takes on this device, and the way in which it is worked on."""
        return self._needs[index]

    # Working

    def next_to_work(self) -> int | None:
        """The staged layer to begin now, if one may be."""
        if not self.prefetched:
            return None
        waiting = sorted(self.prefetched)
        begins = [index for index in waiting if self.state.may_begin(index)]
        for index in sorted(begins, key=lambda index: -self.governor.work_bytes(index)):  # the largest begins first
            if self.governor.may_begin(index, self._ahead_of(index)):
                return index
        if waiting[0] not in begins and self.state.queue.oldest not in self.state.queue.open:
            return None  # the first one is under way, and all wait for it
        eviction = self.governor.eviction_for(waiting[0])
        if eviction is None:
            return None
        self.apply(eviction, "ceiling")
        return None if self.unwanted else waiting[0]

    def _ahead_of(self, index: int) -> int:
        """Bytes of the largest layer of this device before another one that has not begun."""
        earlier = [self.governor.work_bytes(other) for other in self.governor.prefetched if other < index]
        return max(earlier, default=0)

    def begin_work(self, index: int) -> Prefetched:
        """The work on a staged layer begins."""
        self.governor.begin(index)
        self._granted[index] = self.governor.granted(index)
        self.note_waiting(at_work=True)
        self.state.changed.notify_all()  # there may be room to read the next one
        return self.prefetched.pop(index)

    def grow(self, index: int, extra: int) -> bool:
        """Whether the solver may allocate `extra` bytes beyond the plan now; counts them where it may."""
        self._granted[index] -= extra
        missing = -self._granted[index]
        if missing > 0 and not self.governor.may_grow(index, missing):
            return False
        self._granted[index] = max(0, self._granted[index])
        return True

    def again(self, index: int) -> None:
        """Put a layer whose work was abandoned back to the queue."""
        self.governor.abandon(index)
        self.note_waiting(at_work=bool(self.governor.working))
        self.state.queue.put_back(index)
        self.state.changed.notify_all()

    def note_waiting(self, *, at_work: bool) -> None:
        """Measure the time in which no layer is in work."""
        now = time.perf_counter()
        if at_work and self._waiting_since is not None:
            self.waited_seconds += now - self._waiting_since
            self._waiting_since = None
        elif not at_work and self._waiting_since is None and not self.state.queue.empty:
            self._waiting_since = now

    def apply(self, eviction: Eviction, cause: str) -> None:
        """Evict blocks and staged layers as the governor decided; emits an event for each kind of eviction."""
        self.residents.drop(eviction.blocks, cause)
        prefetched = [index for index in eviction.prefetched if index in self.prefetched]
        arriving = [index for index in eviction.prefetched if index in self.reading - self.unwanted]
        self.unwanted.update(arriving)
        if prefetched or arriving:
            names = dict.fromkeys(self._name_of(index) for index in (*prefetched, *arriving))
            freed = sum(self.governor.prefetched[index] for index in (*prefetched, *arriving))
            self.events.offloaded("prefetched", cause, tuple(names), freed)
        for index in prefetched:
            self.put_back(index, self.prefetched.pop(index))
        if eviction.batch_after != eviction.batch_before:
            self.events.batch_changed(eviction, cause)
        if eviction.blocks or prefetched:
            self.device.release()

    def _name_of(self, index: int) -> str:
        weight = self.state.queue.tasks[index].weight
        return weight.block.name or weight.name

    def _need(self, task: Task) -> Need:
        method = self.state.method
        if self.device.host:
            return need_within(task.weight, method, self._ceiling, measured=task.measured)
        return (measuring_need if task.measured else need)(task.weight, method, host=False)
