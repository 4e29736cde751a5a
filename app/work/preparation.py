"""The object that reads headers, pairs models and plans, on its own thread, so that the window never waits for a disk.

Requests carry a number. A newer request makes an older one stale: it is skipped if it has not begun, and
the controller drops its answer if it has.
"""

from __future__ import annotations

import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, Signal, Slot

from app.system.idle_gpu import idle_card
from engine.checkpoints.folder import files_of_models
from engine.errors import EngineError, ErrorCode
from engine.models.inspection import ModelSummary, PairSummary
from engine.planning.estimates import Speed
from engine.planning.memory_estimate import DeviceMemory
from engine.planning.plan import Plan
from engine.results import Kept
from engine.settings import ExtractionSettings, HardwareSettings

if TYPE_CHECKING:
    from engine.session import Session


@dataclass(frozen=True)
class DeviceInfo:
    """The device that will compute, or several of a kind; `kind` is ``cpu``, ``cuda``, ``mps`` or ``xpu``.

    `total_bytes` is the memory of the smallest, `others_bytes` what other programs held of it, `cores` those of the
    processor; `idle_card` is an NVIDIA card that the installed torch cannot use.
    """

    kind: str
    title: str
    total_bytes: int
    others_bytes: int = 0
    cores: int = 1
    idle_card: str = ""

    @property
    def memory(self) -> DeviceMemory:
        """The device as estimates see it."""
        return DeviceMemory(self.kind == "cpu", self.total_bytes, self.others_bytes, self.cores)


class Engine(Protocol):
    """What the window asks of the engine. Nothing but `describe_device` and `calibrate` may need torch."""

    def inspect(self, path: Path) -> ModelSummary:
        """Describe a model from its header."""

    def open_pair(self, finetuned: Path, original: Path) -> Session:
        """Open and pair two models."""

    def describe_device(self, hardware: HardwareSettings) -> DeviceInfo:
        """Describe the device that would compute. Slow the first time: it loads torch."""

    def calibrate(self, settings: ExtractionSettings, hardware: HardwareSettings) -> Speed | None:
        """Try out in a fraction of a second how fast the device is; None where that cannot be told."""


class LocalEngine:
    """The engine of this process, loaded when it is first needed."""

    def inspect(self, path: Path) -> ModelSummary:
        """Describe a model from its header."""
        from engine.session import inspect_model

        return inspect_model(path)

    def open_pair(self, finetuned: Path, original: Path) -> Session:
        """Open and pair two models."""
        from app.storage.decompositions import open_store
        from engine.session import Session

        return Session(finetuned, original, open_store())

    def describe_device(self, hardware: HardwareSettings) -> DeviceInfo:
        """Describe the device that would compute. Slow the first time: it loads torch."""
        import torch

        from engine.devices.device import choose_devices

        devices = choose_devices(hardware)
        title = ", ".join(device.title for device in devices)
        smallest = min(devices, key=lambda device: device.total_bytes)
        use = smallest.memory()
        others = max(0, use.device_used - use.run)
        kind = devices[0].torch_device.type
        idle = idle_card() if kind == "cpu" else ""
        return DeviceInfo(kind, title, smallest.total_bytes, others, torch.get_num_threads(), idle)

    def calibrate(self, settings: ExtractionSettings, hardware: HardwareSettings) -> Speed | None:
        """Try out in a fraction of a second how fast the device is."""
        from app.work.calibration import calibrate

        return calibrate(settings, hardware)


@dataclass(frozen=True)
class InspectRequest:
    """Describe the model of one side, ``finetuned`` or ``original``."""

    number: int
    side: str
    path: Path


@dataclass(frozen=True)
class Inspected:
    """The answer: a summary or an error."""

    request: InspectRequest
    summary: ModelSummary | None
    error: EngineError | None


@dataclass(frozen=True)
class PlanRequest:
    """Pair two models and plan an extraction."""

    number: int
    finetuned: Path
    original: Path
    extraction: ExtractionSettings
    hardware: HardwareSettings
    output_dir: Path

    def same_work(self, other: PlanRequest) -> bool:
        """Whether two requests are for the same work on the same models, whatever the file's name."""
        names = {"filename_prefix", "resume"}
        same = self.extraction.model_dump(exclude=names) == other.extraction.model_dump(exclude=names)
        return same and (self.finetuned, self.original) == (other.finetuned, other.original)


@dataclass(frozen=True)
class Prepared:
    """The answer: session and plan, or an error; `paired` tells which of the two steps failed.

    `kept` is what earlier runs left for the plan; None where that is not to be used or cannot be told. `pair` is what
    the models have in common, also where something else keeps them from a plan, such as the output folder.
    """

    request: PlanRequest
    session: Session | None
    plan: Plan | None
    error: EngineError | None
    paired: bool
    kept: Kept | None = None
    pair: PairSummary | None = None

    @property
    def lacks_device(self) -> bool:
        """Whether the device that was asked for is not there."""
        return self.error is not None and self.error.code is ErrorCode.DEVICE_UNAVAILABLE


