"""What a plan will take, before it starts: time, memory, room on the disks, and what will not fit. Pure, no torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import psutil

from engine.costs import journal_bytes, lent_bytes, measuring_need, need, resident_bytes, stored_bytes
from engine.disk import free_bytes, same_disk
from engine.governor import Governor
from engine.memory_terms import MODE_SHARES, Need
from engine.pairing import PairedWeight
from engine.planning import Plan
from engine.residency import block_name, blocks_that_fit, blocks_to_keep
from engine.results import Kept
from engine.run_queue import Task
from engine.settings import HardwareSettings

_IDLE_PART = 16  # of the ceiling, one part may lie in unused host buffers
_READERS = 2  # of one device
_WAITING_BYTES = 512 * 1024 * 1024  # of results that wait for an earlier one before nothing else is begun
_EXACT_TYPES = ("standard", "full")  # whose files' sizes are known; of the others only a bound is


@dataclass(frozen=True)
class Speed:
    """What a machine does, learnt from what it did.

    Attributes:
        work_per_second: units of `Plan.costs` by second of wall time, all workers of the device together.
        read_per_second: bytes of the models.
        layer_seconds: wall time of a layer beside its work: starting, telling, storing.
    """

    work_per_second: float
    read_per_second: float
    layer_seconds: float = 0.0


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
class Room:
    """What the machine has free. None where the system does not tell.

    Attributes:
        host_bytes: memory that programs can have.
        output_bytes: on the disk of the output folder.
        journal_bytes: on the disk of the cache folder.
        one_disk: both folders are on the same disk.
    """

    host_bytes: int | None
    output_bytes: int | None
    journal_bytes: int | None
    one_disk: bool


@dataclass(frozen=True)
class Labour:
    """What is to be done: layers and measured weights, their work in the unit of `Plan.costs`, bytes to read."""

    layers: int
    work: float
    read_bytes: int


@dataclass(frozen=True)
class Amount:
    """Bytes that a run takes at most, and how many there are; None where nobody knows."""

    needed: int
    at_hand: int | None

    @property
    def fits(self) -> bool:
        """Whether there are enough, as far as is known."""
        return self.at_hand is None or self.needed <= self.at_hand


class ProblemCode(str, Enum):
    """Why a plan does not fit the machine. The application words it."""

    LAYER_EXCEEDS_DEVICE = "layer_exceeds_device"  # data: name, needed, at_hand; the processor does it
    LAYER_EXCEEDS_BUDGET = "layer_exceeds_budget"  # data: name, needed, budget
    LAYER_EXCEEDS_SHARE = "layer_exceeds_share"  # data: name, needed, at_hand; it runs alone, above the run's share
    HOST_MEMORY_SHORT = "host_memory_short"  # data: name of the largest layer, needed, at_hand
    OUTPUT_DISK_SHORT = "output_disk_short"  # data: needed, at_hand, folder, exact
    JOURNAL_DISK_SHORT = "journal_disk_short"  # data: needed, at_hand; the run keeps no journal


@dataclass(frozen=True)
class Problem:
    """One thing that does not fit; `hindering` where the run may fail or take far longer for it."""

    code: ProblemCode
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def hindering(self) -> bool:
        """Whether it is more than a remark."""
        mild = (ProblemCode.LAYER_EXCEEDS_SHARE, ProblemCode.JOURNAL_DISK_SHORT)
        return self.code not in mild and self.data.get("exact", True) is True


@dataclass(frozen=True)
class Estimate:
    """What a plan will take.

    Attributes:
        seconds: None while the machine's speed is not known.
        labour: what earlier runs have not left.
        device: the most that the run holds of the device, and its memory; None while the device is not known.
        device_limit: what the run may hold of it by its mode and beside other programs.
        host: the most that the run adds to the process's host memory.
        output: the file.
        journal: beside it, what the journal may grow to.
        one_disk: the two are on one disk.
        problems: the worst first.
    """

    seconds: float | None
    labour: Labour
    device: Amount | None
    device_limit: int | None
    host: Amount | None
    output: Amount
    journal: Amount
    one_disk: bool
    problems: tuple[Problem, ...]


def room_at(output_folder: Path, journal_folder: Path) -> Room:
    """Look at memory and disks; the folders need not exist. May wait for a slow disk."""
    return Room(
        int(psutil.virtual_memory().available),
        free_bytes(output_folder),
        free_bytes(journal_folder),
        same_disk(output_folder, journal_folder),
    )


def estimate(plan: Plan, kept: Kept | None, device: DeviceMemory | None, speed: Speed | None, room: Room) -> Estimate:
    """What a plan will take.

    Args:
        plan: what to do.
        kept: what earlier runs left for it.
        device: where; None while it is not known.
        speed: of that device with this method; None while it is not known.
        room: what is free.
    """
    tasks, work = _left(plan, kept)
    doing = _labour(tasks, work)
    output = Amount(plan.output_bytes, room.output_bytes)
    journal = Amount(_journal_bytes(plan, tasks), _beside(plan, room))
    problems = [*_disk_problems(plan, output, journal)]
    on_device = host = limit = None
    if device is not None:
        limits = _Limits.of(plan.hardware, device)
        limit, needs = limits.limit, {task.index: _need(plan, task, host=device.host) for task in tasks}
        on_device = Amount(_device_bytes(plan, tasks, needs, device, limits), device.total_bytes)
        host = Amount(_host_bytes(plan, tasks, on_device.needed, device, limits), room.host_bytes)
        problems += _memory_problems(plan, tasks, needs, device, limits, host)
    return Estimate(
        seconds=None if speed is None else seconds_for(doing, speed),
        labour=doing,
        device=on_device,
        device_limit=limit,
        host=host,
        output=output,
        journal=journal,
        one_disk=room.one_disk,
        problems=tuple(sorted(problems, key=lambda problem: not problem.hindering)),
    )


def labour(plan: Plan, kept: Kept | None = None) -> Labour:
    """What is to be done for a plan, without what earlier runs left."""
    return _labour(*_left(plan, kept))


def seconds_for(doing: Labour, speed: Speed) -> float:
    """Wall time: reading and computing overlap, so that the slower of the two counts."""
    return max(
        doing.layers * speed.layer_seconds + doing.work / speed.work_per_second,
        doing.read_bytes / speed.read_per_second,
    )


@dataclass(frozen=True)
class _Limits:
    """How `Device` and `Governor` divide a device's memory."""

    ceiling: int
    limit: int
    idle: int
    workers: int

    @classmethod
    def of(cls, hardware: HardwareSettings, device: DeviceMemory) -> _Limits:
        share = MODE_SHARES[hardware.vram_usage_mode]
        if hardware.vram_usage_mode == "aggressive":
            share = max(share, hardware.memory_threshold)
        whole = int(device.total_bytes * share)
        idle = whole // _IDLE_PART
        ceiling = whole - (idle if device.host else 0)
        threshold = int(device.total_bytes * hardware.memory_threshold)
        limit = max(0, min(ceiling, threshold - device.others_bytes))
        most = min(hardware.batch_size, device.cores) if device.host else hardware.batch_size
        return cls(ceiling, limit, idle, 1 if hardware.vram_usage_mode == "conservative" else max(1, most))


