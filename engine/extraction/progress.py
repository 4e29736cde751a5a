"""How far a run is, its memory and its totals: `MemorySample` and `BlocksResident` come from here."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from engine.devices.device import MemoryUse
from engine.events import BlocksResident, MemorySample
from engine.extraction.layer_executor import ExecutorSample, LayerExecutor

_SAMPLE_SECONDS = 0.25


class RunProgress:
    """Measures one run: how far it is, by the cost of its layers, and the memory in use.

    Args:
        executor: the run's.
        costs: of each task of the plan, in the unit of `Plan.costs`.
        started: when the run began, by `clock`.
        clock: seconds.
        before: share of the whole run that earlier phases were.
        part: share that this one is.
        samples: the last figures of earlier phases' executors.
    """

    def __init__(
        self,
        executor: LayerExecutor,
        *,
        costs: Sequence[float],
        started: float,
        clock: Callable[[], float] = time.perf_counter,
        before: float = 0.0,
        part: float = 1.0,
        samples: Sequence[ExecutorSample] = (),
    ) -> None:
        self._executor, self._clock = executor, clock
        self._before, self._part, self._samples = before, part, samples
        self._started = self._work_started = started
        self._sample_due = 0.0
        self._kept: set[int] = set()
        self._costs, self._cost = costs, sum(costs)
        self._cost_done = self._new_done = 0.0

    def begin(self, kept: Collection[int]) -> None:
        """The work on the layers begins; those that earlier runs left take hardly any time and do not count in it.

        Args:
            kept: indices into the costs.
        """
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
        now = self._executor.sample()
        left = max(0, now.blocks - now.blocks_resident)
        return BlocksResident(now.blocks_resident, left, now.resident_bytes, now.device_used_bytes)

    def memory(self) -> MemoryUse:
        """What is in use now, over all devices."""
        now = self._executor.sample()
        return MemoryUse(now.run_bytes, now.device_used_bytes, now.rss_bytes)

    def sample(self, *, now: bool = False) -> MemorySample | None:
        """Four times a second a sample of the memory; None while none is due.

        Args:
            now: take one although none is due yet.
        """
        if not now and self._clock() < self._sample_due:
            return None
        self._sample_due = self._clock() + _SAMPLE_SECONDS
        use, total = self._executor.sample(), self._executor.device.total_bytes
        return MemorySample(
            self.seconds(),
            use.run_bytes,
            use.device_used_bytes,
            total,
            use.rss_bytes,
            use.resident_bytes,
            use.prefetched_bytes,
        )

    @property
    def share(self) -> float:
        """Part of the work that is done."""
        done = self._cost_done / self._cost if self._cost else 1.0
        return self._before + self._part * done

    def remaining(self) -> float | None:
        """Seconds to the end, estimated from the new work alone; from all where there is none; None at the start."""
        costs = self._costs
        new, done = self._cost - sum(costs[index] for index in self._kept), self._new_done
        if len(self._kept) == len(costs):
            new, done = self._cost, self._cost_done
        if done <= 0.01 * new:
            return None
        elapsed = self._clock() - self._work_started
        left = elapsed * (new - done) / done
        later = 1.0 - self._before - self._part  # of the run
        if later > 0.0:
            left += (elapsed + left) * later / self._part
        return max(0.0, left)

    def seconds(self) -> float:
        """Since the start."""
        return self._clock() - self._started

    def totals(self, layers_kept: int) -> dict[str, Any]:
        """For the report and the result, in the report's order.

        Args:
            layers_kept: how many layers came from an earlier run.
        """
        every = (*self._samples, self._executor.sample())
        return {
            "seconds": self.seconds(),
            "device": self._executor.device.name,
            "device_title": self._executor.device.title,
            "threads_per_layer": self._executor.threads,
            "peak_device_bytes": max(sample.peak_bytes for sample in every),
            "peak_rss_bytes": max(sample.peak_rss_bytes for sample in every),
            "layers_kept": layers_kept,
            "read_bytes": sum(sample.read_bytes for sample in every),
            "copied_bytes": sum(sample.copied_bytes for sample in every),
            "waited_share": max(sample.waited_share for sample in every),
        }
