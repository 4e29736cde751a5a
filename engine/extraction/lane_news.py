"""What a lane tells of its memory: every step in which something gave way."""

from __future__ import annotations

from typing import Literal, cast

from engine.devices.device import Device
from engine.devices.governor import Governor
from engine.devices.memory_rules import Relief
from engine.events import BatchSizeChanged, MemoryStep, OffloadCause, Offloaded, OutOfMemory
from engine.extraction.state import RunState


class LaneNews:
    """Words the events of one lane."""

    def __init__(self, device: Device, governor: Governor, state: RunState) -> None:
        self._device, self._governor, self._state = device, governor, state

    def offloaded(self, what: Literal["resident", "staged"], cause: str, blocks: tuple[str, ...], freed: int) -> None:
        """Blocks left the device. `blocks` may carry their component, which people do not need."""
        names = tuple(block.rpartition(":")[2] for block in blocks)
        self._state.tell(
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

    def batch_changed(self, relief: Relief, cause: str) -> None:
        """Fewer or more layers are worked on at once."""
        kind = cast(Literal["threshold", "out_of_memory", "recovered"], cause)
        seconds = self._state.seconds()
        self._state.tell(BatchSizeChanged(seconds, relief.batch_before, relief.batch_after, kind, self._device.name))

    def out_of_memory(self, name: str, step: MemoryStep) -> None:
        """An allocation failed."""
        self._state.tell(OutOfMemory(self._state.seconds(), name, step, self._device.name))
