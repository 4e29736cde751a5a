"""The devices that could not be found: a plan for one of them cannot be started."""

from __future__ import annotations

from dataclasses import replace

from app.work.requests import DeviceInfo, Prepared
from engine.errors import EngineError, ErrorCode
from engine.settings import HardwareSettings


class MissingDevices:
    """Keeps the error of every device that was not found, until it is found."""

    def __init__(self) -> None:
        self._errors: dict[str, EngineError] = {}

    def note(self, hardware: HardwareSettings, answer: DeviceInfo | EngineError) -> bool:
        """Record whether a device was found; returns whether that changes plans on it.

        Other errors than ``device_unavailable`` say nothing of the next attempt.
        """
        before = hardware.device in self
        if not isinstance(answer, EngineError):
            self._errors.pop(hardware.device, None)
        elif answer.code is ErrorCode.DEVICE_UNAVAILABLE:
            self._errors[hardware.device] = answer
        return before != (hardware.device in self)

    def __contains__(self, device: str) -> bool:
        """Whether a device, by its name in the settings, is not there."""
        return device in self._errors

    def checked(self, answer: Prepared) -> Prepared:
        """The same answer; where its device is missing, with the error in place of the plan."""
        error = self._errors.get(answer.request.hardware.device)
        if error is None or answer.plan is None:
            return answer
        return replace(answer, plan=None, kept=None, error=error)
