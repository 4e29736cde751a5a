"""The permanent background threads: one opens and plans, one finds the device and estimates, one samples pairs."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QThread, Signal

from app.system.abandoned_threads import wait_or_keep
from app.work.engine_port import Engine
from app.work.forecast import Forecaster
from app.work.preparation import DeviceWorker, PreparationWorker, SampleWorker
from app.work.requests import (
    DeviceRequest,
    ForecastRequest,
    FreeMemory,
    InspectRequest,
    LeavePair,
    PlanRequest,
    SampleRequest,
    Timing,
)
from engine.settings import HardwareSettings


class Background(QObject):
    """Owns the threads and passes requests on to them. All of it is called on the GUI thread.

    Attributes:
        answered: a `BackgroundAnswer` of any of the workers.
    """

    answered = Signal(object)

    _prepare = Signal(object)
    _describe = Signal(object)
    _forecast = Signal(object)
    _sample = Signal(object)

    def __init__(self, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._preparation = PreparationWorker(engine)
        self._preparation_thread = thread_with("preparation", self._preparation)
        self._prepare.connect(self._preparation.take)
        self._preparation.answered.connect(self.answered)
        self._preparation_thread.start()
        self._device, self._forecaster = DeviceWorker(engine), Forecaster(engine)
        self._device_thread = thread_with("device", self._device, self._forecaster)
        self._describe.connect(self._device.describe)
        self._forecast.connect(self._forecaster.take)
        self._device.answered.connect(self.answered)
        self._device.answered.connect(self._forecaster.take)  # behind the line above: it may calibrate at once
        self._forecaster.answered.connect(self.answered)
        self._device_thread.start(QThread.Priority.LowPriority)
        self._sampler = SampleWorker()
        self._sample_thread = thread_with("sample", self._sampler)
        self._sample.connect(self._sampler.sample)
        self._sampler.answered.connect(self.answered)
        self._sample_thread.start(QThread.Priority.LowPriority)

    def inspect(self, number: int, side: str, path: Path | None) -> None:
        """Describe the model of a side; None only makes answers on their way stale."""
        self._preparation.newest_inspection[side] = number
        if path is not None:
            self._prepare.emit(InspectRequest(number, side, path))

    def is_newest(self, request: InspectRequest) -> bool:
        """Whether an inspection is still wanted."""
        return request.number == self._preparation.newest_inspection.get(request.side)

    def expect_plan(self, number: int) -> None:
        """From now on drop plans and estimates with another number."""
        self._preparation.newest_plan = self._forecaster.newest = number

    def prepare(self, request: PlanRequest) -> None:
        """Pair two models and plan an extraction."""
        self._prepare.emit(request)

    def leave_pair(self) -> None:
        """Close the open pair."""
        self._prepare.emit(LeavePair())

    def free_memory(self) -> None:
        """Free what the open pair keeps on the device."""
        self._prepare.emit(FreeMemory())

    def describe_device(self, hardware: HardwareSettings) -> None:
        """Find the device that would compute."""
        self._describe.emit(DeviceRequest(hardware))

    def estimate(self, request: ForecastRequest) -> None:
        """Estimate what a plan will take."""
        self._forecast.emit(request)

    def sample(self, request: SampleRequest) -> None:
        """Look at some rows of the open pair."""
        self._sample.emit(request)

    def learn(self, timing: Timing) -> None:
        """Record how long a run took, for later estimates."""
        self._forecast.emit(timing)

    def set_idle(self, idle: bool) -> None:
        """Whether nothing runs, so that a device may be tried out."""
        self._forecaster.idle = idle

    def end(self, *, close_pair: bool) -> bool:
        """End the threads; one that a drive holds is given up after two seconds, see `app.system.abandoned_threads`.

        Args:
            close_pair: nothing else uses the open pair any more, so that its files can be closed.

        Returns:
            Whether all have ended.
        """
        self.expect_plan(-1)  # what is still waiting for its turn is skipped
        self._preparation.newest_inspection = {}
        for thread in (self._preparation_thread, self._device_thread, self._sample_thread):
            thread.quit()
        prepared = wait_or_keep(self._preparation_thread, self._preparation, self)
        found = wait_or_keep(self._device_thread, self._device, self._forecaster, self)
        sampled = wait_or_keep(self._sample_thread, self._sampler, self)
        if prepared and sampled and close_pair:
            self._preparation.close_pair()
        return prepared and found and sampled


def thread_with(name: str, *workers: QObject) -> QThread:
    """A thread that is not started yet, with workers on it."""
    thread = QThread()
    thread.setObjectName(name)
    for worker in workers:
        worker.moveToThread(thread)
    return thread
