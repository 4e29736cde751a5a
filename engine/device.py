"""Where the numbers are crunched: choosing a device, its memory, and exact float32 on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import psutil
import torch

from engine.errors import EngineError, ErrorCode
from engine.settings import HardwareSettings

MODE_SHARES = {"conservative": 0.5, "balanced": 0.75, "aggressive": 0.9}


@dataclass(frozen=True)
class MemoryUse:
    """Bytes at one moment: this run's share of the device, everybody's share, and the process's host memory."""

    run: int
    device_used: int
    rss: int


class Device:
    """One device and its memory gauge, from the start of a run.

    Attributes:
        torch_device: the device.
        title: in words.
        total_bytes: its memory; the budget, where one is given; on the CPU half of what is free.
    """

    def __init__(self, hardware: HardwareSettings) -> None:
        """Choose the device.

        Raises:
            EngineError: ``device_unavailable`` where the one asked for is not there.
        """
        self.torch_device = _choose(hardware.device)
        self._process = psutil.Process()
        self._baseline = self._process.memory_info().rss
        self._peak_run = 0
        self._peak_rss = self._baseline
        self.title, physical = _describe(self.torch_device)
        self.total_bytes = min(physical, hardware.memory_budget or physical)
        self.ceiling_bytes = int(self.total_bytes * MODE_SHARES[hardware.vram_usage_mode])
        self.threshold_bytes = int(self.total_bytes * hardware.memory_threshold)
        if self.torch_device.type != "cpu":
            # Once on this thread: torch loads a device's linear algebra lazily, and not from several threads at once.
            with suppress(NotImplementedError, RuntimeError):
                torch.linalg.qr(torch.eye(2, device=self.torch_device))
        if self.torch_device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.torch_device)

    def memory(self) -> MemoryUse:
        """What is in use now. On the CPU the run holds what the process grew by since the start."""
        rss = self._process.memory_info().rss
        kind = self.torch_device.type
        if kind == "cuda":
            free, total = torch.cuda.mem_get_info(self.torch_device)
            run, used = torch.cuda.memory_reserved(self.torch_device), total - free
            self._peak_run = max(self._peak_run, torch.cuda.max_memory_reserved(self.torch_device))
        elif kind == "xpu":
            run = used = torch.xpu.memory_reserved(self.torch_device)
        elif kind == "mps":
            run = used = int(torch.mps.driver_allocated_memory())
        else:
            run = used = max(0, rss - self._baseline)
        self._peak_run = max(self._peak_run, run)
        self._peak_rss = max(self._peak_rss, rss)
        return MemoryUse(run, used, rss)

    @property
    def peak_run_bytes(self) -> int:
        """Largest `MemoryUse.run` seen so far."""
        return self._peak_run

    @property
    def peak_rss_bytes(self) -> int:
        """Largest `MemoryUse.rss` seen so far."""
        return int(self._peak_rss)

    def side_by_side(self, hardware: HardwareSettings) -> tuple[int, int]:
        """How many layers to work on at the same time, and the cores for each."""
        cores = torch.get_num_threads()
        workers = 1 if hardware.vram_usage_mode == "conservative" else min(hardware.batch_size, cores)
        return workers, max(1, cores // workers)

    def wait(self) -> None:
        """Wait until everything queued on the device is done, so that a stage can be timed."""
        module = _module(self.torch_device)
        if module is not None:
            module.synchronize(*([] if self.torch_device.type == "mps" else [self.torch_device]))

    def release(self) -> None:
        """Give cached device memory back to the other programs."""
        module = _module(self.torch_device)
        if module is not None:
            module.empty_cache()


@contextmanager
def exact_float32() -> Iterator[None]:
    """Real float32 products for as long as this lasts: no TF32, no bfloat16 passes."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _choose(name: str) -> torch.device:
    if name == "auto":
        for kind in ("cuda", "xpu", "mps"):
            if _count(kind):
                return torch.device(kind, 0) if kind != "mps" else torch.device("mps")
        return torch.device("cpu")
    device = torch.device(name, 0) if name in ("cuda", "xpu") else torch.device(name)
    if device.type != "cpu" and (device.index or 0) >= _count(device.type):
        available = [f"{kind}:{index}" for kind in ("cuda", "xpu", "mps") for index in range(_count(kind))]
        raise EngineError(ErrorCode.DEVICE_UNAVAILABLE, device=name, available=["cpu", *available])
    return device


def _count(kind: str) -> int:
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    module: Any = getattr(torch, kind, None)
    return int(module.device_count()) if module is not None and module.is_available() else 0


def _module(device: torch.device) -> ModuleType | None:
    return None if device.type == "cpu" else getattr(torch, device.type)


def _describe(device: torch.device) -> tuple[str, int]:
    """Name and memory in bytes. The CPU may use half of what is free now."""
    if device.type == "cuda":
        properties: Any = torch.cuda.get_device_properties(device)
        return str(properties.name), int(properties.total_memory)
    if device.type == "xpu":
        card = torch.xpu.get_device_properties(device)
        return str(card.name), int(card.total_memory)
    memory = psutil.virtual_memory()
    if device.type == "mps":
        return "Apple GPU", int(torch.mps.recommended_max_memory())
    return f"CPU, {os.cpu_count()} cores", int(memory.available) // 2
