"""How fast this machine is, measured in finished runs, so that the time of the next one can be estimated."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.storage import paths
from app.storage.json_store import JsonStore
from engine.planning.estimates import Speed, Workload, workload
from engine.planning.plan import Plan
from engine.planning.work import measuring_work
from engine.results import ExtractionResult
from engine.settings import ExtractionSettings

SPEEDS_VERSION = 2
FLOPS_VERSION = 1  # whose work was counted in floating point operations
TELLING_SECONDS = 0.5  # shorter runs are mostly their own beginning and end
TELLING_BYTES = 64_000_000  # less is read from memory, or in no time
BLEND = 0.5  # of a newer run against all before
GUESS = Speed(2e9, 1e9, 0.002)  # a usual processor; only where the first run learns from, never shown

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Method:
    """What decides on the speed of a device beside the work: the kind of solver, and how many ranks it is after.

    Attributes:
        solver: ``svd_linalg`` or ``svd_lowrank``, with ``adaptive`` behind it where a rule wants more of the spectrum
            than is kept; ``full`` has none.
        ranks: 0 up to rank 16, 1 up to 64, 2 up to 256, and so on: higher ranks take longer than their work says.
    """

    solver: str
    ranks: int


def method_of(settings: ExtractionSettings) -> Method:
    """The method that the settings name."""
    if settings.lora_type == "full":
        return Method("full", 0)
    solver = settings.algorithm if settings.lora_type == "standard" else f"{settings.algorithm} adaptive"
    return Method(solver, max(0, math.ceil(math.log(settings.rank, 4) - 1e-9) - 2))


class _Learnt(BaseModel):
    """What is known of one device and method; no runs: it was calibrated."""

    model_config = ConfigDict(extra="ignore")

    device: str
    solver: str
    ranks: int = Field(ge=0)
    work_per_second: Positive
    read_per_second: Positive
    layer_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    runs: int = Field(ge=0)


class _Book(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: int = SPEEDS_VERSION
    speeds: list[_Learnt] = Field(default_factory=list)


class SpeedStore(JsonStore):
    """The speeds of all devices and methods that were used here; read at the first use, written after each timing.

    Of a method that was never used the runs of others tell most, as the work on a layer is estimated for each of them:
    at first those of the same solver at the nearest ranks, then on a processor those of another solver; a calibration,
    which takes a moment of one layer, where there is none of them.
    """

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path or paths.cache_dir() / "speeds.json", SPEEDS_VERSION)
        self._learnt: dict[tuple[str, Method], _Learnt] | None = None

    def find(self, device: str, method: Method) -> Speed | None:
        """The speed of a device with a method, by what is nearest to it; None where nothing is known."""
        known = [entry for (title, _), entry in self._all().items() if title == device and _tells(entry, method)]
        if not known:
            return None

        def apart(entry: _Learnt) -> tuple[bool, bool, int]:
            return entry.runs == 0, entry.solver != method.solver, abs(entry.ranks - method.ranks)

        return _speed(min(known, key=apart))

    def knows(self, device: str, method: Method) -> bool:
        """Whether a calibration would teach nothing: the method was calibrated, or runs of it or like it are known."""
        runs = (entry.runs for (title, _), entry in self._all().items() if title == device and _tells(entry, method))
        return (device, method) in self._all() or any(runs)

    def calibrated(self, device: str, method: Method, speed: Speed) -> None:
        """Take a calibration for as long as no run has taught better.

        Raises:
            OSError: the file cannot be written; the speed is known until the program ends all the same.
        """
        if not self.knows(device, method):
            self._enter(device, method, speed, runs=0)

    def learn(self, device: str, plan: Plan, result: ExtractionResult) -> None:
        """Take a timing from a finished run; one that is too short or used earlier layers teaches nothing.

        Raises:
            OSError: the file cannot be written; the timing counts until the program ends all the same.
        """
        if result.seconds < TELLING_SECONDS or result.layers_reused:
            return
        method = method_of(plan.widest)
        entry = self._all().get((device, method))
        before = self.find(device, method) or GUESS
        runs = entry.runs if entry is not None else 0
        timing = blended(before, workload_done(plan, result), result, BLEND if runs else 1.0)
        self._enter(device, method, timing, runs=runs + 1)

    def _enter(self, device: str, method: Method, speed: Speed, *, runs: int) -> None:
        learnt = self._all()
        learnt[device, method] = _Learnt(
            device=device,
            solver=method.solver,
            ranks=method.ranks,
            work_per_second=speed.work_per_second,
            read_per_second=speed.read_per_second,
            layer_seconds=speed.layer_seconds,
            runs=runs,
        )
        self.write_model(_Book(speeds=list(learnt.values())))

    def _all(self) -> dict[tuple[str, Method], _Learnt]:
        if self._learnt is None:
            book = self.read_as(_Book) or _Book()
            speeds = [_in_nanoseconds(entry) for entry in book.speeds] if book.version == FLOPS_VERSION else book.speeds
            self._learnt = {(entry.device, Method(entry.solver, entry.ranks)): entry for entry in speeds}
        return self._learnt


def workload_done(plan: Plan, result: ExtractionResult) -> Workload:
    """What a finished run really did: what turned out to be unchanged was only read and subtracted."""
    planned = workload(plan)
    extracted = {row.name for row in result.rows}
    work = sum(
        cost if task.weight.name in extracted else measuring_work(task.weight)
        for cost, task in zip(plan.costs, plan.tasks, strict=True)
    )
    return Workload(planned.layers, work, result.read_bytes)


def blended(before: Speed, done: Workload, result: ExtractionResult, weight: float) -> Speed:
    """What a run teaches about a speed.

    The time in which the device did not wait for data is compared with what was expected of it. What most of it was
    expected to go to, the work or the layers' own time, is corrected by most.

    Args:
        before: what was known.
        done: what the run did.
        result: how long that took it.
        weight: of the timing, 0 to 1; 1 forgets what was known.
    """
    busy = max(1e-3, result.seconds * (1.0 - min(0.99, result.waited_share)))
    of_layers, of_work = done.layers * before.layer_seconds, done.work / before.work_per_second
    expected = max(1e-9, of_layers + of_work)
    timing = (busy / expected) ** weight
    larger = max(of_layers, of_work, 1e-12)
    layers, work = timing ** (of_layers / larger), timing ** (of_work / larger)
    rest = timing * expected / max(1e-9, of_layers * layers + of_work * work)  # so that both together are right
    return replace(
        before,
        layer_seconds=before.layer_seconds * layers * rest,
        work_per_second=before.work_per_second / (work * rest),
        read_per_second=_reading(before.read_per_second, done, result, weight),
    )


def _reading(before: float, done: Workload, result: ExtractionResult, weight: float) -> float:
    """Bytes a second, from the readers' own times; side by side on one drive they share what it gives."""
    took = sum(row.seconds.read for row in result.rows)
    if took <= 0.0 or done.read_bytes < TELLING_BYTES:
        return before
    at_once = min(2.0, max(1.0, took / result.seconds))
    return float(before ** (1.0 - weight) * (done.read_bytes / took * at_once) ** weight)


