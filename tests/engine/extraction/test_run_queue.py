"""The queue of a run against a plain model of it: every task is open, taken or finished, and never two of them."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.checkpoints import StoredTensor, WeightSource, WeightView
from engine.checkpoints.stored import RAW
from engine.extraction.queue import RunQueue
from engine.models.blocks import Block
from engine.models.pairing import PairedWeight
from engine.planning.task import Task

SOURCE = WeightSource("w", (1, 1), "F32", RAW, (StoredTensor("w", "F32", (1, 1), 4),))
VIEW = WeightView.of(SOURCE, "denoiser")
WEIGHT = PairedWeight("w", "matrix", "denoiser", (1, 1), VIEW, VIEW, Block())
PER_BLOCK = 3  # tasks in each block


def task(index: int) -> Task:
    return Task(index, WEIGHT, index // PER_BLOCK)


class QueueMachine(RuleBasedStateMachine):
    """Takes, puts back, adds and finishes in any order."""

    @initialize(indices=st.sets(st.integers(0, 30)), order=st.randoms())
    def begin(self, indices: set[int], order: object) -> None:
        tasks = [task(index) for index in indices]
        order.shuffle(tasks)  # type: ignore[attr-defined]
        self.queue = RunQueue(tasks)
        self.open, self.taken, self.finished = set(indices), set[int](), set[int]()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(sorted(self.open)))
        assert self.queue.take(index) == task(index)
        self.open.remove(index)
        self.taken.add(index)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(sorted(self.taken)))
        self.queue.put_back(index)
        self.taken.remove(index)
        self.open.add(index)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(sorted(self.taken)))
        self.queue.finish(index)
        self.taken.remove(index)
        self.finished.add(index)

    @rule(index=st.integers(0, 40))
    def add(self, index: int) -> None:
        if index not in self.open | self.taken | self.finished:
            self.queue.add(task(index))
            self.open.add(index)

    @rule(index=st.integers(0, 40))
    def nobody_takes_what_is_not_open(self, index: int) -> None:
        if index not in self.open:
            with pytest.raises(ValueError, match="not in list"):
                self.queue.take(index)

    @invariant()
    def every_task_is_in_its_place(self) -> None:
        left = self.open | self.taken
        assert list(self.queue.open) == sorted(self.open)
        assert self.queue.oldest == min(left, default=None)
        assert self.queue.empty == (not left)
        assert set(self.queue.tasks) == left | self.finished

    @invariant()
    def what_is_near_is_counted_in_blocks_from_the_oldest(self) -> None:
        left = self.open | self.taken
        for index in left:
            blocks = index // PER_BLOCK - min(left) // PER_BLOCK
            assert [self.queue.within(index, ahead) for ahead in range(4)] == [blocks <= ahead for ahead in range(4)]


TestQueue = QueueMachine.TestCase
