"""What a plan will take, before it starts: time, memory, room on the disks, and what will not fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import psutil

from engine.devices.memory_rules import Need
from engine.disk import free_bytes, same_disk
from engine.planning.costs import journal_bytes
from engine.planning.memory_estimate import DeviceMemory, Limits, device_bytes, host_bytes, task_need
from engine.planning.plan import Plan
from engine.planning.task import Task
from engine.planning.work import restoring_work
from engine.results import Reusable


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
class FreeSpace:
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
class Workload:
    """What is to be done.

    Attributes:
        layers: and measured weights, without those that are taken from records.
        work: on them, and what taking the others from their records takes, in the unit of `Plan.costs`.
        read_bytes: of the models.
    """

    layers: int
    work: float
    read_bytes: int


@dataclass(frozen=True)
class Amount:
    """Bytes that a run takes at most, and how many there are; None where nobody knows."""

    needed: int
    available: int | None

    @property
    def fits(self) -> bool:
        """Whether there are enough, as far as is known."""
        return self.available is None or self.needed <= self.available


class ProblemCode(str, Enum):
    """Why a plan does not fit the machine. The application words it."""

    LAYER_EXCEEDS_DEVICE = "layer_exceeds_device"  # data: name, needed, available; the processor does it
    LAYER_EXCEEDS_BUDGET = "layer_exceeds_budget"  # data: name, needed, budget; it runs alone, above the budget
    LAYER_EXCEEDS_SHARE = "layer_exceeds_share"  # data: name, needed, available; it runs alone, above the run's share
    HOST_MEMORY_SHORT = "host_memory_short"  # data: name of the largest layer, needed, available
    OUTPUT_DISK_SHORT = "output_disk_short"  # data: needed, available, folder, exact
    JOURNAL_DISK_SHORT = "journal_disk_short"  # data: needed, available; the run keeps no journal


@dataclass(frozen=True)
class Problem:
    """One thing that does not fit; `blocking` where the run may fail or take far longer for it."""

    code: ProblemCode
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def blocking(self) -> bool:
        """Whether it is more than a remark."""
        mild = (ProblemCode.LAYER_EXCEEDS_BUDGET, ProblemCode.LAYER_EXCEEDS_SHARE, ProblemCode.JOURNAL_DISK_SHORT)
        return self.code not in mild and self.data.get("exact", True) is True


@dataclass(frozen=True)
class Estimate:
    """What a plan will take.

    Attributes:
        seconds: None while the machine's speed is not known.
        workload: what earlier runs have not left.
        device: the most that the run holds of the device, and its memory; None while the device is not known.
        device_limit: what the run may hold of it by its mode and beside other programs.
        host: the most that the run adds to the process's host memory.
        output: the file.
        journal: beside it, what the journal may grow to.
        one_disk: the two are on one disk.
        problems: the worst first.
    """

    seconds: float | None
    workload: Workload
    device: Amount | None
    device_limit: int | None
    host: Amount | None
    output: Amount
    journal: Amount
    one_disk: bool
    problems: tuple[Problem, ...]


def free_space_at(output_folder: Path, journal_folder: Path) -> FreeSpace:
    """Look at memory and disks; the folders need not exist. May wait for a slow disk."""
    return FreeSpace(
        int(psutil.virtual_memory().available),
        free_bytes(output_folder),
        free_bytes(journal_folder),
        same_disk(output_folder, journal_folder),
    )


def estimate(
    plan: Plan, kept: Reusable | None, device: DeviceMemory | None, speed: Speed | None, free: FreeSpace
) -> Estimate:
    """What a plan will take.

    Args:
        plan: what to do.
        kept: what earlier runs left for it.
        device: where; None while it is not known.
        speed: of that device with this method; None while it is not known.
        free: what is free.
    """
    tasks, work = _left(plan, kept)
    doing = _workload(tasks, work)
    output = Amount(plan.output_bytes, free.output_bytes)
    journal = Amount(_journal_bytes(plan, tasks), _beside(plan, free))
    problems = [*_disk_problems(plan, output, journal)]
    on_device = host = limit = None
    if device is not None:
        limits = Limits.of(plan.hardware, device)
        limit, needs = limits.limit, _needs(plan, tasks, device, limits)
        on_device = Amount(device_bytes(plan, tasks, needs, device, limits), device.total_bytes)
        host = Amount(host_bytes(plan, tasks, on_device.needed, device, limits), free.host_bytes)
        problems += _memory_problems(plan, tasks, needs, device, limits, host)
    return Estimate(
        seconds=None if speed is None else seconds_for(doing, speed),
        workload=doing,
        device=on_device,
        device_limit=limit,
        host=host,
        output=output,
        journal=journal,
        one_disk=free.one_disk,
        problems=tuple(sorted(problems, key=lambda problem: not problem.blocking)),
    )


def promised_bytes(plan: Plan, tasks: list[Task], device: DeviceMemory) -> int:
    """The most that a run with these tasks holds of its device, as `estimate` says it."""
    limits = Limits.of(plan.hardware, device)
    return device_bytes(plan, tasks, _needs(plan, tasks, device, limits), device, limits)


def workload(plan: Plan, kept: Reusable | None = None) -> Workload:
    """What is to be done for a plan, without what earlier runs left."""
    return _workload(*_left(plan, kept))


def seconds_for(doing: Workload, speed: Speed) -> float:
    """Wall time: reading and computing overlap, so that the slower of the two counts."""
    return max(
        doing.layers * speed.layer_seconds + doing.work / speed.work_per_second,
        doing.read_bytes / speed.read_per_second,
    )


def _needs(plan: Plan, tasks: list[Task], device: DeviceMemory, limits: Limits) -> dict[int, Need]:
    return {task.index: task_need(plan, task, host=device.host, ceiling=limits.ceiling) for task in tasks}


def _left(plan: Plan, kept: Reusable | None) -> tuple[list[Task], float]:
    """What is not done yet, and the work of that and of taking the rest from records."""
    at_hand = frozenset[int]()
    if kept is not None:
        at_hand = frozenset(range(min(kept.layers, len(plan.layers)))) if kept.at_hand is None else kept.at_hand
    tasks = [task for task in plan.tasks if task.index not in at_hand]
    restored = sum(restoring_work(plan.layers[index], plan.method) for index in at_hand if index < len(plan.layers))
    return tasks, sum(plan.costs[task.index] for task in tasks) + restored


def _workload(tasks: list[Task], work: float) -> Workload:
    sides = ((task.weight.finetuned, task.weight.original) for task in tasks)
    return Workload(len(tasks), work, sum(view.stored_bytes for pair in sides for view in pair))


def _journal_bytes(plan: Plan, tasks: list[Task]) -> int:
    return sum(journal_bytes(task.weight, plan.method) for task in tasks if not task.measured)


def _beside(plan: Plan, free: FreeSpace) -> int | None:
    """What the journal's disk has once the output is on it; of ``full`` the output is the journal."""
    if free.journal_bytes is None or not free.one_disk:
        return free.journal_bytes
    return max(0, free.journal_bytes - plan.output_bytes)


def _disk_problems(plan: Plan, output: Amount, journal: Amount) -> list[Problem]:
    exact = plan.method.exact_size
    if not output.fits:
        data = {"needed": output.needed, "available": output.available, "folder": str(plan.folder), "exact": exact}
        return [Problem(ProblemCode.OUTPUT_DISK_SHORT, data)]
    if not journal.fits and exact:
        return [Problem(ProblemCode.JOURNAL_DISK_SHORT, {"needed": journal.needed, "available": journal.available})]
    return []


def _memory_problems(
    plan: Plan,
    tasks: list[Task],
    needs: dict[int, Need],
    device: DeviceMemory,
    limits: Limits,
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
        problems.append(Problem(ProblemCode.LAYER_EXCEEDS_DEVICE, known | {"available": free}))
    elif needed > limits.limit:
        problems.append(Problem(ProblemCode.LAYER_EXCEEDS_SHARE, known | {"available": limits.limit}))
    if not host.fits:
        short = {"name": largest.weight.name, "needed": host.needed, "available": host.available}
        problems.append(Problem(ProblemCode.HOST_MEMORY_SHORT, short))
    return problems
