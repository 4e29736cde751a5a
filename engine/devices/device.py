"""Where the numbers are crunched: choosing devices, their memory, copies to them, and exact float32 on them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import psutil
import torch

from engine.devices.memory_rules import ceiling_share, layers_at_once
from engine.errors import EngineError, ErrorCode
from engine.settings import HardwareSettings

_STREAMED = ("cuda", "xpu")  # copies and computations run on streams of their own


@dataclass(frozen=True)
class MemoryUse:
    """Bytes at one moment: this run's share of the device, everybody's share, and the process's host memory."""

    run: int
    device_used: int
    rss: int


class Device:
    """One device, from the start of a run. ROCm cards are ``cuda`` devices to torch, and so here.

    Attributes:
        torch_device: the device.
        title: in words.
        total_bytes: its memory; the budget, where one is given; on the CPU half of what is free.
        ceiling_bytes: what a run may hold of it by its mode.
        threshold_bytes: use by all programs above which a run gives way.
        host: its memory is the host's, so that nothing needs to be copied to it.
        copied_bytes: copied to it so far.
    """

    def __init__(self, name: str, hardware: HardwareSettings) -> None:
        """Choose a device by its name.

        Raises:
            EngineError: ``device_unavailable`` where it is not there.
        """
        self.torch_device = _find(name)
        self.host = self.torch_device.type == "cpu"
        self.copied_bytes = 0
        self._process = psutil.Process()
        self._peak_run = self._peak_rss = 0
        self.title, self._physical = _describe(self.torch_device)
        self._limit_to(hardware)
        self._copies: Any = None
        self._streams = threading.local()
        if not self.host:
            # Once on this thread: torch loads a device's linear algebra lazily, and not from several threads at once.
            with suppress(NotImplementedError, RuntimeError):
                torch.linalg.qr(torch.eye(2, device=self.torch_device))
        if self.torch_device.type in _STREAMED:
            self._copies = self._module().Stream(self.torch_device)

    def _limit_to(self, hardware: HardwareSettings) -> None:
        usual = self._physical // 2 if self.host else self._physical
        self.total_bytes = min(self._physical, hardware.memory_budget or usual)
        self.ceiling_bytes = int(self.total_bytes * ceiling_share(hardware))
        self.threshold_bytes = int(self.total_bytes * hardware.memory_threshold)

    @property
    def name(self) -> str:
        """``cpu``, ``cuda:0``, ..."""
        return str(self.torch_device)

    def memory(self, held: int = 0) -> MemoryUse:
        """What is in use now.

        Args:
            held: what the run holds by its own books, which is what counts where the memory is the host's.
        """
        run, free = self._measure(held)
        rss = int(self._process.memory_info().rss)
        self._peak_run, self._peak_rss = max(self._peak_run, run), max(self._peak_rss, rss)
        return MemoryUse(run, max(run, self.total_bytes - free), rss)

    def _measure(self, held: int) -> tuple[int, int]:
        """Bytes that the run holds and bytes that are free."""
        kind = self.torch_device.type
        if kind == "cpu":
            return held, int(psutil.virtual_memory().available)
        if kind == "mps":
            run = int(torch.mps.driver_allocated_memory())
            return run, self._physical - run
        module: Any = self._module()
        run = int(module.memory_reserved(self.torch_device))
        if not hasattr(module, "mem_get_info"):
            return run, self._physical - run
        return run, int(module.mem_get_info(self.torch_device)[0])

    @property
    def peak_run_bytes(self) -> int:
        """Largest `MemoryUse.run` seen so far."""
        return self._peak_run

    @property
    def peak_rss_bytes(self) -> int:
        """Largest `MemoryUse.rss` seen so far."""
        return self._peak_rss

    def upload(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copy a host tensor to the device and wait for it, beside what is computed there; itself where it is there."""
        if self.host:
            return tensor
        self.copied_bytes += tensor.numel() * tensor.element_size()
        if self._copies is None:
            return tensor.to(self.torch_device)
        with self._on(self._copies):
            copied = tensor.to(self.torch_device, non_blocking=True)
        self._copies.synchronize()
        return copied

    def on_host(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor in the host's memory; itself where it is there."""
        return tensor.cpu()

    def computing(self) -> AbstractContextManager[None]:
        """What a thread computes on the device meanwhile goes to a stream of its own, the same one every time."""
        if self._copies is None:
            return nullcontext()
        if not hasattr(self._streams, "own"):
            self._streams.own = self._module().Stream(self.torch_device)
        return self._on(self._streams.own)

    def adopt(self, tensor: torch.Tensor) -> None:
        """Tell the allocator that the current stream works on a tensor that another stream has made."""
        if self._copies is not None and tensor.device.type == self.torch_device.type:
            tensor.record_stream(self._module().current_stream(self.torch_device))

    def wait(self) -> None:
        """Wait until everything this thread queued on the device is done, so that a stage can be timed."""
        if self._copies is not None:
            self._module().current_stream(self.torch_device).synchronize()
        elif not self.host:
            self._module().synchronize()

    def release(self) -> None:
        """Give cached device memory back to the other programs."""
        if not self.host:
            self._module().empty_cache()

    def workers(self, hardware: HardwareSettings) -> tuple[int, int]:
        """How many layers may be worked on at once, and the processor's cores for each."""
        cores = torch.get_num_threads()
        count = layers_at_once(hardware, cores, host=self.host)
        return count, max(1, cores // count)

    def _module(self) -> Any:
        return _module(self.torch_device)

    def _on(self, stream: Any) -> AbstractContextManager[None]:
        context: AbstractContextManager[None] = self._module().stream(stream)
        return context


def choose_devices(hardware: HardwareSettings) -> tuple[Device, ...]:
    """The devices that the settings name: one, several, or all accelerators.

    Raises:
        EngineError: ``device_unavailable`` where one is not there.
    """
    if hardware.device == "all":
        names = _accelerators() or ["cpu"]
    else:
        names = list(dict.fromkeys(map(_with_index, hardware.device.split(","))))
    return tuple(Device(name, hardware) for name in names)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that an allocation failed; not all of torch's allocators have a class for it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    )


@contextmanager
def exact_float32() -> Iterator[None]:
    """Real float32 products for as long as this lasts: no TF32, no bfloat16 passes."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _find(name: str) -> torch.device:
    if name == "auto":
        return torch.device(next(iter(_accelerators()), "cpu"))
    device = torch.device(_with_index(name))
    if device.type != "cpu" and (device.index or 0) >= _count(device.type):
        raise EngineError(ErrorCode.DEVICE_UNAVAILABLE, device=name, available=["cpu", *_accelerators()])
    return device


def _with_index(name: str) -> str:
    return f"{name}:0" if name in _STREAMED else name


def _accelerators() -> list[str]:
    return [f"{kind}:{i}" if kind != "mps" else kind for kind in ("cuda", "xpu", "mps") for i in range(_count(kind))]


def _count(kind: str) -> int:
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    module: Any = getattr(torch, kind, None)
    return int(module.device_count()) if module is not None and module.is_available() else 0


def _module(device: torch.device) -> ModuleType:
    module: ModuleType = getattr(torch, device.type)
    return module


def _describe(device: torch.device) -> tuple[str, int]:
    """Name and memory in bytes; for the CPU what is free of it now."""
    if device.type == "cuda":
        properties: Any = torch.cuda.get_device_properties(device)
        return str(properties.name), int(properties.total_memory)
    if device.type == "xpu":
        card = torch.xpu.get_device_properties(device)
        return str(card.name), int(card.total_memory)
    if device.type == "mps":
        return "Apple GPU", int(torch.mps.recommended_max_memory())
    return f"CPU, {os.cpu_count()} cores", int(psutil.virtual_memory().available)
