"""The words in which a governor and its lane speak of memory. Data only, no torch."""

from __future__ import annotations

from dataclasses import dataclass

MODE_SHARES = {
    "conservative": 0.5,
    "balanced": 0.75,
    "aggressive": 0.9,
}  # of a device's memory, for the run's own bytes


@dataclass(frozen=True)
class Need:
    """Bytes of one layer on a device: both sides as read, and what the work on them takes beside."""

    source: int
    work: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.source + self.work


@dataclass(frozen=True)
class Relief:
    """What is to be done at once: resident blocks and staged layers to drop, and how the batch changed."""

    blocks: tuple[str, ...] = ()
    staged: tuple[int, ...] = ()
    batch_before: int = 0
    batch_after: int = 0
