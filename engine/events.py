"""What a run tells while it works: frozen data, one class per kind of news."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from engine.results import Coverage, ExtractionResult, LayerResult, LeftOut, StageSeconds
from engine.settings import ExtractionSettings, HardwareSettings
from engine.steps import StepKind


class NoticeCode(str, Enum):
    """A remark that does not stop the run. The application words and translates it."""

    LARGE_CHANGE = "large_change"
    ADAPTIVE_PARAM_UNUSUAL = "adaptive_param_unusual"
    NO_COMFYUI_LOADER = "no_comfyui_loader"
    NOT_IN_FORMAT = "not_in_format"
    DIFFUSERS_READS_BLOCKS = "diffusers_reads_blocks"
    DIFFUSERS_REFUSES = "diffusers_refuses"
    DIFFUSERS_READS_NOTHING = "diffusers_reads_nothing"
    STORED_FP32 = "stored_fp32"
    LAYERS_CAPPED = "layers_capped"
    CLAMP_KEPT = "clamp_kept"
    NON_FINITE_FOUND = "non_finite_found"
    NON_FINITE_SKIPPED = "non_finite_skipped"
    LAYER_ON_CPU = "layer_on_cpu"
    OVER_BUDGET = "over_budget"
    READ_IN_PARTS = "read_in_parts"
    RESUMED = "resumed"
    FROM_CACHE = "from_cache"
    JOURNAL_SET_ASIDE = "journal_set_aside"
    JOURNAL_OFF = "journal_off"
    RECORD_DAMAGED = "record_damaged"
    ENERGY_BOUNDS = "energy_bounds"
    PARTS_OPENED = "parts_opened"
    PARTS_WITHOUT_INDEX = "parts_without_index"
    FILE_CHOSEN = "file_chosen"
    COMPONENTS_ABSENT = "components_absent"
    OTHER_DENOISERS = "other_denoisers"
    COMMON_PART_PAIRED = "common_part_paired"
    EMA_USED = "ema_used"
    STATE_CHOSEN = "state_chosen"
    SEVERAL_MODELS = "several_models"
    TAKEN_FOR_CONVOLUTIONS = "taken_for_convolutions"
    EXPERTS_INTERLEAVED = "experts_interleaved"
    EXPERTS_SQUARE = "experts_square"
    EMBEDDINGS_TIED = "embeddings_tied"
    COMPARED_ROUNDED = "compared_rounded"
    FINETUNED_COARSER = "finetuned_coarser"
    ORIGINAL_COARSER = "original_coarser"
    SIZE_DOUBTFUL = "size_doubtful"
    SIZE_SURVEYED = "size_surveyed"
    SIZE_CONTINUED = "size_continued"
    RANKS_SHARED = "ranks_shared"
    STORED_FP16 = "stored_fp16"
    FP8_HALVES = "fp8_halves"
    NOT_LOADED = "not_loaded"
    RANK_OPTION = "rank_option"


@dataclass(frozen=True)
class Planned:
    """The run is about to start.

    Attributes:
        layers: how many layers will be worked on.
        left_out: what will not, and why.
        output_name: the name of the first file that is free now; another run may take it before this one ends.
        output_bytes: largest size of all files together.
        device: ``cpu``, ``cuda:0``, ...
        device_title: the device in words.
        device_total_bytes: its memory, or the memory budget.
        ceiling_bytes: what this run may fill of it.
        threshold_bytes: use of the whole device above which the run offloads.
        device_used_bytes: what all programs hold of it before the start.
        settings: what is extracted.
        hardware: how the machine is used.
        coverage: of how much of the models the shares of this run speak.
        output_names: the names of all files.
    """

    layers: int
    left_out: tuple[LeftOut, ...]
    output_name: str
    output_bytes: int
    device: str
    device_title: str
    device_total_bytes: int
    ceiling_bytes: int
    threshold_bytes: int
    device_used_bytes: int
    settings: ExtractionSettings = field(default_factory=ExtractionSettings)
    hardware: HardwareSettings = field(default_factory=HardwareSettings)
    coverage: Coverage = field(default_factory=Coverage)
    output_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Notice:
    """A remark about the run or one of its layers."""

    code: NoticeCode
    name: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerStarted:
    """Work on a layer begins; `index` counts from 0."""

    index: int
    name: str


@dataclass(frozen=True)
class LayerDone:
    """A layer is finished and its tensors are in the file being written."""

    index: int
    row: LayerResult


@dataclass(frozen=True)
class LayerSkipped:
    """A layer turned out to be one that is left out."""

    index: int
    left_out: LeftOut


OffloadCause = Literal["ceiling", "threshold", "out_of_memory", "limit"]
MemoryStep = Literal["drop_resident", "drop_prefetched", "halve_batch", "alone", "cpu"]


@dataclass(frozen=True)
class Offloaded:
    """Blocks left the device, so that the run goes on within its memory.

    Attributes:
        seconds: since the start of the run.
        what: ``resident`` blocks kept from earlier work, or ``prefetched`` ones that will be read again.
        cause: the mode's ceiling, the threshold, a failed allocation, or the number of blocks to keep.
        blocks: their names; layers' names outside the blocks.
        freed_bytes: what they held.
        kept_blocks: resident blocks that are left.
        device: ``cpu``, ``cuda:0``, ...
        device_used_bytes: what all programs hold of its memory afterwards.
    """

    seconds: float
    what: Literal["resident", "prefetched"]
    cause: OffloadCause
    blocks: tuple[str, ...]
    freed_bytes: int
    kept_blocks: int
    device: str
    device_used_bytes: int


@dataclass(frozen=True)
class BatchSizeChanged:
    """Fewer layers are worked on at once from now on, for want of memory; or more again. Seconds since the start."""

    seconds: float
    before: int
    after: int
    cause: Literal["threshold", "out_of_memory", "recovered"]
    device: str


@dataclass(frozen=True)
class OutOfMemory:
    """An allocation failed in a layer; `step` is what is done about it before the layer is tried again."""

    seconds: float
    name: str
    step: MemoryStep
    device: str


@dataclass(frozen=True)
class BlocksResident:
    """At the end of the work: blocks that stay on the device for the next run, and those that did not."""

    kept: int
    offloaded: int
    kept_bytes: int
    device_used_bytes: int


@dataclass(frozen=True)
class BatchDone:
    """A batch of layers is finished.

    Attributes:
        index: counts from 0.
        names: the layers in it.
        seconds: time by stage, summed over the layers.
        wall_seconds: from the first layer's begin of work to the last one's end.
        run_bytes: what the run holds of the device's memory after it.
        device_used_bytes: what all programs hold of it.
    """

    index: int
    names: tuple[str, ...]
    seconds: StageSeconds
    run_bytes: int
    device_used_bytes: int
    wall_seconds: float = 0.0


@dataclass(frozen=True)
class MemorySample:
    """Memory at one moment, four times a second; bytes, and seconds since the start of the run.

    Attributes:
        run_bytes: what this run holds of the device's memory, resident and staged blocks included.
        resident_bytes: of that, blocks kept for the next run.
        prefetched_bytes: of that, what was read ahead.
    """

    seconds: float
    run_bytes: int
    device_used_bytes: int
    device_total_bytes: int
    rss_bytes: int
    resident_bytes: int = 0
    prefetched_bytes: int = 0


Phase = Literal["extract", "measure", "decompose", "write"]
"""What a run does at the moment.

