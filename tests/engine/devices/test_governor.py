"""The memory policy under any workload: nothing is lost, nothing hangs, and things give way in the promised order.

A simulated device does what `engine.extraction.device_lane` does with a governor, one small step after another in
random order.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.devices.governor import Governor
from engine.devices.memory_rules import Eviction, Need

LADDER = ("drop_resident", "drop_prefetched", "halve_batch", "alone", "cpu")
STEPS_PER_LAYER = 200  # many times what reading, working, failing seven times and writing take
GIVES_UP = 100  # a layer that fails this often on the device ends on the processor


@dataclass(frozen=True)
class Layer:
    """One layer: its bytes, what stays of it, what the solver asks for on top, how often its memory cannot be had."""

    source: int
    work: int
    block: int
    kept: int = 0
    result: int = 0
    growth: tuple[int, ...] = ()
    failures: int = 0

    @property
    def total(self) -> int:
        return self.source + self.work


@dataclass(frozen=True)
class Workload:
    """Layers, a device, and how busy the rest of the world is."""

    layers: tuple[Layer, ...]
    ceiling: int
    threshold: int
    batch_size: int
    ahead: int
    most_staged: int | None
    on_host: bool
    keeps: int
    reach: int = 99  # so far ahead of the first layer that is not finished another may begin
    left: dict[str, int] = field(default_factory=dict)  # resident blocks of an earlier run
    restless: float = 0.0  # how often a sample is taken between two steps
    others: int = 0  # most that other programs hold
    seed: int = 0


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    source, work = draw(st.integers(1, 40)), draw(st.integers(1, 60))
    return Layer(
        source=source,
        work=work,
        block=draw(st.integers(0, 4)),
        kept=draw(st.integers(0, source)),
        result=draw(st.integers(0, min(work, 20))),
        growth=tuple(draw(st.lists(st.integers(1, 60), max_size=2))),
        failures=draw(st.one_of(st.just(0), st.integers(1, 8), st.just(GIVES_UP))),
    )


@st.composite
def workloads(draw: st.DrawFn, *, disturbed: bool = True) -> Workload:
    """Any workload on any device; `disturbed` by other programs and a threshold that may be below the ceiling."""
    ceiling = draw(st.integers(0, 400))
    return Workload(
        layers=tuple(sorted(draw(st.lists(layers(), min_size=1, max_size=10)), key=lambda layer: layer.block)),
        ceiling=ceiling,
        threshold=draw(st.integers(0 if disturbed else ceiling, 500)),
        batch_size=draw(st.integers(1, 8)),
        ahead=draw(st.integers(0, 3)),
        most_staged=draw(st.one_of(st.none(), st.integers(1, 4))),
        on_host=draw(st.booleans()),
        keeps=draw(st.integers(0, 5)),
        reach=draw(st.integers(1, 12)),
        left=draw(st.dictionaries(st.sampled_from("01234"), st.integers(1, 60))),
        restless=draw(st.sampled_from((0.0, 0.3, 1.0))),
        others=draw(st.integers(0, 400)) if disturbed else 0,
        seed=draw(st.integers(0, 2**32)),
    )


class SimulatedDevice:
    """A device that has no memory but the governor's books, and checks every one of its decisions."""

    def __init__(self, load: Workload) -> None:
        self.load, self.chance = load, random.Random(load.seed)
        needs = {index: Need(layer.source, layer.work) for index, layer in enumerate(load.layers)}
        self.governor = Governor(
            load.ceiling,
            load.threshold,
            load.batch_size,
            needs,
            most_staged=load.most_staged,
            prefetches_to_host=load.on_host,
        )
        self.order = tuple(map(str, range(5)))
        self.open = list(needs)
        self.reading: set[int] = set()
        self.unwanted: set[int] = set()
        self.prefetched: set[int] = set()
        self.granted: dict[int, int] = {}
        self.growing: dict[int, list[int]] = {}
        self.failures = {index: layer.failures for index, layer in enumerate(load.layers)}
        self.on_cpu: set[int] = set()
        self.finished: list[int] = []
        self.written = 0
        self.used = 0
        self.ladders: dict[int, list[str]] = defaultdict(list)
        self.refused: dict[int, int] = {}
        self.most_held = 0  # apart from results on their way out
        for block in self.order:
            if block in load.left:
                self.governor.keep(block, load.left[block], self.order)
        self.apply(self.governor.trim())

    def run(self) -> SimulatedDevice:
        """Until everything is written, or nothing moves any more."""
        for _ in range(STEPS_PER_LAYER * len(self.load.layers)):
            if self.written == len(self.load.layers):
                return self
            if self.chance.random() < self.load.restless:
                self.sample()
            assert self.step(), "nothing moves any more"
            self.check_books()
        raise AssertionError("it goes on and on")

    def step(self) -> bool:
        """One thread does one thing; False where all of them wait."""
        actions: list[Callable[[], bool]] = [self.read, self.arrive, self.begin, self.work, self.write]
        self.chance.shuffle(actions)
        return any(action() for action in actions)

    @property
    def oldest(self) -> int:
        """The first layer that is not finished."""
        return min(set(range(len(self.load.layers))) - set(self.finished))

    # The steps of `engine.extraction.device_lane`

    def read(self) -> bool:
        governor, load = self.governor, self.load
        if not self.open or len(self.reading) >= min(2, load.batch_size):
            return False
        index = self.open[0]
        wanted = load.batch_size - len(governor.working) - len(governor.prefetched)
        forced = not governor.working and not governor.prefetched
        near = load.layers[index].block <= load.layers[self.oldest].block + load.ahead
        if not forced and wanted <= 0 and not (load.ahead and near):
            return False
        if not governor.may_prefetch(index, forced=forced):
            return False
        self.open.remove(index)
        governor.prefetch(index)
        self.reading.add(index)
        if governor.prefetched[index]:
            self.check_growth(index, alone=not governor.working and set(governor.prefetched) == {index})
        return True

    def arrive(self) -> bool:
        if not self.reading:
            return False
        index = self.chance.choice(sorted(self.reading))
        self.reading.remove(index)
        if index in self.unwanted:
            self.unwanted.remove(index)
            self.put_back_staged(index)
        else:
            self.prefetched.add(index)
        return True

    def begin(self) -> bool:
        governor = self.governor
        if not self.prefetched or len(governor.working) >= self.load.batch_size:
            return False
        waiting, oldest = sorted(self.prefetched), self.oldest
        near = [index for index in waiting if index - oldest < self.load.reach]
        for index in sorted(near, key=lambda index: -governor.work_bytes(index)):
            ahead = max((governor.work_bytes(other) for other in governor.prefetched if other < index), default=0)
            if governor.may_begin(index, ahead):
                return self.begun(index)
        if not near and oldest not in self.open:  # it is on its way here, and all others wait for it
            return False
        eviction = governor.eviction_for(waiting[0])
        if eviction is None:
            return False
        before = (dict(governor.resident), dict(governor.prefetched), set(self.unwanted))
        self.apply(eviction)
        if not self.unwanted:
            return self.begun(waiting[0])
        return before != (governor.resident, governor.prefetched, self.unwanted)

    def begun(self, index: int) -> bool:
        governor = self.governor
        self.prefetched.remove(index)
        governor.begin(index)
        self.granted[index] = governor.granted(index)
        self.growing[index] = list(self.load.layers[index].growth)
        assert self.granted[index] >= self.refused.get(index, 0), "what was refused before is given on its next turn"
        self.check_growth(index, alone=self.is_alone(index))
        assert len(governor.working) <= governor.batch
        return True

    def work(self) -> bool:
        governor = self.governor
        if not governor.working:
            return False
        index = self.chance.choice(sorted(governor.working))
        layer = self.load.layers[index]
        if self.growing[index]:
            self.grow(index, self.growing[index].pop(0))
        elif self.failures[index] and index not in self.on_cpu:
            self.failures[index] -= 1
            self.fail(index)
        else:
            held = governor.held
            governor.finish(index, layer.result)
            self.finished.append(index)
            block = str(layer.block)
            if layer.block < self.load.keeps and layer.kept and governor.may_keep(layer.kept):
                governor.keep(block, layer.kept, self.order)
            assert governor.held <= held, "a finished layer leaves less than it took"
        return True

    def grow(self, index: int, extra: int) -> None:
        governor = self.governor
        missing = extra - self.granted[index]
        self.granted[index] = max(0, -missing)
        if missing <= 0:
            return
        if governor.may_grow(index, missing):
            self.check_growth(index, alone=governor.held == governor.working[index])
        else:
            self.refused[index] = self.refused.get(index, 0) + missing
            governor.abandon(index)
            self.open = sorted([*self.open, index])

    def fail(self, index: int) -> None:
        governor = self.governor
        resident, prefetched, batch = tuple(governor.resident), dict(governor.prefetched), governor.batch
        step, eviction = governor.out_of_memory(index)
        self.apply(eviction)
        assert set(eviction.blocks) == (set(resident) if step != "drop_prefetched" and step != "halve_batch" else set())
        assert (step == "halve_batch") == (governor.batch != batch)
        if step in ("drop_prefetched", "alone", "cpu"):
            assert set(eviction.prefetched) == {other for other, size in prefetched.items() if size}
        self.ladders[index].append(step)
        if step == "cpu":
            self.on_cpu.add(index)
        governor.abandon(index)
        self.open = sorted([*self.open, index])

    def write(self) -> bool:
        if self.written not in self.finished:
            return False
        self.governor.forget(self.written)
        self.written += 1
        return True

    def sample(self) -> None:
        governor = self.governor
        others = self.chance.randint(0, self.load.others)
        self.used = governor.held + others
        batch, evictable = governor.batch, governor.resident or self.droppable()
        eviction = governor.observe(governor.held, self.used)
        assert governor.limit <= self.load.ceiling
        if governor.batch < batch:
            assert not evictable
            assert self.used > self.load.threshold
        if eviction is not None:
            assert not (eviction.blocks and eviction.prefetched), (
                "staged layers stay as long as resident blocks will do"
            )
            self.apply(eviction)

    def droppable(self) -> set[int]:
        """Prefetched layers whose going would help, but for the one that would be next at work."""
        governor = self.governor
        spared = min(governor.prefetched, default=None) if not governor.working else None
        return {index for index, size in governor.prefetched.items() if size and index != spared}

    def apply(self, eviction: Eviction) -> None:
        governor = self.governor
        before = tuple(governor.resident)
        for block in eviction.blocks:
            governor.release(block)
        assert tuple(governor.resident) == before[: len(governor.resident)], "the last block goes first"
        for index in eviction.prefetched:
            if index in self.reading:
                self.unwanted.add(index)
            else:
                self.prefetched.remove(index)
                self.put_back_staged(index)

    def put_back_staged(self, index: int) -> None:
        self.governor.cancel_prefetch(index)
        self.open = sorted([*self.open, index])

    # What must hold at every moment

    def is_alone(self, index: int) -> bool:
        """Nothing but results on their way out, and layers that wait on the host, is there beside a layer."""
        governor = self.governor
        return set(governor.working) == {index} and not governor.resident and not any(governor.prefetched.values())

    def check_growth(self, index: int, *, alone: bool) -> None:
        assert alone or self.governor.held <= self.governor.limit

    def check_books(self) -> None:
        governor = self.governor
        self.most_held = max(self.most_held, governor.held - sum(governor.results.values()))
        assert governor.peak >= governor.held
        assert set(governor.prefetched) == self.reading | self.prefetched
        places = (self.open, governor.prefetched, governor.working, self.finished)
        assert sorted(index for place in places for index in place) == list(range(len(self.load.layers)))
        assert 1 <= governor.batch <= self.load.batch_size
        assert self.unwanted <= self.reading
        for working in governor.working:
            assert not governor.must_be_alone(working) or self.is_alone(working)