def _left(plan: Plan, kept: Kept | None) -> tuple[list[Task], float]:
    """What is not done yet, and its work: runs finish their layers in the order of the plan."""
    done = min(kept.layers, len(plan.layers)) if kept is not None else 0
    if done == len(plan.layers):
        return [], 0.0
    tasks = list(plan.tasks[done:])
    return tasks, sum(plan.costs[task.index] for task in tasks)


def _labour(tasks: list[Task], work: float) -> Labour:
    sides = ((task.weight.finetuned, task.weight.original) for task in tasks)
    return Labour(len(tasks), work, sum(view.info.nbytes for pair in sides for view in pair))


def _need(plan: Plan, task: Task, *, host: bool) -> Need:
    return (measuring_need if task.measured else need)(task.weight, plan.settings, host=host)


def _device_bytes(plan: Plan, tasks: list[Task], needs: dict[int, Need], device: DeviceMemory, limits: _Limits) -> int:
    """The most that the books of the device will hold: what stays, what is read ahead, what is at work, results."""
    if not needs:
        return 0
    keeping = _resident_target(plan, needs, device, limits)
    busy = max(_window_bytes(tasks, needs, first, plan.hardware, limits) for first in _block_starts(tasks))
    results = min(_WAITING_BYTES, sum(_result_bytes(plan, task) for task in tasks)) if device.host else 0
    largest = max(item.total for item in needs.values())
    return max(largest, min(limits.limit, keeping + busy + results))


def _block_starts(tasks: list[Task]) -> list[int]:
    return [at for at, task in enumerate(tasks) if at == 0 or tasks[at - 1].position != task.position]


