"""The words in which a governor and its lane speak of memory, and how the settings divide it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.settings import HardwareSettings

MODE_SHARES = {"conservative": 0.5, "balanced": 0.75, "aggressive": 0.9}  # of a device's memory, for the run itself
IDLE_PART = 16  # of the ceiling, one part may lie in unused host buffers
READERS = 2  # of one device, so that one reads while the other copies, or waits for the drive
BUFFER_STEP = 64 * 1024  # host buffers have a multiple of this size
BUFFER_WASTE = 8  # and may be larger than what is asked for by one part in so many
MOST_WAITING = 512 * 1024 * 1024  # bytes of results that wait for an earlier one before nothing else is begun


def ceiling_share(hardware: HardwareSettings) -> float:
    """The part of a device's memory that a run may fill."""
    share = MODE_SHARES[hardware.vram_usage_mode]
    return max(share, hardware.memory_threshold) if hardware.vram_usage_mode == "aggressive" else share


def layers_at_once(hardware: HardwareSettings, cores: int, *, host: bool) -> int:
    """How many layers may be worked on at once; on a processor (`host`) no more than it has cores."""
    if hardware.vram_usage_mode == "conservative":
        return 1
    return max(1, min(hardware.batch_size, cores)) if host else hardware.batch_size


def pooled_bytes(count: int) -> int:
    """The largest host buffer that may be lent for so many bytes, see `engine.devices.buffer_pool`."""
    return count + count // BUFFER_WASTE + 2 * BUFFER_STEP


PART_VALUES = 1 << 21  # values of a weight that are read at once where its sides are not held
Way = Literal["whole", "filled", "pieces"]


@dataclass(frozen=True)
class Need:
    """Bytes of one layer on a device: both sides as read, and what the work on them takes beside.

    Attributes:
        source: both sides; nothing where they are not held.
        work: everything else.
        way: how it is worked on: ``whole`` with its sides and its delta in memory, ``filled`` with the delta alone,
            read part by part, or in ``pieces``, with not even that.
    """

    source: int
    work: int
    way: Way = "whole"

    @property
    def total(self) -> int:
        """Both together."""
        return self.source + self.work


@dataclass(frozen=True)
class Eviction:
    """What is to be done at once: resident blocks and staged layers to drop, and how the batch changed."""

    blocks: tuple[str, ...] = ()
    prefetched: tuple[int, ...] = ()
    batch_before: int = 0
    batch_after: int = 0
