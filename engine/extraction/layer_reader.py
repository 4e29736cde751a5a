"""Reading both sides of a layer into lent host memory, and copying them to the device."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import torch

from engine.checkpoints import Checkpoint
from engine.checkpoints.tensors import read_view
from engine.devices.buffer_pool import HostBuffer, HostBuffers
from engine.devices.device import Device
from engine.devices.memory_rules import Way
from engine.extraction.block_cache import Weights
from engine.models.pairing import PairedWeight
from engine.streamed_delta import UnreadPair


@dataclass(frozen=True)
class Staged:
    """A layer's weights, ready to be worked on.

    Attributes:
        weights: on the device, or on the host where the device is the processor or the layer waits there.
        read_seconds: time to read both sides.
        upload_seconds: time to copy them to the device.
    """

    weights: Weights
    read_seconds: float = 0.0
    upload_seconds: float = 0.0


class LayerReader:
    """Reads layers of one pair; any thread may call. Counts the bytes."""

    def __init__(self, finetuned: Checkpoint, original: Checkpoint) -> None:
        self._finetuned, self._original = finetuned, original
        self._lock = threading.Lock()
        self.read_bytes = 0

    def read(self, weight: PairedWeight, buffers: HostBuffers) -> Staged:
        """Read both sides of a weight into host memory.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        started = time.perf_counter()
        lent: list[HostBuffer] = []
        sides: list[torch.Tensor] = []
        for checkpoint, view in ((self._finetuned, weight.finetuned), (self._original, weight.original)):
            lent.append(buffers.lend(view.info.nbytes))
            sides.append(read_view(checkpoint, view, lent[-1]))
            with self._lock:
                self.read_bytes += view.info.nbytes
        weights = Weights(sides=(sides[0], sides[1]), buffers=tuple(lent))
        return Staged(weights, read_seconds=time.perf_counter() - started)

    def leave(self, weight: PairedWeight, way: Way) -> Staged:
        """Leave both sides of a weight in their files, to be read in parts by the thread that works on it."""

        def note(count: int) -> None:
            with self._lock:
                self.read_bytes += count

        return Staged(Weights(unread=UnreadPair((self._finetuned, self._original), weight, note), way=way))


def upload(staged: Staged, device: Device, buffers: HostBuffers) -> Staged:
    """Copy a layer that waits on the host to a device that has memory of its own; gives the host's memory back."""
    if device.host or not staged.weights.buffers or staged.weights.sides is None:
        return staged
    started = time.perf_counter()
    tuned, base = staged.weights.sides
    there = Weights(sides=(device.upload(tuned), device.upload(base)))
    for buffer in staged.weights.buffers:
        buffers.give_back(buffer)
    return Staged(there, staged.read_seconds, time.perf_counter() - started)
