"""What the window asks of the worker that prepares extractions, and what that answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import EngineError, ErrorCode
from engine.planning.inspection import ModelSummary, PairSummary
from engine.planning.memory_estimate import DeviceMemory
from engine.planning.plan import Plan
from engine.results import Reusable
from engine.settings import ExtractionSettings, HardwareSettings

if TYPE_CHECKING:
    from engine.session import Session


@dataclass(frozen=True)
class DeviceInfo:
    """The device that will compute, or several of a kind; `kind` is ``cpu``, ``cuda``, ``mps`` or ``xpu``.

    `total_bytes` is the memory of the smallest, `others_bytes` what other programs held of it, `cores` those of the
    processor; `idle_card` is an NVIDIA card that the installed torch cannot use.
    """

    kind: str
    title: str
    total_bytes: int
    others_bytes: int = 0
    cores: int = 1
    idle_card: str = ""

    @property
    def memory(self) -> DeviceMemory:
        """The device as estimates see it."""
        return DeviceMemory(self.kind == "cpu", self.total_bytes, self.others_bytes, self.cores)


@dataclass(frozen=True)
class InspectRequest:
    """Describe the model of one side, ``finetuned`` or ``original``."""

    number: int
    side: str
    path: Path


@dataclass(frozen=True)
class Inspected:
    """The answer: a summary or an error."""

    request: InspectRequest
    summary: ModelSummary | None
    error: EngineError | None


@dataclass(frozen=True)
class PlanRequest:
    """Pair two models and plan an extraction."""

    number: int
    finetuned: Path
    original: Path
    extraction: ExtractionSettings
    hardware: HardwareSettings
    output_dir: Path

    def same_work(self, other: PlanRequest) -> bool:
        """Whether two requests are for the same work on the same models, whatever the file's name."""
        names = {"filename_prefix", "resume"}
        same = self.extraction.model_dump(exclude=names) == other.extraction.model_dump(exclude=names)
        return same and (self.finetuned, self.original) == (other.finetuned, other.original)


@dataclass(frozen=True)
class Prepared:
    """The answer: session and plan, or an error; `paired` says which of the two steps failed.

    `kept` is what earlier runs left for the plan; None where that is not to be used or not known. `pair` is what
    the models have in common, also where something else keeps them from a plan, such as the output folder.
    """

    request: PlanRequest
    session: Session | None
    plan: Plan | None
    error: EngineError | None
    paired: bool
    kept: Reusable | None = None
    pair: PairSummary | None = None

    @property
    def lacks_device(self) -> bool:
        """Whether the device that was asked for is not there."""
        return self.error is not None and self.error.code is ErrorCode.DEVICE_UNAVAILABLE
