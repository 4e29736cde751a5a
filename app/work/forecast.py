"""Estimates the newest plan on the thread that finds devices: reads free space of disks, and calibrates the device.

An estimate is emitted as soon as there is one, and again once more is known: the device, its speed.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from PySide6.QtCore import QObject, Signal, Slot

from app.storage import paths
from app.storage.speeds import SpeedStore, method_of
from app.work.engine_port import Engine
from app.work.requests import (
    DeviceFound,
    DeviceInfo,
    DeviceMissing,
    Forecast,
    ForecasterRequest,
    ForecastRequest,
    Timing,
)
from engine.planning.estimates import estimate, free_space_at
from engine.planning.plan import Plan
from engine.settings import HardwareSettings

LOG = logging.getLogger("lora_extractor")


class Forecaster(QObject):
    """Answers requests; a newer one makes the older ones stale.

    Attributes:
        answered: a `Forecast`; several may come for one request, each knowing more.
        newest: number of the newest request; set by the controller from its thread.
        idle: whether nothing runs, so that the device may be calibrated; set by the controller from its thread.
    """

    answered = Signal(object)

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.newest = 0
        self.idle = True
        self._engine = engine
        self._speeds = SpeedStore()
        self._devices: dict[tuple[str, int | None], DeviceInfo] = {}
        self._last: ForecastRequest | None = None

    @Slot(object)
    def take(self, request: ForecasterRequest | DeviceMissing) -> None:
        """Work on a request; `DeviceFound` improves the last estimate, and a missing device changes nothing."""
        match request:
            case ForecastRequest():
                self.estimate(request)
            case Timing():
                self.learn(request)
            case DeviceFound(hardware, device):
                self.take_device(hardware, device)

    def estimate(self, request: ForecastRequest) -> None:
        """Estimate a plan, at first with what is known and then with a calibrated speed, where there is none yet."""
        if request.number != self.newest:
            return
        self._last = request
        try:
            self._emit_estimate(request)
            if self._calibrate(request.plan):
                self._emit_estimate(request)
        except Exception:  # an estimate is a courtesy: whatever is wrong with it must not be in the way of the run
            LOG.info("no estimate", exc_info=True)

    def take_device(self, hardware: HardwareSettings, device: DeviceInfo) -> None:
        """A device was found: the last estimate can be improved."""
        self._devices[_key(hardware)] = device
        if self._last is not None:
            self.estimate(self._last)

    def learn(self, timing: Timing) -> None:
        """Record how long a run took."""
        device = self._devices.get(_key(timing.plan.hardware))
        if device is not None:
            with suppress(OSError):  # it is known until the end of the program all the same
                self._speeds.learn(device.title, timing.plan, timing.result)

    def _emit_estimate(self, request: ForecastRequest) -> None:
        plan = request.plan
        device = self._device_for(plan.hardware)
        speed = self._speeds.find(device.title, method_of(plan.widest)) if device is not None else None
        free = free_space_at(plan.folder, paths.cache_dir())
        memory = device.memory if device is not None else None
        answer = estimate(plan, request.kept, memory, speed, free)
        if request.number == self.newest:
            self.answered.emit(Forecast(request.number, answer))

    def _device_for(self, hardware: HardwareSettings) -> DeviceInfo | None:
        """The device of a plan. The first one is waited for, as finding it loads torch; the others take a moment."""
        key = _key(hardware)
        if key not in self._devices and self._devices:
            with suppress(Exception):  # the window reports a missing device itself
                self._devices[key] = self._engine.describe_device(hardware)
        return self._devices.get(key)

    def _calibrate(self, plan: Plan) -> bool:
        """Find out the speed of a device with a method that was never used on it; whether that gave anything new."""
        device, method = self._devices.get(_key(plan.hardware)), method_of(plan.widest)
        if device is None or not self.idle or self._speeds.knows(device.title, method):
            return False
        speed = self._engine.calibrate(plan.widest, plan.hardware)
        if speed is None:
            return False
        with suppress(OSError):
            self._speeds.calibrated(device.title, method, speed)
        return True


def _key(hardware: HardwareSettings) -> tuple[str, int | None]:
    """What decides on the device and its memory."""
    return hardware.device, hardware.memory_budget
