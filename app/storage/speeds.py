"""How fast this machine is, learnt from the runs it finished, so that the next one's time can be told beforehand."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.storage import paths
from app.storage.json_store import StoreProblem, StoreTrouble, read_versioned, set_aside, write_atomically
from engine.checkpoints import TensorInfo
from engine.models.names import TensorView
from engine.models.pairing import Block, PairedWeight
from engine.planning.costs import measuring_work
from engine.planning.estimates import Labour, Speed, labour
from engine.planning.plan import Plan
from engine.results import ExtractionResult
from engine.settings import ExtractionSettings, HardwareSettings

if TYPE_CHECKING:
    from engine.decompose.method import LayerMethod
    from engine.devices.device import Device

SPEEDS_VERSION = 1
TELLING_SECONDS = 0.5  # shorter runs are mostly their own beginning and end
TELLING_BYTES = 64_000_000  # less is read from memory, or in no time
BLEND = 0.5  # of a newer run against all before
CALIBRATION_SECONDS, CALIBRATION_ROUNDS = 0.15, 16
AROUND_SECONDS = 0.002  # reading, telling, writing and syncing a small layer, on a usual drive
SMALL_SIDE, HOST_SIDE, DEVICE_SIDE = 32, 1024, 3072
GUESS = Speed(2e11, 1e9, 0.002)  # a usual processor; only where the first run learns from, never shown

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


class SpeedStore:
    """The speeds of all devices and methods that were used here.

    Attributes:
        path: the file; it is read at the first question and written after each lesson.
        problem: what was wrong with it, if anything.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or paths.cache_dir() / "speeds.json"
        self.problem: StoreProblem | None = None
        self._learnt: dict[tuple[str, Method], _Learnt] | None = None

    def find(self, device: str, method: Method) -> Speed | None:
        """The speed of a device with a method, or with its solver at the nearest ranks; None where none is known."""
        known = [
            entry for (title, used), entry in self._all().items() if (title, used.solver) == (device, method.solver)
        ]
        if not known:
            return None
        return _speed(min(known, key=lambda entry: (abs(entry.ranks - method.ranks), entry.runs == 0)))

    def knows(self, device: str, method: Method) -> bool:
        """Whether this very method was used or calibrated on a device."""
        return (device, method) in self._all()

    def calibrated(self, device: str, method: Method, speed: Speed) -> None:
        """Take a calibration for as long as no run has taught better.

        Raises:
            OSError: the file cannot be written; the speed is known until the program ends all the same.
        """
        if not self.knows(device, method):
            self._enter(device, method, speed, runs=0)

    def learn(self, device: str, plan: Plan, result: ExtractionResult) -> None:
        """Take a lesson from a finished run; one that is too short or used earlier layers teaches nothing.

        Raises:
            OSError: the file cannot be written; the lesson counts until the program ends all the same.
        """
        if result.seconds < TELLING_SECONDS or result.layers_kept:
            return
        method = method_of(plan.settings)
        entry = self._all().get((device, method))
        before = self.find(device, method) or GUESS
        runs = entry.runs if entry is not None else 0
        lesson = blended(before, labour_done(plan, result), result, BLEND if runs else 1.0)
        self._enter(device, method, lesson, runs=runs + 1)

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
        if self.problem is None or self.problem.trouble is StoreTrouble.CORRUPT:
            write_atomically(self.path, _Book(speeds=list(learnt.values())).model_dump(mode="json"))

    def _all(self) -> dict[tuple[str, Method], _Learnt]:
        if self._learnt is None:
            self._learnt = {(entry.device, Method(entry.solver, entry.ranks)): entry for entry in self._read()}
        return self._learnt

    def _read(self) -> list[_Learnt]:
        content = read_versioned(self.path, SPEEDS_VERSION)
        self.problem = content.problem
        if content.data is None:
            return []
        try:
            return _Book.model_validate(content.data).speeds
        except ValidationError:
            self.problem = set_aside(self.path)
            return []


def labour_done(plan: Plan, result: ExtractionResult) -> Labour:
    """What a finished run really did: what turned out to be unchanged was only read and subtracted."""
    planned = labour(plan)
    extracted = {row.name for row in result.rows}
    work = sum(
        cost if task.weight.name in extracted else measuring_work(task.weight)
        for cost, task in zip(plan.costs, plan.tasks, strict=True)
    )
    return Labour(planned.layers, work, result.read_bytes)


