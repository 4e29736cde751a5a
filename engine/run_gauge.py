"""What a run tells of itself while it works: the plan, memory four times a second, progress, and totals at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from engine.conveyor import Conveyor
from engine.device import Device, MemoryUse
from engine.events import BlocksKept, Event, MemorySample, Planned, Progress
from engine.planning import Plan
from engine.resident_blocks import ResidentBlocks
from engine.run_results import RunResults

_SAMPLE_SECONDS = 0.25


class RunGauge:
    """Looks at devices, conveyor and results of one run.

    Attributes:
        devices: those of the run, once they are known.
        conveyor: the run's, once it is there.
        cost_done: of the plan's costs, what is done.
    """

    def __init__(
        self, plan: Plan, results: RunResults, residents: ResidentBlocks, tell: Callable[[Event], None]
    ) -> None:
        self._plan, self._results, self._residents, self._tell = plan, results, residents, tell
        self._started = time.perf_counter()
        self._sample_due = 0.0
        self.devices: tuple[Device, ...] = ()
        self.conveyor: Conveyor | None = None
        self.cost_done, self._cost = 0.0, sum(plan.costs)

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
        if not now and time.perf_counter() < self._sample_due:
            return
        self._sample_due = time.perf_counter() + _SAMPLE_SECONDS
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
        elapsed, share = self.seconds(), self.cost_done / self._cost
        return Progress(
            layers_done=self._results.done,
            layers_total=len(self._plan.layers),
            share=share,
            elapsed=elapsed,
            remaining=elapsed * (1 - share) / share if share > 0.01 else None,
            energy_so_far=self._results.energy_so_far(),
        )

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
        return time.perf_counter() - self._started

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
