"""The engine as the window uses it; torch and the engine's session are loaded when they are first needed."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from app.system.idle_gpu import idle_card
from app.work.requests import DeviceInfo
from engine.errors import EngineError, ErrorCode
from engine.planning.estimates import Speed
from engine.planning.inspection import ModelSummary
from engine.settings import ExtractionSettings, HardwareSettings

if TYPE_CHECKING:
    from engine.session import Session

_Error = TypeVar("_Error", bound=Exception)


class Engine(Protocol):
    """What the window asks of the engine. Nothing but `describe_device` and `calibrate` may need torch."""

    def inspect(self, path: Path) -> ModelSummary:
        """Describe a model from its header."""

    def open_pair(self, finetuned: Path, original: Path) -> Session:
        """Open and pair two models."""

    def describe_device(self, hardware: HardwareSettings) -> DeviceInfo:
        """Describe the device that would compute. Slow the first time: it loads torch."""

    def calibrate(self, settings: ExtractionSettings, hardware: HardwareSettings) -> Speed | None:
        """Measure the device's speed in a fraction of a second; None where that is not possible."""


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
        """Measure the device's speed in a fraction of a second."""
        from app.work.calibration import calibrate

        return calibrate(settings, hardware)


def as_engine_error(error: BaseException) -> EngineError:
    """The error itself, or an ``internal`` one that carries its traceback as text."""
    if isinstance(error, EngineError):
        return error
    details = "".join(traceback.format_exception(error))
    return EngineError(ErrorCode.INTERNAL, detail=f"{type(error).__name__}: {error}", traceback=details)


def without_traceback(error: _Error) -> _Error:
    """The same error without its traceback, which would keep every tensor of the frames it passed through alive."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error
