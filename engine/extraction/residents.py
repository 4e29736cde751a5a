"""The resident blocks of one lane: what it takes over, uses, keeps and drops, and the events of what leaves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal, cast

from engine.devices.device import Device
from engine.devices.governor import Governor
from engine.devices.memory_rules import Eviction
from engine.events import BatchSizeChanged, MemoryStep, OffloadCause, Offloaded, OutOfMemory
from engine.extraction.block_cache import BlockCache, Weights
from engine.extraction.stages import Worked
from engine.extraction.state import RunState
from engine.models.pairing import PairedWeight
from engine.planning.costs import resident_bytes
from engine.planning.residency import ALL_BLOCKS, OUTSIDE, block_name, blocks_that_fit, blocks_to_keep
from engine.planning.task import Task
from engine.settings import HardwareSettings


class LaneEvents:
    """Emits an event for every eviction, change of the batch size and failed allocation of one lane."""

    def __init__(self, device: Device, governor: Governor, state: RunState) -> None:
        self._device, self._governor, self._state = device, governor, state

    def offloaded(
        self, what: Literal["resident", "prefetched"], cause: str, blocks: tuple[str, ...], freed: int
    ) -> None:
        """Blocks left the device. `blocks` may carry their component, which people do not need."""
        names = tuple(block.rpartition(":")[2] for block in blocks)
        self._state.emit(
            Offloaded(
                seconds=self._state.seconds(),
                what=what,
                cause=cast(OffloadCause, cause),
                blocks=names,
                freed_bytes=freed,
                kept_blocks=len(self._governor.resident),
                device=self._device.name,
                device_used_bytes=self._device.memory(self._governor.held).device_used,
            )
        )

    def batch_changed(self, eviction: Eviction, cause: str) -> None:
        """Fewer or more layers are worked on at once."""
        kind = cast(Literal["threshold", "out_of_memory", "recovered"], cause)
        seconds = self._state.seconds()
        self._state.emit(
            BatchSizeChanged(seconds, eviction.batch_before, eviction.batch_after, kind, self._device.name)
        )

    def out_of_memory(self, name: str, step: MemoryStep) -> None:
        """An allocation failed."""
        self._state.emit(OutOfMemory(self._state.seconds(), name, step, self._device.name))


class DeviceResidents:
    """Called with the run's lock held, but for `choose`.

    Args:
        device: where.
        governor: its books.
        blocks: everything that is resident.
        news: tells what left.
        weights: of the whole run, those that need no work included.
        hardware: how many blocks to keep.
    """

    def __init__(
        self,
        device: Device,
        governor: Governor,
        blocks: BlockCache,
        events: LaneEvents,
        weights: Sequence[PairedWeight],
        hardware: HardwareSettings,
    ) -> None:
        self._device, self._governor, self._blocks, self._events = device, governor, blocks, events
        self._order = blocks_to_keep(weights, ALL_BLOCKS)
        sizes: dict[str, int] = Counter()
        for weight in weights:
            sizes[block_name(weight)] += resident_bytes(weight)
        none = device.host and hardware.memory_budget is None
        wanted = blocks_to_keep(weights, 0 if none else hardware.blocks_in_gpu)
        chosen = blocks_that_fit(wanted, sizes, governor.room_to_keep)
        self._keeping = frozenset(chosen)
        governor.keep_target = min(governor.room_to_keep, sum(sizes[block] for block in chosen))

    def enter(self) -> None:
        """Take over the blocks of an earlier run of the session that this run may keep; drops the others."""
        sizes = self._blocks.sizes(self._device.name)
        gone = tuple(sorted(sizes.keys() - self._keeping))
        for block in gone:
            self._blocks.drop(self._device.name, block)
        for block in sizes.keys() & self._keeping:
            self._governor.keep(block, sizes[block], self._order)
        if gone:
            self._events.offloaded("resident", "limit", gone, sum(sizes[block] for block in gone))

    def take(self, task: Task) -> Weights | None:
        """A layer's weights where they are resident; from then on they count as staged.

        A delta of sides that were compared otherwise is dropped.
        """
        block = block_name(task.weight)
        found = self._blocks.take(self._device.name, block, task.weight.name)
        if found is None:
            return None
        self._governor.release(block, found.nbytes)
        return found if found.serve(task.weight.rounding) else None

    def elsewhere(self, task: Task) -> bool:
        """Whether a layer is resident on another device."""
        place = self._blocks.device_of(block_name(task.weight), task.weight.name)
        return place not in (None, self._device.name)

    def choose(self, task: Task, worked: Worked) -> Weights | None:
        """The form in which a layer stays on the device; None where it does not stay."""
        delta = worked.difference.delta
        finite = delta is not None and math.isfinite(delta.energy)
        wanted = (
            block_name(task.weight) in self._keeping
            and finite
            and worked.weights.unread is None
            and not worked.outcome.on_cpu
        )
        return worked.smaller if wanted else None

    def keep(self, task: Task, kept: Weights) -> None:
        """Add a layer to the resident blocks."""
        block = block_name(task.weight)
        self._governor.keep(block, kept.nbytes, self._order)
        self._blocks.put(self._device.name, block, task.weight.name, kept, self._device.release)

    def drop(self, blocks: Sequence[str], cause: str) -> None:
        """Drop blocks from the device; emits one event."""
        freed = 0
        for block in blocks:
            freed += self._blocks.drop(self._device.name, block)
            self._governor.release(block)
        if blocks:
            self._events.offloaded("resident", cause, tuple(blocks), freed)

    @property
    def kept(self) -> int:
        """Blocks that are resident now; what lies outside the blocks does not count as one."""
        return len(self._governor.resident.keys() - {OUTSIDE})

    @property
    def all(self) -> int:
        """All blocks of the run."""
        return len(set(self._order) - {OUTSIDE})
