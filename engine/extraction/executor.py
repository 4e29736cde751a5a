"""The executor on this machine: one task queue for all devices, one lane per device, results to the caller.

Reading, copying, computing and the writing of results, on the caller's thread, overlap.
"""

from __future__ import annotations

from types import TracebackType

import torch

from engine.events import Notice, NoticeCode
from engine.extraction.device_lane import DeviceLane
from engine.extraction.layer_executor import ExecutorSample, RunInputs
from engine.extraction.stages import LayerReader
from engine.extraction.state import RunState
from engine.layer import LayerOutcome
from engine.planning.task import Task
from engine.steps import Step

STALLED_SECONDS = 2.0  # a drive that takes longer to answer after the end is not waited for


class LocalExecutor:
    """The `LayerExecutor` on the devices of this machine.

    Args:
        inputs: what to do.
    """

    def __init__(self, inputs: RunInputs) -> None:
        self._reader, self._budget = LayerReader(*inputs.checkpoints), inputs.hardware.memory_budget
        workers = [device.workers(inputs.hardware) for device in inputs.devices]
        self._state = RunState(inputs, self._reader, workers=sum(count for count, _ in workers))
        each = inputs.threads or max(1, min(cores for _, cores in workers) // len(workers))
        self.threads, self._threads_before = each, torch.get_num_threads()
        self.lanes = tuple(
            DeviceLane(device, self._state, workers=count, threads=each)
            for device, (count, _) in zip(inputs.devices, workers, strict=True)
        )

    def __enter__(self) -> LocalExecutor:
        try:
            for lane in self.lanes:
                lane.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        with self._state.changed:
            self._state.stop()
        for lane in self.lanes:
            lane.join(STALLED_SECONDS)
        torch.set_num_threads(self._threads_before)  # of the product library it is the process's number

    def take(self, timeout: float) -> list[tuple[int, LayerOutcome]]:
        """See `LayerExecutor.take`."""
        with self._state.changed:
            state = self._state
            if not state.results and state.failure is None:
                state.changed.wait(timeout)
            taken = list(state.results)
            state.results.clear()
            if not taken and state.failure is not None:
                raise state.failure
            return taken

    def release(self, index: int) -> None:
        """See `LayerExecutor.release`."""
        with self._state.changed:
            self._state.written(index)
            for lane in self.lanes:
                lane.scheduler.governor.forget(index)
            self._state.changed.notify_all()

    def submit(self, task: Task) -> None:
        """See `LayerExecutor.submit`."""
        with self._state.changed:
            for lane in self.lanes:
                lane.scheduler.expect(task)
            self._state.queue.add(task)
            self._state.changed.notify_all()

    def observe(self) -> None:
        """See `LayerExecutor.observe`."""
        with self._state.changed:
            for lane in self.lanes:
                lane.scheduler.observe()

    def leftover(self) -> list[tuple[int, LayerOutcome]]:
        """See `LayerExecutor.leftover`."""
        left = list(self._state.results)
        self._state.results.clear()
        return left

    def remarks(self) -> list[Notice]:
        """See `LayerExecutor.remarks`."""
        notices, tasks = [], self._state.queue.tasks.values()
        needs = {task.index: [lane.scheduler.need_of(task.index) for lane in self.lanes] for task in tasks}
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

    def steps(self) -> list[Step]:
        """See `LayerExecutor.steps`."""
        return [step for lane in self.lanes for step in lane.steps]

    def sample(self) -> ExecutorSample:
        """See `LayerExecutor.sample`; peaks are those of the governor where the device's memory is the host's."""
        with self._state.changed:
            scheduler = [lane.scheduler for lane in self.lanes]
            return ExecutorSample(
                held_bytes=tuple(book.governor.held for book in scheduler),
                peak_bytes=tuple(
                    lane.scheduler.governor.peak if lane.device.host else lane.device.peak_run_bytes
                    for lane in self.lanes
                ),
                prefetched_bytes=sum(book.governor.prefetched_bytes for book in scheduler),
                read_bytes=self._reader.read_bytes,
                waited_share=self._waited_share(),
                blocks_resident=sum(book.residents.kept for book in scheduler),
                blocks=max(book.residents.all for book in scheduler),
            )

    def _waited_share(self) -> float:
        worked = self._state.worked_seconds * len(self.lanes)
        return min(1.0, sum(lane.scheduler.waited_seconds for lane in self.lanes) / worked) if worked else 0.0
