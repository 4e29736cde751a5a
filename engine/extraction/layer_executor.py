"""What the thread of a run needs of whatever works on the layers: the local devices today, other machines later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from engine.checkpoints import Checkpoint
from engine.decompose.method import LayerMethod
from engine.devices.device import Device
from engine.events import Event, Notice
from engine.extraction.block_cache import BlockCache
from engine.layer import LayerOutcome
from engine.models.pairing import PairedWeight
from engine.planning.task import Task
from engine.settings import HardwareSettings
from engine.steps import Step


@dataclass(frozen=True)
class RunInputs:
    """What an executor is given for one run.

    Attributes:
        tasks: the layers to work on.
        weights: all weights of the plan, also those that need no work.
        method: how layers are decomposed and stored.
        hardware: how the machine is used.
        checkpoints: the fine-tuned model and the original.
        devices: where to compute.
        residents: blocks that stay on their devices.
        threads: the processor's cores for each layer; None lets the executor choose.
        emit: takes events, on any thread.
        cancelled: whether the run was stopped: no further layer is begun, those in work are abandoned.
    """

    tasks: Sequence[Task]
    weights: Sequence[PairedWeight]
    method: LayerMethod
    hardware: HardwareSettings
    checkpoints: tuple[Checkpoint, Checkpoint]
    devices: tuple[Device, ...]
    residents: BlockCache
    threads: int | None
    emit: Callable[[Event], None]
    cancelled: Callable[[], bool]


@dataclass(frozen=True)
class ExecutorSample:
    """An executor's figures at one moment.

    Attributes:
        held_bytes: what the run holds on each device.
        peak_bytes: the most that it held on each.
        prefetched_bytes: of what is held, what was read ahead.
        read_bytes: read from the two models so far.
        waited_share: part of the time until the last layer was finished in which no layer was in work.
        blocks_resident: blocks that are resident now.
        blocks: all blocks of the run.
    """

    held_bytes: tuple[int, ...]
    peak_bytes: tuple[int, ...]
    prefetched_bytes: int
    read_bytes: int
    waited_share: float
    blocks_resident: int
    blocks: int


class LayerExecutor(Protocol):
    """Works on the tasks of one run, from entering the context to leaving it.

    Attributes:
        threads: the processor's cores for each layer.
    """

    threads: int

    def __enter__(self) -> LayerExecutor:
        """Begin the work."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; layers in work are abandoned."""

    def remarks(self) -> list[Notice]:
        """Remarks on layers that need more than the memory budget, and on layers that are read in parts."""

    def submit(self, task: Task) -> None:
        """One more layer to work on."""

    def take(self, timeout: float) -> list[tuple[int, LayerOutcome]]:
        """Finished layers that were not taken yet, in the order in which they finished; none after a timeout.

        Raises:
            EngineError: what ended the work; see `engine.extraction.stages.LayerStages.do` and `Checkpoint.read_into`.
        """

    def release(self, index: int) -> None:
        """A result has left the memory, which limits how many layers are begun ahead."""

    def leftover(self) -> list[tuple[int, LayerOutcome]]:
        """After leaving: finished layers that were not taken."""

    def steps(self) -> list[Step]:
        """What cannot be broken off now; any thread may ask."""

    def observe(self) -> None:
        """Look at the devices' memory; evicts where too much of it is in use."""

    def sample(self) -> ExecutorSample:
        """The figures of this moment."""


ExecutorChoice = Callable[[RunInputs], LayerExecutor]
