"""What a run or a verification says about each layer, about what was left out, and about itself. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class LeaveOutReason(str, Enum):
    """Why a tensor is not in the LoRA. The values are part of reports and of the command line's JSON."""

    ONLY_FINETUNED = "only_finetuned"
    ONLY_ORIGINAL = "only_original"
    SHAPE_DIFFERS = "shape_differs"
    NOT_FLOAT = "not_float"
    EMPTY = "empty"
    TOO_MANY_DIMENSIONS = "too_many_dimensions"
    EMA_COPY = "ema_copy"
    DUPLICATE_NAME = "duplicate_name"
    COMPONENT_NOT_CHOSEN = "component_not_chosen"
    EXCLUDED = "excluded"
    BIASES_OFF = "biases_off"
    NOT_IN_FORMAT = "not_in_format"
    UNCHANGED = "unchanged"
    BELOW_MIN_CHANGE = "below_min_change"
    NON_FINITE = "non_finite"
    GROWN_PART = "grown_part"
    OTHER_MODEL = "other_model"


@dataclass(frozen=True)
class LeftOut:
    """One tensor that is not extracted, with the reason and what there is to say about it."""

    name: str
    reason: LeaveOutReason
    detail: str = ""


@dataclass(frozen=True)
class StageSeconds:
    """Seconds by stage of the work on one batch."""

    read: float = 0.0
    upload: float = 0.0
    compute: float = 0.0
    write: float = 0.0

    @property
    def total(self) -> float:
        """Sum over the stages."""
        return self.read + self.upload + self.compute + self.write


BlockNumber = tuple[str, int]
"""The stack of a block, such as ``double_blocks``, and the block's number in it."""
NO_BLOCK: BlockNumber = ("", 0)


@dataclass(frozen=True)
class LayerBlock:
    """Where a layer stands in its model; see `engine.models.blocks.block_of`.

    Attributes:
        inner: its innermost block; `NO_BLOCK` outside the blocks.
        outer: the outermost block around it; the same one where blocks are not nested.
        kind: what every block has one of, such as ``attn.qkv``; outside the blocks the first part of the name.
    """

    inner: BlockNumber
    outer: BlockNumber
    kind: str

    @property
    def inside(self) -> bool:
        """Whether the layer belongs to a block."""
        return bool(self.inner[0])

    @property
    def nested(self) -> bool:
        """Whether its block is part of another one."""
        return self.inner != self.outer


@dataclass(frozen=True)
class LayerResult:
    """What is known about one extracted layer.

    Attributes:
        name: the layer's canonical name, such as ``diffusion_model.blocks.0.attn.qkv.weight``.
        kind: ``matrix``, ``conv``, ``bias``, ``norm`` or ``parameter``.
        block: where it stands in the model; not part of the JSON report, as the name says the same.
        shape: shape of the delta.
        rank: rank of the stored factors; None where the difference itself is stored.
        energy_retained: 1 - |delta - stored|^2 / |delta|^2 for the file as it will be loaded.
        energy_before: the same before clamping and rounding.
        relative_error: |delta - stored| / |delta|, Frobenius norms.
        relative_change: |delta| / |original|, Frobenius norms.
        delta_energy: |delta|^2, the layer's weight in the mean.
        singular_values: those computed, largest first (at least `rank` of them; empty for stored differences).
        capped: the adaptive rule asked for more than the cap.
        clamp: ``off``, ``clamped`` or ``kept`` (clamping would have cost more than allowed).
        stored_dtype: safetensors name of the stored dtype, ``F16``, ``BF16`` or ``F32``.
        solver: which algorithm decided the answer; empty for stored differences.
        seconds: time by stage.
        grown_energy: squared norm of what the fine-tuned weight has beyond the original's shape, which is not in the
            layer; in the JSON report where there is such a part.
    """

    name: str
    kind: str
    block: LayerBlock
    shape: tuple[int, ...]
    rank: int | None
    energy_retained: float
    energy_before: float
    relative_error: float
    relative_change: float
    delta_energy: float
    singular_values: tuple[float, ...]
    capped: bool
    clamp: str
    stored_dtype: str
    solver: str
    seconds: StageSeconds
    grown_energy: float = 0.0


@dataclass(frozen=True)
class OutputFile:
    """One file that a run wrote."""

    path: Path
    report: Path
    rank: str
    key_format: str
    size_bytes: int
    mean_energy_retained: float
    worst_energy_retained: float


@dataclass(frozen=True)
class ExtractionResult:
    """A finished run.

    Attributes:
        peak_device_bytes: most that the run held of the device's memory.
        peak_rss_bytes: most that the process held of the host's.
        layers_reused: layers that came from an earlier run or the cache, without any work.
        read_bytes: read from the two models.
        copied_bytes: copied to the device; 0 on a processor.
        waited_share: of the time in which layers were worked on, the part that the device waited for data.
    """

    outputs: tuple[OutputFile, ...]
    rows: tuple[LayerResult, ...]
    left_out: tuple[LeftOut, ...]
    seconds: float
    peak_device_bytes: int
    peak_rss_bytes: int
    layers_reused: int = 0
    read_bytes: int = 0
    copied_bytes: int = 0
    waited_share: float = 0.0

    @property
    def layers(self) -> int:
        """Number of layers in the file."""
        return len(self.rows)

    @property
    def skipped(self) -> int:
        """Number of tensors that were left out."""
        return len(self.left_out)

    @property
    def capped(self) -> int:
        """Number of layers that the rank cap cut short."""
        return sum(row.capped for row in self.rows)

    @property
    def kept_unclamped(self) -> int:
        """Number of layers whose factors stayed unclamped because clamping would have cost too much."""
        return sum(row.clamp == "kept" for row in self.rows)


@dataclass(frozen=True)
class Reusable:
    """What earlier runs of the same pair left for a plan.

    Attributes:
        layers: of the plan, how many need no work.
        of: how many the plan has.
        unfinished: whether a run was stopped before its end, rather than finished at other settings.
        started: when it began, ISO 8601; empty where nothing is kept.
    """

    layers: int
    of: int
    unfinished: bool
    started: str


@dataclass(frozen=True)
class VerifiedLayer:
    """One layer of the LoRA, measured; `rank` is None for a stored difference."""

    name: str
    rank: int | None
    energy_retained: float
    relative_error: float


@dataclass(frozen=True)
class Verification:
    """The judgement of a LoRA file against the two models.

    Attributes:
        layers: those in the LoRA.
        left_out: matched weights that changed but are not in the LoRA.
        unknown_keys: keys of the LoRA that belong to no matched weight.
        mean_energy_retained: share of the whole change kept, weighted by |delta|^2; what is left out counts as 0.
        worst_energy_retained: the smallest share over the layers in the LoRA.
        key_format: the key of the format that it is in.
        format_title: what people call that.
    """

    layers: tuple[VerifiedLayer, ...]
    left_out: tuple[LeftOut, ...]
    unknown_keys: tuple[str, ...]
    mean_energy_retained: float
    worst_energy_retained: float
    key_format: str
    format_title: str