def _window_bytes(
    tasks: list[Task], needs: dict[int, Need], first: int, hardware: HardwareSettings, limits: _Limits
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


def _resident_target(plan: Plan, needs: dict[int, Need], device: DeviceMemory, limits: _Limits) -> int:
    """Bytes of blocks that the run will keep for a next one."""
    if device.host and plan.hardware.memory_budget is None:
        return 0
    weights = [task.weight for task in plan.tasks]
    sizes: Counter[str] = Counter()
    for weight in weights:
        sizes[block_name(weight)] += resident_bytes(weight, host=device.host)
    governor = Governor(ceiling=limits.ceiling, threshold=limits.ceiling, batch_size=limits.workers, needs=needs)
    room = governor.room_to_keep
    chosen = blocks_that_fit(blocks_to_keep(weights, plan.hardware.blocks_in_gpu), sizes, room)
    return min(room, sum(sizes[block] for block in chosen))


def _host_bytes(plan: Plan, tasks: list[Task], on_device: int, device: DeviceMemory, limits: _Limits) -> int:
    """What the run adds to the process: everything on a processor; else buffers on the way, and results."""
    if not tasks:
        return 0
    if device.host:
        return on_device + min(limits.idle, sum(_host_source(task.weight) for task in tasks))
    sources = sorted((_host_source(task.weight) for task in tasks), reverse=True)
    conservative = plan.hardware.vram_usage_mode == "conservative"
    staged = sum(sources[: plan.hardware.batch_size]) if conservative else 0
    buffers = sum(sources[:_READERS]) + staged + min(limits.idle, sum(sources))
    results = min(_WAITING_BYTES, sum(_result_bytes(plan, task) for task in tasks))
    beaten = [task for task in tasks if _need(plan, task, host=False).total > device.total_bytes - device.others_bytes]
    return buffers + results + max((_need(plan, task, host=True).total for task in beaten), default=0)


def _host_source(weight: PairedWeight) -> int:
    return lent_bytes(weight.finetuned.info.nbytes) + lent_bytes(weight.original.info.nbytes)


def _result_bytes(plan: Plan, task: Task) -> int:
    """What a finished layer holds until it is written: its tensors, and what goes to the journal."""
    if task.measured:
        return 0
    return stored_bytes(task.weight, plan.settings) + journal_bytes(task.weight, plan.settings)


def _journal_bytes(plan: Plan, tasks: list[Task]) -> int:
    return sum(journal_bytes(task.weight, plan.settings) for task in tasks if not task.measured)


def _beside(plan: Plan, room: Room) -> int | None:
    """What the journal's disk has once the output is on it; of ``full`` the output is the journal."""
    if room.journal_bytes is None or not room.one_disk:
        return room.journal_bytes
    return max(0, room.journal_bytes - plan.output_bytes)


def _disk_problems(plan: Plan, output: Amount, journal: Amount) -> list[Problem]:
    exact = plan.settings.lora_type in _EXACT_TYPES
    if not output.fits:
        data = {"needed": output.needed, "at_hand": output.at_hand, "folder": str(plan.folder), "exact": exact}
        return [Problem(ProblemCode.OUTPUT_DISK_SHORT, data)]
    if not journal.fits and exact:
        return [Problem(ProblemCode.JOURNAL_DISK_SHORT, {"needed": journal.needed, "at_hand": journal.at_hand})]
    return []


def _memory_problems(
    plan: Plan,
    tasks: list[Task],
    needs: dict[int, Need],
    device: DeviceMemory,
    limits: _Limits,
    host: Amount,
) -> list[Problem]:
    if not tasks:
        return []
    largest = max(tasks, key=lambda task: needs[task.index].total)
    needed, free = needs[largest.index].total, max(0, device.total_bytes - device.others_bytes)
    known: dict[str, Any] = {"name": largest.weight.name, "needed": needed}
    problems = []
    budget = plan.hardware.memory_budget
    if budget is not None and needed > device.total_bytes == budget:
        problems.append(Problem(ProblemCode.LAYER_EXCEEDS_BUDGET, known | {"budget": int(budget)}))
    elif not device.host and needed > free:
        problems.append(Problem(ProblemCode.LAYER_EXCEEDS_DEVICE, known | {"at_hand": free}))
    elif needed > limits.limit:
        problems.append(Problem(ProblemCode.LAYER_EXCEEDS_SHARE, known | {"at_hand": limits.limit}))
    if not host.fits:
        short = {"name": largest.weight.name, "needed": host.needed, "at_hand": host.at_hand}
        problems.append(Problem(ProblemCode.HOST_MEMORY_SHORT, short))
    return problems
