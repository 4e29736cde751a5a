"""The seam between a run and what works on its layers: this machine's devices, or other processes and machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from engine.checkpoints import Checkpoint
from engine.decompose.method import LayerMethod
from engine.events import Event, FinishingStep
from engine.layer import LayerOutcome
from engine.models.pairing import PairedWeight
from engine.planning.task import Task
from engine.settings import HardwareSettings


@dataclass(frozen=True)
class RunInputs:
    """What a run is, for any process: can be pickled. The pair as such is a `PairRef` then.

    Attributes:
        weights: all weights of the plan, also those that need no work.
        method: how layers are decomposed and stored.
        hardware: how the machine is used.
    """

    weights: Sequence[PairedWeight]
    method: LayerMethod
    hardware: HardwareSettings


@dataclass(frozen=True)
class RunContext:
    """What a run has in its own process alone.

    Attributes:
        checkpoints: the fine-tuned model and the original, open; see `PairRef.of`.
        emit: takes events, on any thread.
        cancelled: whether the run was stopped: no further layer is begun, those in work are abandoned.
    """

    checkpoints: tuple[Checkpoint, Checkpoint]
    emit: Callable[[Event], None]
    cancelled: Callable[[], bool]


@dataclass(frozen=True)
class DeviceFacts:
    """Where an executor computes; sums over its devices.

    Attributes:
        name: names of the devices, ``cuda:0,cuda:1``.
        title: in words.
        total_bytes: memory.
        ceiling_bytes: the most that the run may hold of it.
        threshold_bytes: use by all programs above which the run evicts.
    """

    name: str
    title: str
    total_bytes: int = 0
    ceiling_bytes: int = 0
    threshold_bytes: int = 0


@dataclass(frozen=True)
class ExecutorSample:
    """An executor's figures at one moment, sums over its devices; after leaving those of the end. Can be pickled.

    Attributes:
        run_bytes: what the run holds on the devices.
        device_used_bytes: what all programs hold on them.
        rss_bytes: the process's host memory.
        peak_bytes: the most that the run held.
        peak_rss_bytes: the most that the process held.
        prefetched_bytes: of what is held, what was read ahead.
        resident_bytes: of what is held, blocks that stay for later runs.
        read_bytes: read from the two models so far.
        copied_bytes: copied to the devices so far.
        waited_share: part of the time until the last layer was finished in which no layer was in work.
        blocks_resident: blocks that are resident now.
        blocks: all blocks of the run.
        finishing: of the steps that cannot be broken off now the one that may take longest; None where all can.
    """

    run_bytes: int = 0
    device_used_bytes: int = 0
    rss_bytes: int = 0
    peak_bytes: int = 0
    peak_rss_bytes: int = 0
    prefetched_bytes: int = 0
    resident_bytes: int = 0
    read_bytes: int = 0
    copied_bytes: int = 0
    waited_share: float = 0.0
    blocks_resident: int = 0
    blocks: int = 0
    finishing: FinishingStep | None = None


class LayerExecutor(Protocol):
    """Works on the layers of one run, from entering the context to leaving it.

    Any thread may call `sample`; the rest is for the run's thread.

    Attributes:
        device: where it computes.
        threads: the processor's cores for each layer; until entering a run sets it to that of the run it continues.
    """

    device: DeviceFacts
    threads: int

    def __enter__(self) -> LayerExecutor:
        """Begin the work."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; layers in work are abandoned."""

    def submit(self, tasks: Sequence[Task]) -> None:
        """Add layers to work on.

        Once before entering, perhaps none; emits remarks on them. Then at any time.
        """

    def take(self, timeout: float) -> list[tuple[int, LayerOutcome]]:
        """Finished layers that were not taken yet, in the order in which they finished.

        None after `timeout` seconds. After leaving it neither waits nor raises.

        Raises:
            EngineError: what ended the work: see `work_on` and `Checkpoint.read_into`.
        """

    def release(self, index: int) -> None:
        """A result has left the memory, which limits how many layers are begun ahead."""

    def sample(self) -> ExecutorSample:
        """The figures of this moment."""


ExecutorChoice = Callable[[RunInputs, RunContext], LayerExecutor]
