"""What the controller asks of its workers, and what they answer: one frozen dataclass each.

Every worker has one signal ``answered`` that carries one of the types of a union below. Receivers dispatch on the type.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.text.verification import ClaimedQuality
from engine.analysis.pair_verdict import PairSample
from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, VerifyProgress
from engine.models.families import Family
from engine.planning.estimates import Estimate
from engine.planning.inspection import ModelSummary, PairSummary
from engine.planning.memory_estimate import DeviceMemory
from engine.planning.plan import Plan
from engine.planning.sizing import SizeRange
from engine.results import ExtractionResult, Reusable, Verification
from engine.settings import ExtractionSettings, HardwareSettings

if TYPE_CHECKING:
    from engine.session import Session

Models = tuple[Path | None, Path | None]
"""The fine-tuned model and the original; None where none is chosen."""


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
    """Pair two models and plan an extraction; `also` has the settings of each further file of the same run."""

    number: int
    finetuned: Path
    original: Path
    extraction: ExtractionSettings
    hardware: HardwareSettings
    output_dir: Path
    also: tuple[ExtractionSettings, ...] = ()

    @property
    def files(self) -> tuple[ExtractionSettings, ...]:
        """The settings of all files."""
        return (self.extraction, *self.also)

    def same_work(self, other: PlanRequest) -> bool:
        """Whether two requests are for the same work on the same models, whatever the file's name."""
        names = {"filename_prefix", "resume"}
        ours, theirs = ([item.model_dump(exclude=names) for item in request.files] for request in (self, other))
        return ours == theirs and (self.finetuned, self.original) == (other.finetuned, other.original)


@dataclass(frozen=True)
class Prepared:
    """The answer: session and plan, or an error; `paired` says which of the two steps failed.

    `kept` is what earlier runs left for the plan; None where that is not to be used or not known. `pair` is what
    the models have in common, also where something else keeps them from a plan, such as the output folder, and
    `family` what they are. `sizes` are those that the first file can have, where they are known.
    """

    request: PlanRequest
    session: Session | None
    plan: Plan | None
    error: EngineError | None
    paired: bool
    kept: Reusable | None = None
    pair: PairSummary | None = None
    family: Family | None = None
    sizes: SizeRange | None = None

    @property
    def lacks_device(self) -> bool:
        """Whether the device that was asked for is not there."""
        return self.error is not None and self.error.code is ErrorCode.DEVICE_UNAVAILABLE


@dataclass(frozen=True)
class SampleRequest:
    """Look at some rows of an open pair's models; `cancel` is set once the answer is not wanted any more."""

    session: Session
    extraction: ExtractionSettings
    cancel: CancelToken

    def same_sample(self, other: SampleRequest) -> bool:
        """Whether two requests have the same answer, whatever else their settings say."""
        decides = {"components", "include", "exclude", "bias_diff", "round_original"}
        ours, theirs = (item.extraction.model_dump(include=decides) for item in (self, other))
        return self.session is other.session and ours == theirs


@dataclass(frozen=True)
class Sampled:
    """The answer; None where there is nothing to look at, or it cannot be read: a run will say why."""

    request: SampleRequest
    sample: PairSample | None


@dataclass(frozen=True)
class LeavePair:
    """Close the open pair and free what it keeps on the device."""


@dataclass(frozen=True)
class FreeMemory:
    """Free what the open pair keeps on the device."""


@dataclass(frozen=True)
class MemoryKept:
    """Bytes of the device that the open pair keeps for a next extraction; after each plan and each release."""

    size_bytes: int


@dataclass(frozen=True)
class MemoryFreed:
    """The answer to `FreeMemory`: bytes that were freed; 0 where that failed."""

    size_bytes: int


@dataclass(frozen=True)
class DeviceRequest:
    """Find the device that would compute with these settings."""

    hardware: HardwareSettings


@dataclass(frozen=True)
class DeviceFound:
    """The answer: the device."""

    hardware: HardwareSettings
    device: DeviceInfo


@dataclass(frozen=True)
class DeviceMissing:
    """The answer where the device cannot be used."""

    hardware: HardwareSettings
    error: EngineError


@dataclass(frozen=True)
class ForecastRequest:
    """Estimate a plan; `number` is that of its request."""

    number: int
    plan: Plan
    kept: Reusable | None


@dataclass(frozen=True)
class Forecast:
    """The answer; more than one may come for a request, each knowing more."""

    number: int
    estimate: Estimate


@dataclass(frozen=True)
class Timing:
    """A run that has finished, for the estimates of later ones; it has no answer."""

    plan: Plan
    result: ExtractionResult


@dataclass(frozen=True)
class Extracted:
    """A run has written its files."""

    result: ExtractionResult


@dataclass(frozen=True)
class ExtractionFailed:
    """A run has ended without a result; `error` is `Cancelled` where it was asked to stop."""

    error: EngineError | Cancelled


@dataclass(frozen=True)
class Verified:
    """A LoRA was measured; `claimed` is what its file says of itself, None where it says nothing."""

    lora: Path
    verification: Verification
    claimed: ClaimedQuality | None


@dataclass(frozen=True)
class VerificationFailed:
    """A verification has ended without a result; `error` is `Cancelled` where it was asked to stop."""

    lora: Path
    error: EngineError | Cancelled


PreparationRequest = InspectRequest | PlanRequest | LeavePair | FreeMemory
PreparationAnswer = Inspected | Prepared | MemoryKept | MemoryFreed
DeviceAnswer = DeviceFound | DeviceMissing
ForecasterRequest = ForecastRequest | Timing | DeviceFound
BackgroundAnswer = PreparationAnswer | DeviceAnswer | Forecast | Sampled
RunAnswer = Event | Extracted | ExtractionFailed
VerifyAnswer = VerifyProgress | Verified | VerificationFailed