def _tells(entry: _Learnt, method: Method) -> bool:
    """Whether what is known of one method says something of another: a processor's speed is about that of both."""
    alike = entry.device.startswith("CPU") and "full" not in (entry.solver, method.solver)
    return entry.solver == method.solver or (alike and entry.runs > 0)


def _in_nanoseconds(entry: _Learnt) -> _Learnt:
    """What version 1 learnt, in the unit of today: by a layer of usual size, for which both counts are known."""
    rows, columns, rank = 1280, 2048, min(1280, 4 ** (entry.ranks + 2))
    values = rows * columns
    if entry.solver.startswith("full"):
        before, after = 200.0 * values, 9.0 * values
    elif entry.solver.startswith("svd_lowrank"):
        before = (200.0 + 8.0 * rank + 32.0 * (rank + 16)) * values
        after = 4.3e6 + (8.2 + 0.17 * rank) * values + 0.22 * rank**2 * (rows + columns) + 8.0 * rank**3
    else:
        before = (200.0 + 8.0 * rank + 2.0 * rows) * values + 12.0 * rows**3
        after = 6e6 + (9.1 + 0.2 * rank) * values + 8.6 * rank**3
    return entry.model_copy(update={"work_per_second": entry.work_per_second * after / before})


def _speed(entry: _Learnt) -> Speed:
    return Speed(entry.work_per_second, entry.read_per_second, entry.layer_seconds)