``extract`` where layers are decomposed and written in one go; where ranks are chosen for a size first ``decompose``,
perhaps more than once and after a ``measure``, and then ``write``.
"""


@dataclass(frozen=True)
class Progress:
    """How far the run is.

    Attributes:
        layers_done: layers finished or skipped, in this phase.
        layers_total: layers planned, in this phase.
        share: of the estimated work, 0 to 1.
        elapsed: seconds since the start.
        remaining: estimated seconds to the end, judged by what this run has computed itself; None while unknown.
        energy_so_far: share of the change that the first file keeps over the layers done; None before the first layer.
        energies_so_far: the same of each file.
        phase: what is done with the layers.
        kept_layers: of all layers of the run those that a stop leaves for the next one, where it keeps any; None: as
            many as `layers_done`.
    """

    layers_done: int
    layers_total: int
    share: float
    elapsed: float
    remaining: float | None
    energy_so_far: float | None
    energies_so_far: tuple[float | None, ...] = ()
    phase: Phase = "extract"
    kept_layers: int | None = None

    @property
    def kept(self) -> int:
        """`kept_layers`, or as many as are done."""
        return self.layers_done if self.kept_layers is None else self.kept_layers


@dataclass(frozen=True)
class FinishingStep:
    """The run was asked to stop and waits for one call that cannot be broken off.

    Attributes:
        name: the layer.
        step: the call, see `engine.steps.StepKind`.
        size: (rows, columns) of its matrix.
        most_seconds: how long it still takes at most, by the speed that this machine has shown.
    """

    name: str
    step: StepKind
    size: tuple[int, int]
    most_seconds: float


@dataclass(frozen=True)
class Finished:
    """The run is over and its files are in place."""

    result: ExtractionResult


@dataclass(frozen=True)
class VerifyProgress:
    """`done` of `total` matched weights are measured. An event of a verification, not of a run."""

    done: int
    total: int
    name: str


Event = (
    Planned
    | Notice
    | LayerStarted
    | LayerDone
    | LayerSkipped
    | BatchDone
    | MemorySample
    | Progress
    | Offloaded
    | BatchSizeChanged
    | OutOfMemory
    | BlocksResident
    | FinishingStep
    | Finished
)