class PreparationWorker(QObject):
    """Answers requests one after the other and owns the open pair.

    Attributes:
        newest_plan: number of the newest plan request; set by the controller from its thread.
        newest_inspection: the same for each side.
        memory_kept: bytes of the device that the open pair keeps for a next extraction, after each piece of work.
        memory_freed: bytes that `free_memory` gave back.
    """

    inspected = Signal(object)
    prepared = Signal(object)
    memory_kept = Signal(object)
    memory_freed = Signal(object)

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._session: Session | None = None
        self._key: tuple[Any, ...] | None = None
        self.newest_plan = 0
        self.newest_inspection: dict[str, int] = {}

    @Slot(object)
    def inspect(self, request: InspectRequest) -> None:
        """Describe a model."""
        if request.number != self.newest_inspection.get(request.side):
            return
        summary, failure = None, None
        try:
            summary = self._engine.inspect(request.path)
        except BaseException as error:
            failure = as_engine_error(error)
        self.inspected.emit(Inspected(request, summary, failure))

    @Slot(object)
    def prepare(self, request: PlanRequest) -> None:
        """Pair, unless this pair is open already, and plan."""
        if request.number != self.newest_plan:
            return
        session, plan, failure, paired, kept, pair = None, None, None, False, None, None
        try:
            session = self._pair(request.finetuned, request.original)
            paired = True
            with suppress(Exception):  # for the card only: whatever is wrong the plan says better
                pair = session.summary(request.extraction)
            plan = session.plan(request.extraction, request.hardware, request.output_dir)
            kept = _kept(session, plan)
        except BaseException as error:
            failure = as_engine_error(error)
        self._tell_memory()
        self.prepared.emit(Prepared(request, session, plan, failure, paired, kept, pair))

    @Slot()
    def free_memory(self) -> None:
        """Give back what the open pair keeps on the device."""
        freed = 0
        if self._session is not None:
            with suppress(Exception):  # nothing freed is what the person is told then
                freed = self._session.free_memory()
        self.memory_freed.emit(freed)
        self._tell_memory()

    @Slot()
    def leave_pair(self) -> None:
        """Close the open pair, because the person took a model away."""
        self.close_pair()
        self._tell_memory()

    def close_pair(self) -> None:
        """Close the files of the open pair, and free what it keeps on the device."""
        session, self._session, self._key = self._session, None, None
        if session is not None:
            session.close()

    def _pair(self, finetuned: Path, original: Path) -> Session:
        key = (*_identity(finetuned), *_identity(original))
        if self._session is None or key != self._key:
            self.close_pair()
            self._session = self._engine.open_pair(finetuned, original)
            self._key = key
        return self._session

    def _tell_memory(self) -> None:
        self.memory_kept.emit(self._session.resident_bytes if self._session is not None else 0)


class DeviceWorker(QObject):
    """Finds out what device would compute; on a thread of its own, as loading torch takes seconds.

    Attributes:
        found: a `DeviceInfo`.
        found_for: the settings it was asked with, and the same; emitted after it.
        missing: the `EngineError` of a device that cannot be used.
        missing_for: the settings it was asked with, and the same; emitted after it.
    """

    found = Signal(object)
    found_for = Signal(object, object)
    missing = Signal(object)
    missing_for = Signal(object, object)

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    @Slot(object)
    def describe(self, hardware: HardwareSettings) -> None:
        """Describe the device, or say why it cannot be used."""
        try:
            device = self._engine.describe_device(hardware)
        except BaseException as error:
            failure = as_engine_error(error)
            self.missing.emit(failure)
            self.missing_for.emit(hardware, failure)
            return
        self.found.emit(device)
        self.found_for.emit(hardware, device)


def _kept(session: Session, plan: Plan) -> Kept | None:
    """What earlier runs left for a plan; not being able to tell is no reason not to plan."""
    if not plan.settings.resume:
        return None
    try:
        return session.kept(plan)
    except Exception:
        return None


def _identity(path: Path) -> tuple[Any, ...]:
    """What changes when another file takes this path, or a place in this folder."""
    try:
        status = path.stat()
        inside = files_of_models(path) if path.is_dir() else ()
    except OSError:
        return (path, None, None)
    return (path, status.st_size, status.st_mtime_ns, *map(_identity, inside))


def as_engine_error(error: BaseException) -> EngineError:
    """The error itself, or an ``internal`` one that carries its traceback as text."""
    if isinstance(error, EngineError):
        return error
    details = "".join(traceback.format_exception(error))
    return EngineError(ErrorCode.INTERNAL, detail=f"{type(error).__name__}: {error}", traceback=details)
