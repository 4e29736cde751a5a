"""All devices of a run at work: one queue, one lane each, results to the caller.

Reading, copying, computing and what the caller does with the results overlap. The caller's thread is the writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

import torch

from engine.checkpoints import Checkpoint
from engine.decompose.method import LayerMethod
from engine.devices.device import Device
from engine.events import Event
from engine.extraction.block_cache import ResidentBlocks
from engine.extraction.device_lane import Lane
from engine.extraction.layer_reader import LayerReader
from engine.extraction.queue import Task
from engine.extraction.state import RunState
from engine.layer import LayerOutcome
from engine.models.pairing import PairedWeight
from engine.settings import HardwareSettings
from engine.steps import Step

STALLED_SECONDS = 2.0  # a drive that takes longer to answer after the end is not waited for


class Conveyor:
    """Works on tasks with all devices, from entering the context to leaving it.

    Args:
        tasks: what to do.
        method: how layers are decomposed and stored.
        hardware: how the machine is used.
        checkpoints: the fine-tuned model and the original.
        devices: where.
        threads: the processor's cores for each layer; None chooses.
        residents: blocks that stay on their devices.
        tell: takes events, on any thread.
        cancelled: whether the run was stopped: no further layer is begun, those at hand are abandoned.
        weights: all weights of the plan, also those that need no work.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        method: LayerMethod,
        hardware: HardwareSettings,
        checkpoints: tuple[Checkpoint, Checkpoint],
        devices: tuple[Device, ...],
        *,
        threads: int | None,
        residents: ResidentBlocks,
        tell: Callable[[Event], None],
        cancelled: Callable[[], bool],
        weights: Sequence[PairedWeight],
    ) -> None:
        self._reader = LayerReader(*checkpoints)
        workers = [device.workers(hardware) for device in devices]
        self._state = RunState(
            tasks,
            method,
            hardware=hardware,
            files=(checkpoints[0].path, checkpoints[1].path),
            reader=self._reader,
            residents=residents,
            tell=tell,
            cancelled=cancelled,
            workers=sum(count for count, _ in workers),
            weights=weights,
        )
        each = threads or max(1, min(cores for _, cores in workers) // len(devices))
        self.threads, self._threads_before = each, torch.get_num_threads()
        self.lanes = tuple(
            Lane(device, self._state, workers=count, threads=each)
            for device, (count, _) in zip(devices, workers, strict=True)
        )

    def __enter__(self) -> Conveyor:
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
        """Finished layers that were not taken yet, in the order in which they finished; none after a timeout.

        Raises:
            EngineError: what ended the work; see `engine.extraction.stages.LaneWork.do` and `Checkpoint.read_into`.
        """
        with self._state.changed:
            state = self._state
            if not state.results and state.failure is None:
                state.changed.wait(timeout)
            taken = list(state.results)
            state.results.clear()
            if not taken and state.failure is not None:
                raise state.failure
            return taken

    def written(self, index: int) -> None:
        """A result has left the memory."""
        with self._state.changed:
            self._state.written(index)
            for lane in self.lanes:
                lane.books.governor.forget(index)
            self._state.changed.notify_all()

    def add(self, task: Task) -> None:
        """One more layer, which was thought to be at hand."""
        with self._state.changed:
            for lane in self.lanes:
                lane.books.expect(task)
            self._state.queue.add(task)
            self._state.changed.notify_all()

    def observe(self) -> None:
        """Look at the devices' memory; what is too much gives way."""
        with self._state.changed:
            for lane in self.lanes:
                lane.books.observe()

    def leftover(self) -> list[tuple[int, LayerOutcome]]:
        """After leaving: finished layers that nobody has taken."""
        left = list(self._state.results)
        self._state.results.clear()
        return left

    @property
    def steps(self) -> list[Step]:
        """What cannot be broken off now; any thread may look."""
        return [step for lane in self.lanes for step in lane.steps]

    @property
    def held(self) -> list[int]:
        """Bytes that the run holds on each device."""
        with self._state.changed:
            return [lane.books.governor.held for lane in self.lanes]

    @property
    def peaks(self) -> list[int]:
        """Most bytes that the run held on each device, by the books where its memory is the host's."""
        return [lane.books.governor.peak if lane.device.host else lane.device.peak_run_bytes for lane in self.lanes]

    @property
    def staged_bytes(self) -> int:
        """Of them, what was read ahead."""
        with self._state.changed:
            return sum(lane.books.governor.staged_bytes for lane in self.lanes)

    @property
    def waited_share(self) -> float:
        """Part of the time until the last layer was finished in which the devices had nothing to work on."""
        worked = self._state.worked_seconds * len(self.lanes)
        return min(1.0, sum(lane.books.waited_seconds for lane in self.lanes) / worked) if worked else 0.0

    @property
    def read_bytes(self) -> int:
        """Bytes read from the two models."""
        return self._reader.read_bytes
