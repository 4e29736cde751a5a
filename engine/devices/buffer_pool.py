"""Host memory that is used again and again: fresh pages cost more than what is done with them."""

from __future__ import annotations

import threading

import torch

from engine.devices.memory_rules import BUFFER_STEP, BUFFER_WASTE


class HostBuffer:
    """A piece of host memory on loan from `BufferPool`."""

    def __init__(self, count: int, *, pinned: bool) -> None:
        self._bytes = torch.empty(count, dtype=torch.uint8, pin_memory=pinned)

    @property
    def capacity(self) -> int:
        """Its size in bytes."""
        return self._bytes.numel()

    def take(self, count: int) -> torch.Tensor:
        """So many bytes of it from its beginning, (count,) uint8, uninitialised."""
        if count > self.capacity:
            raise ValueError(f"{count} bytes of a buffer of {self.capacity}")
        return self._bytes[:count]


class BufferPool:
    """Lends buffers and keeps a few of those that come back. Any thread may call.

    Args:
        idle_bytes: what may be kept unused; beyond it the buffers that came back first are given to the system.
        pinned: memory that a device can copy from at full speed.
    """

    def __init__(self, idle_bytes: int, *, pinned: bool = False) -> None:
        self._most, self._pinned = idle_bytes, pinned
        self._idle: list[HostBuffer] = []
        self._lock = threading.Lock()

    def acquire(self, count: int) -> HostBuffer:
        """A buffer of at least so many bytes, and at most an eighth more."""
        with self._lock:
            fitting = [
                kept for kept in self._idle if count <= kept.capacity <= count + count // BUFFER_WASTE + BUFFER_STEP
            ]
            if fitting:
                best = min(fitting, key=lambda kept: kept.capacity)
                self._idle.remove(best)
                return best
        return HostBuffer(-(-count // BUFFER_STEP) * BUFFER_STEP, pinned=self._pinned)

    def release(self, buffer: HostBuffer) -> None:
        """Take a buffer back. Tensors in it are no longer valid."""
        with self._lock:
            self._idle.append(buffer)
            while self._idle and sum(kept.capacity for kept in self._idle) > self._most:
                self._idle.pop(0)

    def clear(self) -> None:
        """Give all that is unused to the system."""
        with self._lock:
            self._idle.clear()

    @property
    def idle_bytes(self) -> int:
        """Bytes kept unused."""
        with self._lock:
            return sum(kept.capacity for kept in self._idle)