def blended(before: Speed, done: Labour, result: ExtractionResult, weight: float) -> Speed:
    """What a run teaches about a speed.

    The time in which the device did not wait for data is compared with what was expected of it. What most of it was
    expected to go to, the work or the layers' own time, is corrected by most.

    Args:
        before: what was known.
        done: what the run did.
        result: how long that took it.
        weight: of the lesson, 0 to 1; 1 forgets what was known.
    """
    busy = max(1e-3, result.seconds * (1.0 - min(0.99, result.waited_share)))
    of_layers, of_work = done.layers * before.layer_seconds, done.work / before.work_per_second
    expected = max(1e-9, of_layers + of_work)
    lesson = (busy / expected) ** weight
    larger = max(of_layers, of_work, 1e-12)
    layers, work = lesson ** (of_layers / larger), lesson ** (of_work / larger)
    rest = lesson * expected / max(1e-9, of_layers * layers + of_work * work)  # so that both together are right
    return replace(
        before,
        layer_seconds=before.layer_seconds * layers * rest,
        work_per_second=before.work_per_second / (work * rest),
        read_per_second=_reading(before.read_per_second, done, result, weight),
    )


def _reading(before: float, done: Labour, result: ExtractionResult, weight: float) -> float:
    """Bytes a second, from the readers' own times; side by side on one drive they share what it gives."""
    took = sum(row.seconds.read for row in result.rows)
    if took <= 0.0 or done.read_bytes < TELLING_BYTES:
        return before
    at_once = min(2.0, max(1.0, took / result.seconds))
    return float(before ** (1.0 - weight) * (done.read_bytes / took * at_once) ** weight)


def _speed(entry: _Learnt) -> Speed:
    return Speed(entry.work_per_second, entry.read_per_second, entry.layer_seconds)


def calibrate(settings: ExtractionSettings, hardware: HardwareSettings) -> Speed:
    """Time the real work on made-up layers, one large and one small; a fraction of a second, but it loads torch.

    The device is used as by one layer at a time, so where layers side by side are faster it promises too little.

    Raises:
        EngineError: ``device_unavailable``.
    """
    from engine.decompose.method import LayerMethod
    from engine.devices.device import choose_devices
    from engine.planning.costs import work

    device, method = choose_devices(hardware)[0], LayerMethod.of(settings)
    side = HOST_SIDE if device.host else DEVICE_SIDE
    small, large = _made_up(SMALL_SIDE), _made_up(side)
    of_small, of_large = _timed(small, method, device), _timed(large, method, device)
    more = max(of_large - of_small, 0.1 * of_large)
    return Speed((work(large, method) - work(small, method)) / more, GUESS.read_per_second, of_small + AROUND_SECONDS)


def _made_up(side: int) -> PairedWeight:
    view = TensorView(TensorInfo("made_up", "F32", (side, side), 4 * side * side), "denoiser", (side, side))
    return PairedWeight("made_up.weight", "matrix", "denoiser", (side, side), view, view, Block())


def _timed(weight: PairedWeight, method: LayerMethod, device: Device) -> float:
    """Seconds of the work on a layer whose change decays as that of a usual fine-tune does."""
    import torch

    from engine.decompose.delta import subtract
    from engine.layer import work_on

    side, generator = weight.shape[0], torch.Generator().manual_seed(0)
    index = torch.arange(1, side + 1, dtype=torch.float32)
    left, right, base = (torch.randn((side, side), generator=generator) / math.sqrt(side) for _ in range(3))
    change = left * (index**-0.45 * torch.exp(-index / (0.3 * side)) + 0.02) @ right
    sides = device.upload((base + 0.05 * change).to(torch.bfloat16)), device.upload(base.to(torch.bfloat16))

    def once() -> float:
        started = time.perf_counter()
        with device.computing():
            work_on(weight, subtract(*sides), method)
            device.wait()
        return time.perf_counter() - started

    once()  # the first call loads what all others find
    took: list[float] = []
    while sum(took) < CALIBRATION_SECONDS and len(took) < CALIBRATION_ROUNDS:
        took.append(once())
    return sorted(took)[len(took) // 2]
