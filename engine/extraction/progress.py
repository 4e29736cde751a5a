"""How far a run is, its memory and its totals: `Planned`, `MemorySample` and `BlocksResident` come from here."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from engine.devices.device import Device, MemoryUse
from engine.events import BlocksResident, MemorySample, Planned
from engine.extraction.block_cache import BlockCache
from engine.extraction.layer_executor import LayerExecutor
from engine.planning.plan import Plan

_SAMPLE_SECONDS = 0.25


def planned(plan: Plan, devices: tuple[Device, ...], device_used_bytes: int) -> Planned:
    """The event that begins a run: the plan on the devices that were found for it."""
    return Planned(
        layers=len(plan.layers),
        left_out=plan.left_out,
        output_name=plan.output_name,
        output_bytes=plan.output_bytes,
        device=device_names(devices),
        device_title=device_titles(devices),
        device_total_bytes=sum(device.total_bytes for device in devices),
        ceiling_bytes=sum(device.ceiling_bytes for device in devices),
        threshold_bytes=sum(device.threshold_bytes for device in devices),
        device_used_bytes=device_used_bytes,
        settings=plan.settings,
        hardware=plan.hardware,
    )


def device_names(devices: tuple[Device, ...]) -> str:
    """``cuda:0,cuda:1``."""
    return ",".join(device.name for device in devices)


def device_titles(devices: tuple[Device, ...]) -> str:
    """The devices in words."""
    return " + ".join(device.title for device in devices)


class RunProgress:
    """Measures one run: how far it is, by the cost of its layers, and the memory in use.

    Args:
        devices: those of the run.
        residents: blocks that stay on their devices.
        costs: of each task of the plan, in the unit of `Plan.costs`.
        started: when the run began, by `clock`.
        clock: seconds.
    """

    def __init__(
        self,
        devices: tuple[Device, ...],
        residents: BlockCache,
        *,
        costs: Sequence[float],
        started: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._devices, self._residents = devices, residents
        self._clock = clock
        self._started = self._work_started = started
        self._sample_due = 0.0
        self._kept: set[int] = set()
        self._executor: LayerExecutor | None = None
        self._costs, self._cost = costs, sum(costs)
        self._cost_done = self._new_done = 0.0

    def begin(self, executor: LayerExecutor | None, kept: Collection[int]) -> None:
        """The work on the layers begins; those that earlier runs left take hardly any time and do not count in it.

        Args:
            executor: the run's.
            kept: indices into the costs.
        """
        self._executor = executor
        self._work_started, self._kept = self._clock(), set(kept)

    def lose(self, index: int) -> None:
        """The record of a layer cannot be used: it is work like the others."""
        self._kept.discard(index)

    def settle(self, index: int) -> None:
        """A layer is done."""
        cost = self._costs[index]
        self._cost_done += cost
        self._new_done += 0.0 if index in self._kept else cost

    def blocks_resident(self) -> BlocksResident:
        """What stays on the devices at the end."""
        assert self._executor is not None, "the layers have begun"
        now = self._executor.sample()
        left = max(0, now.blocks - now.blocks_resident)
        return BlocksResident(now.blocks_resident, left, self._residents.nbytes, self.memory().device_used)

    def memory(self) -> MemoryUse:
        """What is in use now, over all devices."""
        held = self._executor.sample().held_bytes if self._executor else (0,) * len(self._devices)
        uses = [device.memory(own) for device, own in zip(self._devices, held, strict=True)]
        run, used = sum(use.run for use in uses), sum(use.device_used for use in uses)
        return MemoryUse(run, used, max(use.rss for use in uses))

    def sample(self, *, now: bool = False) -> MemorySample | None:
        """Four times a second: looks at the memory and returns a sample; None while none is due.

        Args:
            now: do it although it is not due yet.
        """
        if not now and self._clock() < self._sample_due:
            return None
        self._sample_due = self._clock() + _SAMPLE_SECONDS
        if self._executor is not None:
            self._executor.observe()
        memory = self.memory()
        prefetched = self._executor.sample().prefetched_bytes if self._executor else 0
        total = sum(device.total_bytes for device in self._devices)
        return MemorySample(
            self.seconds(), memory.run, memory.device_used, total, memory.rss, self._residents.nbytes, prefetched
        )

    @property
    def share(self) -> float:
        """Part of the work that is done."""
        return self._cost_done / self._cost

    def remaining(self) -> float | None:
        """Seconds to the end, estimated from the new work alone; from all where there is none; None at the start."""
        costs = self._costs
        new, done = self._cost - sum(costs[index] for index in self._kept), self._new_done
        if len(self._kept) == len(costs):
            new, done = self._cost, self._cost_done
        if done <= 0.01 * new:
            return None
        return max(0.0, (self._clock() - self._work_started) * (new - done) / done)

    def seconds(self) -> float:
        """Since the start."""
        return self._clock() - self._started

    def totals(self, layers_kept: int) -> dict[str, Any]:
        """For the report and the result, in the report's order.

        Args:
            layers_kept: how many layers came from an earlier run.
        """
        assert self._executor is not None, "the layers have begun"
        self.memory()  # peaks are noted where the memory is looked at
        end = self._executor.sample()
        return {
            "seconds": self.seconds(),
            "device": device_names(self._devices),
            "device_title": device_titles(self._devices),
            "threads_per_layer": self._executor.threads,
            "peak_device_bytes": sum(end.peak_bytes),
            "peak_rss_bytes": max(device.peak_rss_bytes for device in self._devices),
            "layers_kept": layers_kept,
            "read_bytes": end.read_bytes,
            "copied_bytes": sum(device.copied_bytes for device in self._devices),
            "waited_share": end.waited_share,
        }