@given(workloads())
@settings(max_examples=300)
def test_every_layer_is_finished_once_whatever_fails_and_however_little_memory_there_is(load: Workload) -> None:
    device = SimulatedDevice(load).run()
    assert sorted(device.finished) == list(range(len(load.layers)))


@given(workloads())
@settings(max_examples=200)
def test_in_the_end_only_resident_blocks_are_held_and_after_their_release_nothing(load: Workload) -> None:
    governor = SimulatedDevice(load).run().governor
    assert governor.held == governor.resident_bytes
    for block in tuple(governor.resident):
        governor.release(block)
    assert governor.held == 0


@given(workloads())
@settings(max_examples=200)
def test_a_layer_climbs_the_ladder_step_by_step_and_never_back(load: Workload) -> None:
    for index, steps in SimulatedDevice(load).run().ladders.items():
        levels = [LADDER.index(step) for step in steps]
        assert levels == sorted(levels)
        assert all(steps.count(step) == 1 for step in set(steps) - {"halve_batch"})
        assert load.layers[index].failures != GIVES_UP or steps[-2:] == ["alone", "cpu"]


@given(workloads(disturbed=False))
@settings(max_examples=300)
def test_the_limit_is_passed_by_nothing_but_results_and_the_one_layer_that_does_not_fit_alone(load: Workload) -> None:
    largest = max(layer.total + sum(layer.growth) for layer in load.layers)
    assert SimulatedDevice(load).run().most_held <= max(load.ceiling, largest)


