"""The most that a plan will hold of a device and of the host, by the rules of lane and governor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from engine.devices.governor import Governor
from engine.devices.memory_rules import (
    IDLE_PART,
    MOST_WAITING,
    READERS,
    Need,
    ceiling_share,
    layers_at_once,
    pooled_bytes,
)
from engine.models.pairing import PairedWeight
from engine.planning.costs import (
    journal_bytes,
    measuring_need,
    need,
    need_within,
    resident_bytes,
    stored_bytes,
)
from engine.planning.plan import Plan
from engine.planning.residency import block_name, blocks_that_fit, blocks_to_keep
from engine.planning.task import Task
from engine.settings import HardwareSettings


@dataclass(frozen=True)
class DeviceMemory:
    """The device that would compute.

    Attributes:
        host: it is the processor, and its memory the host's.
        total_bytes: what a run may treat as its memory: the budget, where there is one.
        others_bytes: of that, what other programs hold.
        cores: of the processor; layers at once are no more than that where it computes.
    """

    host: bool
    total_bytes: int
    others_bytes: int = 0
    cores: int = 1


@dataclass(frozen=True)
class Limits:
    """How `Device` and `Governor` divide a device's memory.

    Attributes:
        ceiling: bytes that the governor may give out.
        limit: of those, what is left beside other programs.
        idle: bytes that may lie in unused host buffers.
        workers: layers at once.
    """

    ceiling: int
    limit: int
    idle: int
    workers: int

    @classmethod
    def of(cls, hardware: HardwareSettings, device: DeviceMemory) -> Limits:
        """The limits of a run with these settings."""
        whole = int(device.total_bytes * ceiling_share(hardware))
        idle = whole // IDLE_PART
        ceiling = whole - (idle if device.host else 0)
        threshold = int(device.total_bytes * hardware.memory_threshold)
        limit = max(0, min(ceiling, threshold - device.others_bytes))
        return cls(ceiling, limit, idle, layers_at_once(hardware, device.cores, host=device.host))


def task_need(plan: Plan, task: Task, *, host: bool, ceiling: int | None = None) -> Need:
    """What a layer, or a weight that is only measured, takes on its device.

    Args:
        plan: the run.
        task: the layer.
        host: the device is the processor.
        ceiling: what the run may hold of it; there it decides how the layer is worked on.
    """
    if host and ceiling is not None:
        return need_within(task.weight, plan.method, ceiling, measured=task.measured)
    return (measuring_need if task.measured else need)(task.weight, plan.method, host=host)


def device_bytes(plan: Plan, tasks: list[Task], needs: dict[int, Need], device: DeviceMemory, limits: Limits) -> int:
    """The most that the books of the device will hold: what stays, what is read ahead, what is at work, results."""
    if not needs:
        return 0
    keeping = _resident_target(plan, needs, device, limits)
    busy = max(_window_bytes(tasks, needs, first, plan.hardware, limits) for first in _block_starts(tasks))
    results = min(MOST_WAITING, sum(_result_bytes(plan, task) for task in tasks)) if device.host else 0
    largest = max(item.total for item in needs.values())
    return max(largest, min(limits.limit, keeping + busy + results))


def _block_starts(tasks: list[Task]) -> list[int]:
    return [at for at, task in enumerate(tasks) if at == 0 or tasks[at - 1].position != task.position]


def _window_bytes(
    tasks: list[Task], needs: dict[int, Need], first: int, hardware: HardwareSettings, limits: Limits
) -> int:
    """What lies on the device while one block is worked on and those behind it are read."""
    last = first
    while last < len(tasks) and (
        tasks[last].position - tasks[first].position <= hardware.prefetch_ahead or last - first < limits.workers
    ):
        last += 1
    window = [needs[task.index] for task in tasks[first:last]]
    working = sorted((item.work for item in window), reverse=True)[: limits.workers]
    if hardware.vram_usage_mode != "conservative":
        return sum(item.source for item in window) + sum(working)
    return max(item.total for item in window)


def _resident_target(plan: Plan, needs: dict[int, Need], device: DeviceMemory, limits: Limits) -> int:
    """Bytes of blocks that the run will keep for a next one."""
    if device.host and plan.hardware.memory_budget is None:
        return 0
    weights = [task.weight for task in plan.tasks]
    sizes: Counter[str] = Counter()
    for weight in weights:
        sizes[block_name(weight)] += resident_bytes(weight)
    governor = Governor(ceiling=limits.ceiling, threshold=limits.ceiling, batch_size=limits.workers, needs=needs)
    room = governor.room_to_keep
    chosen = blocks_that_fit(blocks_to_keep(weights, plan.hardware.blocks_in_gpu), sizes, room)
    return min(room, sum(sizes[block] for block in chosen))


def host_bytes(plan: Plan, tasks: list[Task], on_device: int, device: DeviceMemory, limits: Limits) -> int:
    """What the run adds to the process: everything on a processor; else buffers on the way, and results."""
    if not tasks:
        return 0
    if device.host:
        return on_device + min(limits.idle, sum(_host_source(task.weight) for task in tasks))
    sources = sorted((_host_source(task.weight) for task in tasks), reverse=True)
    conservative = plan.hardware.vram_usage_mode == "conservative"
    prefetched = sum(sources[: plan.hardware.batch_size]) if conservative else 0
    buffers = sum(sources[:READERS]) + prefetched + min(limits.idle, sum(sources))
    results = min(MOST_WAITING, sum(_result_bytes(plan, task) for task in tasks))
    beaten = [
        task for task in tasks if task_need(plan, task, host=False).total > device.total_bytes - device.others_bytes
    ]
    return buffers + results + max((task_need(plan, task, host=True).total for task in beaten), default=0)


def _host_source(weight: PairedWeight) -> int:
    return pooled_bytes(weight.finetuned.buffer_bytes) + pooled_bytes(weight.original.buffer_bytes)


def _result_bytes(plan: Plan, task: Task) -> int:
    """What a finished layer holds until it is written: its tensors, and what goes to the journal."""
    if task.measured:
        return 0
    stored = sum(stored_bytes(task.weight, plan.method, rule) for rule in plan.method.storing)
    return stored + journal_bytes(task.weight, plan.method)
