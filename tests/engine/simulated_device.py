"""A device that is not there: tensors on the host, every byte of them counted as the device's, and failures on demand.

What torch allocates inside `computing` and `upload` is counted storage by storage, from the moment it exists to the
moment nobody holds it. Where that exceeds the capacity, or a test says so, the allocation fails as torch's own does.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from engine.devices.device import Device
from engine.devices.memory_rules import MODE_SHARES
from engine.settings import HardwareSettings


class Memory:
    """The memory of a simulated device. `fails` is told the number of an allocation and its bytes."""

    def __init__(self, capacity: int, fails: Callable[[int, int], bool] = lambda number, size: False) -> None:
        self.capacity, self.fails = capacity, fails
        self.used = self.peak = self.allocations = self.failures = self.others = 0
        self._sizes: dict[int, int] = {}
        self._lock = threading.RLock()

    def hold(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage, unless it is counted."""
        storage = tensor.untyped_storage()
        with self._lock:
            key, size = storage._cdata, storage.nbytes()
            if key in self._sizes or size == 0:
                return
            self.allocations += 1
            if self.used + size + self.others > self.capacity or self.fails(self.allocations, size):
                self.failures += 1
                raise torch.OutOfMemoryError(f"simulated: {size} bytes")
            self._sizes[key] = size
            self.used += size
            self.peak = max(self.peak, self.used)
            weakref.finalize(storage, self._free, key)

    def let_go(self, tensor: torch.Tensor) -> None:
        """A tensor was copied to the host; its storage counts no more."""
        self._free(tensor.untyped_storage()._cdata)

    def _free(self, key: int) -> None:
        with self._lock:
            self.used -= self._sizes.pop(key, 0)


class _Counting(TorchDispatchMode):
    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_iter(result):
            if isinstance(leaf, torch.Tensor):
                self._memory.hold(leaf)
        return result


class SimulatedDevice(Device):
    """A device with memory of its own, as far as the engine can tell."""

    def __init__(self, name: str, hardware: HardwareSettings, memory: Memory) -> None:
        self.torch_device = torch.device("cpu")
        self.host, self.copied_bytes, self.title = False, 0, f"Simulated {name}"
        self.simulated, self._name = memory, name
        self._physical = memory.capacity
        self._limit_to(hardware)
        self._process = psutil.Process()
        self._peak_run = self._peak_rss = 0
        self._copies = None

    @property
    def name(self) -> str:
        return self._name

    def _measure(self, held: int) -> tuple[int, int]:
        return self.simulated.used, self._physical - self.simulated.used - self.simulated.others

    def upload(self, tensor: torch.Tensor) -> torch.Tensor:
        self.copied_bytes += tensor.numel() * tensor.element_size()
        with _Counting(self.simulated):
            return tensor.clone()

    def on_host(self, tensor: torch.Tensor) -> torch.Tensor:
        self.simulated.let_go(tensor)
        return tensor

    @contextmanager
    def computing(self) -> Iterator[None]:
        with _Counting(self.simulated):
            yield

    def wait(self) -> None:
        pass

    def release(self) -> None:
        pass

    def workers(self, hardware: HardwareSettings) -> tuple[int, int]:
        count = 1 if hardware.vram_usage_mode == "conservative" else hardware.batch_size
        return count, 1


def largest_share(hardware: HardwareSettings) -> float:
    """The part of a device that a mode lets a run hold."""
    share = MODE_SHARES[hardware.vram_usage_mode]
    return max(share, hardware.memory_threshold) if hardware.vram_usage_mode == "aggressive" else share