@given(workloads())
def test_what_an_earlier_run_left_makes_room_for_a_whole_batch(load: Workload) -> None:
    governor = SimulatedDevice(load).governor
    batch = sum(sorted((layer.total for layer in load.layers), reverse=True)[: load.batch_size])
    assert not governor.resident or governor.resident_bytes + batch <= load.ceiling


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 8))
def test_a_halved_batch_doubles_after_eight_calm_samples_in_a_row(calm: list[bool], batch_size: int) -> None:
    governor = Governor(1000, 1000, batch_size, {})
    quiet, batch = 0, batch_size
    for is_calm in calm:
        governor.observe(0, 500 if is_calm else 1001)
        quiet = quiet + 1 if is_calm else 0
        if not is_calm:
            batch = max(1, batch // 2)
        elif quiet >= 8 and batch < batch_size:
            quiet, batch = 0, min(batch_size, 2 * batch)
        assert governor.batch == batch


def test_use_just_below_the_threshold_is_not_calm() -> None:
    governor = Governor(1000, 1000, 4, {}, batch=1)
    assert [governor.observe(0, 960) for _ in range(20)] == [None] * 20


def test_the_batch_does_not_grow_while_a_layer_is_in_trouble() -> None:
    governor = Governor(1000, 1000, 2, {0: Need(1, 1)})
    governor.prefetch(0)
    governor.begin(0)
    assert governor.out_of_memory(0)[0] == "halve_batch"
    assert [governor.observe(0, 0) for _ in range(20)] == [None] * 20
    governor.forget(0)  # another device has done it meanwhile
    assert governor.observe(0, 0) == Eviction(batch_before=1, batch_after=2)


def test_pressure_takes_resident_blocks_then_staged_layers_then_half_the_batch() -> None:
    governor = Governor(1000, 1000, 4, {0: Need(10, 1), 1: Need(10, 1)})
    for block in ("middle", "output"):
        governor.keep(block, 50, ("middle", "output"))
    governor.prefetch(0)
    governor.begin(0)
    governor.prefetch(1)
    evictions = []
    for excess in (30, 30, 30, 30):
        eviction = governor.observe(governor.held, 1000 + excess)
        assert eviction is not None
        evictions.append(eviction)
        for block in eviction.blocks:
            governor.release(block)
        for index in eviction.prefetched:
            governor.cancel_prefetch(index)
    wanted = (Eviction(blocks=("output",)), Eviction(blocks=("middle",)), Eviction(prefetched=(1,)))
    assert tuple(evictions) == (*wanted, Eviction(batch_before=4, batch_after=2))


def test_other_programs_cannot_take_away_the_only_layer_there_is_to_work_on() -> None:
    governor = Governor(1000, 1000, 1, {0: Need(10, 1)})
    assert governor.may_prefetch(0, forced=True)
    governor.prefetch(0)
    assert governor.observe(10, 2000) is None
    assert governor.eviction_for(0) == Eviction()


def test_layers_that_wait_on_the_host_are_not_dropped_for_the_device() -> None:
    governor = Governor(5, 1000, 2, {0: Need(10, 1), 1: Need(10, 1)}, prefetches_to_host=True)
    for index in (0, 1):
        assert governor.may_prefetch(index)
        governor.prefetch(index)
    assert governor.eviction_for(0) == Eviction()


@pytest.mark.parametrize("resident", [0, 30])
def test_a_layer_grows_past_the_limit_only_where_it_is_all_there_is(resident: int) -> None:
    governor = Governor(100, 1000, 1, {0: Need(40, 20)})
    if resident:
        governor.keep("block", resident, ("block",))
    governor.prefetch(0)
    governor.begin(0)
    assert governor.may_grow(0, 60) is not bool(resident)
    assert governor.granted(0) == (60 if resident else 0)
