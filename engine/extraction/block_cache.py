"""Weights that stay on their device between two extractions of one session, block by block.

A layer stays as its two sides as stored or as its float32 delta, whichever is smaller.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from engine.checkpoints.rounding import Rounding
from engine.checkpoints.tensors import EncodedWeight
from engine.decompose.delta import Delta
from engine.devices.buffer_pool import HostBuffer
from engine.devices.memory_rules import Way
from engine.streamed_delta import UnreadPair


@dataclass(frozen=True)
class Weights:
    """One layer's weights on a device: two sides, or their difference.

    Attributes:
        sides: fine-tuned and original, each as its file stores it.
        delta: their difference; None where the sides are held.
        unread: both sides, left in their files; how they are to be worked on is `way`.
        way: see `engine.devices.memory_rules.Need`.
        buffers: lent host memory that the tensors lie in.
        rounding: how the sides were compared where there is a delta; it is of no use where they are compared otherwise.
        cut_seed: of what the delta's `noise_cut` was drawn with; None where none was.
    """

    sides: tuple[EncodedWeight, EncodedWeight] | None = None
    delta: Delta | None = None
    unread: UnreadPair | None = None
    way: Way = "whole"
    buffers: tuple[HostBuffer, ...] = ()
    rounding: Rounding | None = None
    cut_seed: int | None = None

    def serve(self, rounding: Rounding | None) -> bool:
        """Whether the delta of a weight that is compared so can be had from this."""
        return self.delta is None or self.rounding == rounding

    @property
    def nbytes(self) -> int:
        """Memory that is held: of lent buffers the whole."""
        if self.buffers:
            return sum(buffer.capacity for buffer in self.buffers)
        if self.sides is not None:
            return sum(side.nbytes for side in self.sides)
        return 0 if self.delta is None else self.delta.values.numel() * self.delta.values.element_size()


class BlockCache:
    """Everything that is resident, by device, block and layer. Any thread may call."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, dict[str, Weights]]] = {}
        self._release: dict[str, Callable[[], None]] = {}
        self._lock = threading.Lock()

    def put(self, device: str, block: str, layer: str, weights: Weights, release: Callable[[], None]) -> None:
        """Keep a layer. `release` gives the device's freed memory back to the system."""
        with self._lock:
            self._held.setdefault(device, {}).setdefault(block, {})[layer] = weights
            self._release[device] = release

    def take(self, device: str, block: str, layer: str) -> Weights | None:
        """Take a layer out, if it is there."""
        with self._lock:
            layers = self._held.get(device, {}).get(block, {})
            found = layers.pop(layer, None)
            if found is not None and not layers:
                del self._held[device][block]
            return found

    def look(self, block: str, layer: str) -> Weights | None:
        """A layer on any device; it stays."""
        with self._lock:
            places = (blocks.get(block, {}).get(layer) for blocks in self._held.values())
            return next((found for found in places if found is not None), None)

    def device_of(self, block: str, layer: str) -> str | None:
        """The device a layer is on."""
        with self._lock:
            return next((name for name, blocks in self._held.items() if layer in blocks.get(block, {})), None)

    def drop(self, device: str, block: str) -> int:
        """Let go of a block; returns its bytes."""
        with self._lock:
            gone = self._held.get(device, {}).pop(block, {})
            return sum(weights.nbytes for weights in gone.values())

    def sizes(self, device: str) -> dict[str, int]:
        """Bytes of each block on a device."""
        with self._lock:
            blocks = self._held.get(device, {})
            return {block: sum(weights.nbytes for weights in layers.values()) for block, layers in blocks.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of everything."""
        with self._lock:
            devices = self._held.values()
            return sum(kept.nbytes for blocks in devices for layers in blocks.values() for kept in layers.values())

    def clear(self, but: frozenset[str] = frozenset()) -> int:
        """Let go of everything on all devices but some, and give the memory back; returns its bytes."""
        freed, releases = 0, []
        with self._lock:
            for device in [name for name in self._held if name not in but]:
                blocks = self._held.pop(device)
                freed += sum(kept.nbytes for layers in blocks.values() for kept in layers.values())
                releases.append(self._release[device])
                blocks.clear()
        for release in releases:
            release()
        return freed
