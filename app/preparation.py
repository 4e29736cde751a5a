"""The object that reads headers, pairs models and plans, on its own thread, so that the window never waits for a disk.

Requests carry a number. A newer request makes an older one stale: it is skipped if it has not begun, and
the controller drops its answer if it has.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, Signal, Slot

from engine.errors import EngineError, ErrorCode
from engine.inspection import ModelSummary
from engine.planning import Plan
from engine.settings import ExtractionSettings, HardwareSettings

if TYPE_CHECKING:
    from engine.session import Session


@dataclass(frozen=True)
class DeviceInfo:
    """The device that will compute; `kind` is ``cpu``, ``cuda``, ``mps`` or ``xpu``."""

    kind: str
    title: str
    total_bytes: int


class Engine(Protocol):
    """What the window asks of the engine. Nothing but `describe_device` may need torch."""

    def inspect(self, path: Path) -> ModelSummary:
        """Describe a model from its header."""

    def open_pair(self, finetuned: Path, original: Path) -> Session:
        """Open and pair two models."""

    def describe_device(self, hardware: HardwareSettings) -> DeviceInfo:
        """Describe the device that would compute. Slow the first time: it loads torch."""


class LocalEngine:
    """The engine of this process, loaded when it is first needed."""

    def inspect(self, path: Path) -> ModelSummary:
        """Describe a model from its header."""
        from engine.session import inspect_model

        return inspect_model(path)

    def open_pair(self, finetuned: Path, original: Path) -> Session:
        """Open and pair two models."""
        from engine.session import Session

        return Session(finetuned, original)

    def describe_device(self, hardware: HardwareSettings) -> DeviceInfo:
        """Describe the device that would compute. Slow the first time: it loads torch."""
        from engine.device import Device

        device = Device(hardware)
        return DeviceInfo(device.torch_device.type, device.title, device.total_bytes)


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


@dataclass(frozen=True)
class Prepared:
    """The answer: session and plan, or an error; `paired` tells which of the two steps failed."""

    request: PlanRequest
    session: Session | None
    plan: Plan | None
    error: EngineError | None
    paired: bool


class PreparationWorker(QObject):
    """Answers requests one after the other and owns the open pair.

    Attributes:
        newest_plan: number of the newest plan request; set by the controller from its thread.
        newest_inspection: the same for each side.
    """

    inspected = Signal(object)
    prepared = Signal(object)

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
        session, plan, failure, paired = None, None, None, False
        try:
            session = self._pair(request.finetuned, request.original)
            paired = True
            plan = session.plan(request.extraction, request.hardware, request.output_dir)
        except BaseException as error:
            failure = as_engine_error(error)
        self.prepared.emit(Prepared(request, session, plan, failure, paired))

    @Slot()
    def close_pair(self) -> None:
        """Close the files of the open pair."""
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


class DeviceWorker(QObject):
    """Finds out what device would compute; on a thread of its own, as loading torch takes seconds."""

    found = Signal(object)
    missing = Signal(object)

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    @Slot(object)
    def describe(self, hardware: HardwareSettings) -> None:
        """Describe the device, or say why it cannot be used."""
        try:
            device = self._engine.describe_device(hardware)
        except BaseException as error:
            self.missing.emit(as_engine_error(error))
            return
        self.found.emit(device)


def _identity(path: Path) -> tuple[Any, ...]:
    """What changes when another file takes this path."""
    try:
        status = path.stat()
    except OSError:
        return (path, None, None)
    return (path, status.st_size, status.st_mtime_ns)


def as_engine_error(error: BaseException) -> EngineError:
    """The error itself, or an ``internal`` one that carries its traceback as text."""
    if isinstance(error, EngineError):
        return error
    details = "".join(traceback.format_exception(error))
    return EngineError(ErrorCode.INTERNAL, detail=f"{type(error).__name__}: {error}", traceback=details)
