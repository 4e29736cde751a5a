"""How far a run is, its memory and its totals: `MemorySample` and `BlocksResident` come from here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from engine.devices.device import MemoryUse
from engine.events import BlocksResident, MemorySample
from engine.extraction.layer_executor import ExecutorSample, LayerExecutor

_SAMPLE_SECONDS = 0.25
_AT_LEAST = 0.05  # of what was left when a layer was settled is left until the next one is


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
        self._settled: set[int] = set()
        self._left = Counter(costs)
        self._took: dict[float, list[float]] = {}
        self._forecast: tuple[float, float] | None = None

    def begin(self, kept: Collection[int]) -> None:
        """The work on the layers begins; those that earlier runs left take hardly any time and do not count in it.

        Args:
            kept: indices into the costs.
        """
        self._work_started, self._kept = self._clock(), set(kept)
        new = [cost for index, cost in enumerate(self._costs) if index not in self._kept]
        self._left = Counter(new or self._costs)

    def lose(self, index: int) -> None:
        """The record of a layer cannot be used: it is work like the others."""
        if len(self._kept) == len(self._costs):  # so far all of them counted
            self._left = Counter()
        if index in self._kept:
            self._left[self._costs[index]] += 1
        self._kept.discard(index)

    def settle(self, index: int, seconds: float = 0.0) -> None:
        """The work on a layer is done, whether or not its turn to be written has come; further calls say nothing new.

        Args:
            index: into the costs.
            seconds: what the work on it took the thread that did it; 0 where that is not known.
        """
        if index in self._settled:
            return
        self._settled.add(index)
        cost = self._costs[index]
        self._cost_done += cost
        counts = index not in self._kept or len(self._kept) == len(self._costs)
        self._left[cost] -= counts
        if index not in self._kept:
            self._new_done += cost
            if seconds > 0.0:
                self._took.setdefault(cost, []).append(seconds)
        if counts:
            self._look_ahead()

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
        """Seconds to the end, estimated from the new work alone; from all where there is none; None at the start.

        What was estimated when a layer was settled is counted down until the next one is.
        """
        if self._forecast is None:
            return None
        at, left = self._forecast
        now = self._clock()
        elapsed, left = now - self._work_started, max(left - (now - at), _AT_LEAST * left)
        later = 1.0 - self._before - self._part  # of the run
        if later > 0.0:
            left += (elapsed + left) * later / self._part
        return max(0.0, left)

    def _look_ahead(self) -> None:
        """Estimate what is left now: a layer takes what those that cost the same took, others by their costs."""
        done = self._cost_done if len(self._kept) == len(self._costs) else self._new_done
        ahead = sum(cost * count for cost, count in self._left.items())
        if done <= 0.01 * (done + ahead):
            return
        seconds = sum(map(sum, self._took.values()))
        timed = sum(cost * len(took) for cost, took in self._took.items())
        if seconds > 0.0 and timed > 0.0:
            rate = seconds / timed
            means = {cost: sum(took) / len(took) for cost, took in self._took.items()}
            ahead = sum(means.get(cost, rate * cost) * count for cost, count in self._left.items())
            done *= rate
        now = self._clock()
        self._forecast = now, (now - self._work_started) * ahead / done

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
