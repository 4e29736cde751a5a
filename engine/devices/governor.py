"""How much may lie on a device at once, and what gives way when it is too much. Pure policy: numbers in, decisions out.

One governor per device and run. It keeps the books of everything the run holds there: resident blocks, layers read
ahead (staged), layers at work, results on their way out. Nothing here waits, locks, allocates or imports torch.

The order in which things give way is the same for the ceiling, the threshold and a failed allocation: resident blocks,
lowest priority first; then what was read ahead; then half of the batch; then one layer at a time; then the processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.devices.memory_rules import Eviction, Need
from engine.events import MemoryStep

_CALM_SAMPLES = 8  # samples in a row below the threshold before the batch grows back: two seconds at 4 Hz
_CALM_BELOW = 0.95  # of the threshold: the gap that keeps the batch from swinging
_STEPS: tuple[MemoryStep, ...] = ("drop_resident", "drop_prefetched", "halve_batch", "alone", "cpu")


@dataclass
class Governor:
    """The books and the policy of one device.

    Attributes:
        ceiling: bytes this run may hold by its mode.
        threshold: bytes of the whole device, other programs included, above which the run gives way.
        batch_size: most layers at work at once.
        needs: bytes by layer.
        most_staged: layers that may be read ahead at most; None leaves it to the blocks and the bytes.
        prefetches_to_host: they wait in the host's memory and take none of the device's.
        keep_target: bytes of resident blocks that the run will try to keep.
        batch: layers that may be at work at once now.
        limit: what the run may hold now: the ceiling, or less where other programs hold much.
    """

    ceiling: int
    threshold: int
    batch_size: int
    needs: Mapping[int, Need]
    most_staged: int | None = None
    prefetches_to_host: bool = False
    keep_target: int = 0
    batch: int = 0
    limit: int = 0
    resident: dict[str, int] = field(default_factory=dict)  # block -> bytes, most worth keeping first
    prefetched: dict[int, int] = field(default_factory=dict)
    working: dict[int, int] = field(default_factory=dict)
    results: dict[int, int] = field(default_factory=dict)
    peak: int = 0
    _levels: dict[int, int] = field(default_factory=dict)  # how far up the ladder a layer is
    _extra: dict[int, int] = field(default_factory=dict)  # bytes that a layer turned out to need on top
    _reserve: int = 0
    _calm: int = 0
    _keeps: bool = True
    _troubled: set[int] = field(default_factory=set)  # layers that nothing is read ahead beside

    def __post_init__(self) -> None:
        """Begin with the whole batch and the whole ceiling."""
        self.batch = self.batch or self.batch_size
        self.limit = self.limit or self.ceiling
        largest = sorted((need.total for need in self.needs.values()), reverse=True)
        self._reserve = sum(largest[: self.batch_size])

    @property
    def held(self) -> int:
        """Everything the run holds."""
        return sum(map(sum, (part.values() for part in (self.resident, self.prefetched, self.working, self.results))))

    @property
    def resident_bytes(self) -> int:
        """Of that, blocks kept for the next run."""
        return sum(self.resident.values())

    @property
    def prefetched_bytes(self) -> int:
        """Of that, what was read ahead."""
        return sum(self.prefetched.values())

    def work_bytes(self, index: int) -> int:
        """What the work on a layer takes beside its two sides, as far as is known by now."""
        return self.needs[index].work + self._extra.get(index, 0)

    # Reading ahead

    def may_prefetch(self, index: int, *, forced: bool = False) -> bool:
        """Whether a layer may be read now: its bytes fit, and the work on every staged layer still would.

        Args:
            index: the layer.
            forced: nothing else is under way, so this one must go on even where it does not fit.
        """
        if forced:
            return True
        if self._troubled - {index}:
            return False
        if self.most_staged is not None and len(self.prefetched) >= self.most_staged:
            return False
        if self.prefetches_to_host:
            return True
        coming = max(map(self._begin_bytes, self.prefetched), default=0)
        planned = max(0, self.keep_target - self.resident_bytes) if self._keeps else 0
        held = self.held + planned  # reading far ahead is worth less than blocks that need not be read again
        return held + self.needs[index].source + max(coming, self.work_bytes(index)) <= self.limit

    def prefetch(self, index: int, size: int | None = None) -> None:
        """Enter a layer that is being read; `size` where it is not what was planned."""
        planned = 0 if self.prefetches_to_host else self.needs[index].source
        self.prefetched[index] = planned if size is None else size
        self._note()

    def cancel_prefetch(self, index: int) -> None:
        """Strike a staged layer that was dropped."""
        del self.prefetched[index]

    # Working

    def may_begin(self, index: int, ahead: int = 0) -> bool:
        """Whether the work on a staged layer may begin beside what is under way, without dropping anything.

        Args:
            index: the layer.
            ahead: bytes that the largest of the layers before it, in the order of the results, needs to begin. Room
                for it must stay, or results that wait for it could fill the memory.
        """
        if not self._may_join(index):
            return False
        if self.must_be_alone(index):
            return not self.resident and not self._prefetched_beside(index)
        return self.held + self._begin_bytes(index) + ahead <= self.limit

    def eviction_for(self, index: int) -> Eviction | None:
        """What to drop so that a staged layer can begin; None where that would not help yet.

        Resident blocks go first. Where nothing is at work everything else that is staged goes too, and the layer begins
        even if it does not fit alone; but only the first of the staged ones, which so always comes to its turn.
        """
        if not self._may_join(index):
            return None
        missing = self.held + self._begin_bytes(index) - self.limit
        blocks = self._lowest_blocks(missing)
        missing -= sum(self.resident[block] for block in blocks)
        if missing <= 0 and not self.must_be_alone(index):
            return Eviction(blocks=blocks)
        if self.working or index != min(self.prefetched):
            return None
        return Eviction(blocks=tuple(self.resident), prefetched=self._prefetched_beside(index))

    def begin(self, index: int) -> None:
        """The work on a staged layer begins."""
        more = self._begin_bytes(index)
        self.working[index] = self.prefetched.pop(index) + more
        self._note()

    def granted(self, index: int) -> int:
        """Bytes beyond the plan that a layer at work has been given since it asked for them."""
        return self._extra.get(index, 0)

    def may_grow(self, index: int, extra: int) -> bool:
        """Give a layer at work more bytes if they are there, or if it is all that is held.

        Else it is remembered that it needs them, so that it begins with them on its next turn.
        """
        if self.held + extra <= self.limit or self.held == self.working[index]:
            self.working[index] += extra
            self._note()
            return True
        self._extra[index] = self._extra.get(index, 0) + extra
        return False

    def abandon(self, index: int) -> None:
        """The work on a layer broke off and its memory is free."""
        self.working.pop(index, None)

    def finish(self, index: int, result_bytes: int) -> None:
        """The work is done; only the result is held now."""
        self.working.pop(index, None)
        self.results[index] = result_bytes
        self._settle(index)

    def forget(self, index: int) -> None:
        """The result is written, whichever device it came from."""
        self.results.pop(index, None)
        self._settle(index)

    # Resident blocks

    @property
    def room_to_keep(self) -> int:
        """Bytes of resident blocks that leave room for a whole batch of the largest layers."""
        return max(0, self.ceiling - self._reserve)

    def may_keep(self, size: int) -> bool:
        """Whether so many bytes may stay on the device beside a whole batch of the largest layers."""
        return self._keeps and self.resident_bytes + size + self._reserve <= self.limit

    def keep(self, block: str, size: int, order: tuple[str, ...]) -> None:
        """Enter bytes of a block that stay; `order` names all blocks, most worth keeping first."""
        self.resident[block] = self.resident.get(block, 0) + size
        self.resident = {name: self.resident[name] for name in order if name in self.resident}
        self._note()

    def release(self, block: str, size: int | None = None) -> None:
        """Strike bytes of a resident block, or all of it."""
        left = 0 if size is None else self.resident.get(block, 0) - size
        if left > 0:
            self.resident[block] = left
        else:
            self.resident.pop(block, None)

    def trim(self) -> Eviction:
        """Blocks of an earlier run that leave no room for a whole batch of this one."""
        return Eviction(blocks=self._lowest_blocks(self.resident_bytes + self._reserve - self.limit))

    # Giving way

    def observe(self, run: int, used: int) -> Eviction | None:
        """Take note of a sample; what has to give way, or how the batch grows back. None where nothing changes.

        Args:
            run: what this run holds of the device's memory.
            used: what all programs hold.
        """
        self.limit = max(0, min(self.ceiling, self.threshold - max(0, used - run)))
        if used > self.threshold:
            self._calm = 0
            return self._relieve(used - self.threshold)
        self._calm = self._calm + 1 if used <= _CALM_BELOW * self.threshold else 0
        if self._calm >= _CALM_SAMPLES and self.batch < self.batch_size and not self._levels:
            self._calm = 0
            before, self.batch = self.batch, min(self.batch_size, 2 * self.batch)
            return Eviction(batch_before=before, batch_after=self.batch)
        return None

    def out_of_memory(self, index: int) -> tuple[MemoryStep, Eviction]:
        """An allocation failed in a layer, whose memory is free again: the next step for it, and what to drop now.

        A layer never takes the same step twice, but for halving the batch, so that it ends on the processor at last.
        """
        self.abandon(index)
        self._calm = 0
        level = self._levels.get(index, 0)
        steps = {
            "drop_resident": bool(self.resident),
            "drop_prefetched": bool(self._prefetched_beside(index)),
            "halve_batch": self.batch > 1,
            "alone": True,
            "cpu": True,
        }
        while not steps[_STEPS[level]]:
            level += 1
        step, before = _STEPS[level], self.batch
        self._levels[index] = level if step == "halve_batch" else min(level + 1, len(_STEPS) - 1)
        if step == "drop_resident":
            self._keeps = False  # what was too much once is not tried again in this run
            return step, Eviction(blocks=tuple(self.resident))
        if step == "drop_prefetched":
            self._troubled.add(index)
            return step, Eviction(prefetched=self._prefetched_beside(index))
        if step == "halve_batch":
            self.batch //= 2
            return step, Eviction(batch_before=before, batch_after=self.batch)
        self._troubled.add(index)
        return step, Eviction(blocks=tuple(self.resident), prefetched=self._prefetched_beside(index))

    def must_be_alone(self, index: int) -> bool:
        """Whether a layer is so far up the ladder that nothing else may be on the device."""
        return self._levels.get(index, 0) > _STEPS.index("alone")

    def _may_join(self, index: int) -> bool:
        """Whether a layer may be at work beside the others, whatever their bytes."""
        alone = any(map(self.must_be_alone, (*self.working, index)))
        return not self.working or (len(self.working) < self.batch and not alone)

    def _prefetched_beside(self, index: int | None) -> tuple[int, ...]:
        """Prefetched layers other than one whose going would free memory of the device."""
        return tuple(other for other, size in self.prefetched.items() if size and other != index)

    def _settle(self, index: int) -> None:
        """A layer is finished, here or elsewhere: its troubles are over."""
        self._levels.pop(index, None)
        self._extra.pop(index, None)
        self._troubled.discard(index)

    def _begin_bytes(self, index: int) -> int:
        """What a staged layer adds when it begins: its sides too, where they wait in the host's memory."""
        return self.work_bytes(index) + max(0, self.needs[index].source - self.prefetched[index])

    def _relieve(self, missing: int) -> Eviction | None:
        if blocks := self._lowest_blocks(missing):
            return Eviction(blocks=blocks)
        spared = None if self.working else min(self.prefetched, default=None)  # or others could stop the run for good
        if prefetched := self._prefetched_beside(spared):
            return Eviction(prefetched=prefetched)
        if self.batch > 1:
            before, self.batch = self.batch, self.batch // 2
            return Eviction(batch_before=before, batch_after=self.batch)
        return None

    def _lowest_blocks(self, missing: int) -> tuple[str, ...]:
        """Resident blocks that together hold so many bytes, least worth keeping first; all where they hold less."""
        chosen: list[str] = []
        for block in reversed(self.resident):
            if missing <= 0:
                break
            chosen.append(block)
            missing -= self.resident[block]
        return tuple(chosen)

    def _note(self) -> None:
        self.peak = max(self.peak, self.held)
