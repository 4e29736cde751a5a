"""The executor on this machine: one task queue for all devices, one lane per device, results to the caller.

Reading, copying, computing and the writing of results, on the caller's thread, overlap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType

import torch

from engine.devices.device import Device, choose_devices
from engine.devices.process_memory import TIGHT, at_once
from engine.events import FinishingStep, Notice, NoticeCode
from engine.extraction.block_cache import BlockCache
from engine.extraction.device_lane import DeviceLane
from engine.extraction.layer_executor import DeviceFacts, ExecutorSample, RunContext, RunInputs
from engine.extraction.state import RunState
from engine.layer import LayerOutcome
from engine.planning.task import Task
from engine.settings import HardwareSettings

STALLED_SECONDS = 2.0  # a drive that takes longer to answer after the end is not waited for
_OBSERVE_SECONDS = 0.25

DeviceChoice = Callable[[HardwareSettings], tuple[Device, ...]]


class LocalExecutor:
    """The `LayerExecutor` on the devices of this machine."""

    def __init__(
        self,
        inputs: RunInputs,
        context: RunContext,
        *,
        residents: BlockCache | None = None,
        devices: DeviceChoice = choose_devices,
    ) -> None:
        """Find the devices.

        Args:
            inputs: what to do.
            context: for whom.
            residents: blocks that stay on their devices between runs; None keeps none.
            devices: finds the devices.

        Raises:
            EngineError: ``device_unavailable``.
        """
        self._devices, self._budget = devices(inputs.hardware), inputs.hardware.memory_budget
        self._residents = BlockCache() if residents is None else residents
        self._residents.clear(but=frozenset(device.name for device in self._devices))
        self.device = _facts(self._devices)
        self._workers, cores = zip(*(device.workers(inputs.hardware) for device in self._devices), strict=True)
        self.threads, self._threads_before = max(1, min(cores) // len(self._devices)), torch.get_num_threads()
        self._state = RunState(inputs, context, self._residents, workers=sum(self._workers))
        self._lanes: tuple[DeviceLane, ...] = ()
        self._heap = ExitStack()
        self._observe_due = 0.0
        self._last: ExecutorSample | None = None

    def __enter__(self) -> LocalExecutor:
        tight = self._budget is not None and self._budget < TIGHT
        self._heap.enter_context(at_once(tight))
        try:
            for lane in self._lanes:
                lane.start(self.threads)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(observe=kind is None)

    def _end(self, *, observe: bool = False) -> None:
        with self._state.changed:
            self._state.stop()
        for lane in self._lanes:
            lane.join(STALLED_SECONDS)
        torch.set_num_threads(self._threads_before)  # of the product library it is the process's number
        if observe:
            self._observe()
        self._last = self.sample()
        for device in self._devices:
            device.release()
        self._heap.close()

    def submit(self, tasks: Sequence[Task]) -> None:
        """See `LayerExecutor.submit`."""
        if self._lanes:
            self._submit_more(tasks)
            return
        self._state.begin(tasks)
        lanes = zip(self._devices, self._workers, strict=True)
        self._lanes = tuple(DeviceLane(device, self._state, workers=workers) for device, workers in lanes)
        for notice in self._remarks(tasks):
            self._state.emit(notice)

    def _submit_more(self, tasks: Sequence[Task]) -> None:
        with self._state.changed:
            for task in tasks:
                for lane in self._lanes:
                    lane.scheduler.expect(task)
                self._state.queue.add(task)
            self._state.changed.notify_all()

    def take(self, timeout: float) -> list[tuple[int, LayerOutcome]]:
        """See `LayerExecutor.take`."""
        self._observe_if_due()
        with self._state.changed:
            state, left = self._state, self._last is not None
            if not left and not state.results and state.failure is None:
                state.changed.wait(timeout)
            taken = list(state.results)
            state.results.clear()
            if not left and not taken and state.failure is not None:
                raise state.failure
            return taken

    def release(self, index: int) -> None:
        """See `LayerExecutor.release`."""
        with self._state.changed:
            self._state.written(index)
            for lane in self._lanes:
                lane.scheduler.governor.forget(index)
            self._state.changed.notify_all()
        self._observe_if_due()

    def sample(self) -> ExecutorSample:
        """See `LayerExecutor.sample`; peaks are those of the governor where the device's memory is the host's."""
        if self._last is not None:
            return self._last
        with self._state.changed:
            schedulers = [lane.scheduler for lane in self._lanes]
            held = [scheduler.governor.held for scheduler in schedulers] or [0] * len(self._devices)
            peaks = [scheduler.governor.peak for scheduler in schedulers] or held
            prefetched = sum(scheduler.governor.prefetched_bytes for scheduler in schedulers)
            kept = sum(scheduler.residents.kept for scheduler in schedulers)
            blocks = max((scheduler.residents.all for scheduler in schedulers), default=0)
            waited = self._waited_share()
        uses = [device.memory(own) for device, own in zip(self._devices, held, strict=True)]
        both = zip(self._devices, peaks, strict=True)
        return ExecutorSample(
            run_bytes=sum(use.run for use in uses),
            device_used_bytes=sum(use.device_used for use in uses),
            rss_bytes=max(use.rss for use in uses),
            peak_bytes=sum(peak if device.host else device.peak_run_bytes for device, peak in both),
            peak_rss_bytes=max(device.peak_rss_bytes for device in self._devices),
            prefetched_bytes=prefetched,
            resident_bytes=self._residents.nbytes,
            read_bytes=self._state.reader.read_bytes,
            copied_bytes=sum(device.copied_bytes for device in self._devices),
            waited_share=waited,
            blocks_resident=kept,
            blocks=blocks,
            finishing=self._finishing(),
        )

    def _waited_share(self) -> float:
        worked = self._state.worked_seconds * len(self._lanes)
        return min(1.0, sum(lane.scheduler.waited_seconds for lane in self._lanes) / worked) if worked else 0.0

    def _finishing(self) -> FinishingStep | None:
        steps = [step for lane in self._lanes for step in lane.steps]
        finishing = [FinishingStep(step.layer, step.kind, step.size, step.remaining()) for step in steps]
        return max(finishing, key=lambda step: step.most_seconds, default=None)

    def _observe_if_due(self) -> None:
        if self._last is None and time.perf_counter() >= self._observe_due:
            self._observe_due = time.perf_counter() + _OBSERVE_SECONDS
            self._observe()

    def _observe(self) -> None:
        """Look at the devices' memory; evicts where too much of it is in use."""
        with self._state.changed:
            for lane in self._lanes:
                lane.scheduler.observe()

    def _remarks(self, tasks: Sequence[Task]) -> list[Notice]:
        """Remarks on layers that need more than the memory budget, and on layers that are read in parts."""
        notices = []
        needs = {task.index: [lane.scheduler.need_of(task.index) for lane in self._lanes] for task in tasks}
        sizes = {index: max(need.total for need in each) for index, each in needs.items()}
        larger = [task for task in tasks if self._budget is not None and sizes[task.index] > self._budget]
        if larger and self._budget is not None:
            largest = max(larger, key=lambda task: sizes[task.index])
            data = {"layers": len(larger), "needed": sizes[largest.index], "budget": int(self._budget)}
            notices.append(Notice(NoticeCode.OVER_BUDGET, largest.weight.name, data))
        parts = [task for task in tasks if any(need.way != "whole" for need in needs[task.index])]
        if parts:
            largest = max(parts, key=lambda task: task.weight.numel)
            notices.append(Notice(NoticeCode.READ_IN_PARTS, largest.weight.name, {"layers": len(parts)}))
        return notices


def _facts(devices: tuple[Device, ...]) -> DeviceFacts:
    return DeviceFacts(
        name=",".join(device.name for device in devices),
        title=" + ".join(device.title for device in devices),
        total_bytes=sum(device.total_bytes for device in devices),
        ceiling_bytes=sum(device.ceiling_bytes for device in devices),
        threshold_bytes=sum(device.threshold_bytes for device in devices),
    )
