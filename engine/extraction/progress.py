"""What a run tells of itself while it works: the plan, memory four times a second, progress, and totals at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from engine.devices.device import Device, MemoryUse
from engine.events import BlocksKept, Event, MemorySample, Notice, NoticeCode, Planned, Progress
from engine.extraction.block_cache import ResidentBlocks
from engine.extraction.collector import RunResults
from engine.extraction.executor import Conveyor
from engine.planning.plan import Plan
from engine.planning.task import Task

_SAMPLE_SECONDS = 0.25


class RunGauge:
    """Looks at devices, conveyor and results of one run.

    Attributes:
        devices: those of the run, once they are known.
        conveyor: the run's, once it is there.
    """

    def __init__(
        self,
        plan: Plan,
        results: RunResults,
        residents: ResidentBlocks,
        tell: Callable[[Event], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._plan, self._results, self._residents, self._tell = plan, results, residents, tell
        self._clock = clock
        self._started = self._work_started = clock()
        self._sample_due = 0.0
        self._kept: set[int] = set()
        self.devices: tuple[Device, ...] = ()
        self.conveyor: Conveyor | None = None
        self._cost = sum(plan.costs)
        self._cost_done = self._new_done = 0.0

    def planned(self) -> Planned:
        """The run is about to start."""
        plan, devices = self._plan, self.devices
        return Planned(
            layers=len(plan.layers),
            left_out=plan.left_out,
            output_name=plan.output_name,
            output_bytes=plan.output_bytes,
            device=self.device_names,
            device_title=self.device_titles,
            device_total_bytes=sum(device.total_bytes for device in devices),
            ceiling_bytes=sum(device.ceiling_bytes for device in devices),
            threshold_bytes=sum(device.threshold_bytes for device in devices),
            device_used_bytes=self.memory().device_used,
        )

    def begin(self, kept: Collection[int]) -> None:
        """The work on the layers begins; those that earlier runs left take hardly any time and say nothing of it.

        Args:
            kept: indices into the plan's costs.
        """
        self._work_started, self._kept = self._clock(), set(kept)

    def lose(self, index: int) -> None:
        """What an earlier run left of a layer cannot be used: it is work like the others."""
        self._kept.discard(index)

    def settle(self, index: int) -> None:
        """A layer is done."""
        cost = self._plan.costs[index]
        self._cost_done += cost
        self._new_done += 0.0 if index in self._kept else cost

    def over_budget(self, tasks: Collection[Task]) -> Notice | None:
        """A remark where layers of the run are larger than the memory budget; such a layer is worked on alone."""
        budget = self._plan.hardware.memory_budget
        if budget is None or self.conveyor is None:
            return None
        lanes = self.conveyor.lanes
        sizes = {task.index: max(lane.books.need_of(task.index).total for lane in lanes) for task in tasks}
        larger = [task for task in tasks if sizes[task.index] > budget]
        if not larger:
            return None
        largest = max(larger, key=lambda task: sizes[task.index])
        data = {"layers": len(larger), "needed": sizes[largest.index], "budget": int(budget)}
        return Notice(NoticeCode.OVER_BUDGET, largest.weight.name, data)

    def read_in_parts(self, tasks: Collection[Task]) -> Notice | None:
        """A remark where layers are not held whole for want of memory, and read from the files more than once."""
        if self.conveyor is None:
            return None
        books = [lane.books for lane in self.conveyor.lanes]
        parts = [task for task in tasks if any(book.need_of(task.index).way != "whole" for book in books)]
        if not parts:
            return None
        largest = max(parts, key=lambda task: task.weight.numel)
        return Notice(NoticeCode.READ_IN_PARTS, largest.weight.name, {"layers": len(parts)})

    def blocks_kept(self) -> BlocksKept:
        """What stays on the devices at the end."""
        conveyor = self.conveyor
        assert conveyor is not None
        kept, size = sum(lane.books.residents.kept for lane in conveyor.lanes), self._residents.nbytes
        blocks = max(lane.books.residents.all for lane in conveyor.lanes)
        return BlocksKept(kept, max(0, blocks - kept), size, self.memory().device_used)

    def memory(self) -> MemoryUse:
        """What is in use now, over all devices."""
        held = self.conveyor.held if self.conveyor else [0] * len(self.devices)
        uses = [device.memory(own) for device, own in zip(self.devices, held, strict=True)]
        run, used = sum(use.run for use in uses), sum(use.device_used for use in uses)
        return MemoryUse(run, used, max(use.rss for use in uses))

    def sample(self, *, now: bool = False) -> None:
        """Four times a second: look at the memory, and tell."""
        if not now and self._clock() < self._sample_due:
            return
        self._sample_due = self._clock() + _SAMPLE_SECONDS
        if self.conveyor is not None:
            self.conveyor.observe()
        memory = self.memory()
        staged = self.conveyor.staged_bytes if self.conveyor else 0
        total = sum(device.total_bytes for device in self.devices)
        self._tell(
            MemorySample(
                self.seconds(), memory.run, memory.device_used, total, memory.rss, self._residents.nbytes, staged
            )
        )
        self._tell(self.progress())

    def progress(self) -> Progress:
        """How far the run is now."""
        share = self._cost_done / self._cost
        return Progress(
            layers_done=self._results.done,
            layers_total=len(self._plan.layers),
            share=share,
            elapsed=self.seconds(),
            remaining=self._remaining(),
            energy_so_far=self._results.energy_so_far(),
        )

    def _remaining(self) -> float | None:
        """Seconds to the end, judged by the new work alone; by all where there is none."""
        costs = self._plan.costs
        new, done = self._cost - sum(costs[index] for index in self._kept), self._new_done
        if len(self._kept) == len(costs):
            new, done = self._cost, self._cost_done
        if done <= 0.01 * new:
            return None
        return max(0.0, (self._clock() - self._work_started) * (new - done) / done)

    @property
    def device_names(self) -> str:
        """``cuda:0,cuda:1``."""
        return ",".join(device.name for device in self.devices)

    @property
    def device_titles(self) -> str:
        """The devices in words."""
        return " + ".join(device.title for device in self.devices)

    def seconds(self) -> float:
        """Since the start."""
        return self._clock() - self._started

    def totals(self) -> dict[str, Any]:
        """For the report and the result."""
        assert self.conveyor is not None
        self.memory()
        return {
            "seconds": self.seconds(),
            "device": self.device_names,
            "device_title": self.device_titles,
            "threads_per_layer": self.conveyor.threads,
            "peak_device_bytes": sum(self.conveyor.peaks),
            "peak_rss_bytes": max(device.peak_rss_bytes for device in self.devices),
            "layers_kept": self._results.kept,
            "read_bytes": self.conveyor.read_bytes,
            "copied_bytes": sum(device.copied_bytes for device in self.devices),
            "waited_share": self.conveyor.waited_share,
        }
