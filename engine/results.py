"""What a run or a verification says about each layer, about what was left out, and about itself. Data only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any


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
    NOT_LOADED = "not_loaded"
    ONLY_NOISE = "only_noise"


@dataclass(frozen=True)
class LeftOut:
    """One tensor that is not extracted, with the reason and what there is to say about it.

    Attributes:
        name: of the tensor.
        reason: why.
        detail: what there is to say about it.
        numel: its number of elements, of the larger one where it is in both models; 0 where it is no weight, or a copy
            of another one.
        component: which part of the model it belongs to; empty where that is not known.
        rounded_to: of an unchanged one, the form in words that one side is the other rounded to; empty where both are
            stored in the same form.
    """

    name: str
    reason: LeaveOutReason
    detail: str = ""
    numel: int = field(default=0, kw_only=True)
    component: str = field(default="", kw_only=True)
    rounded_to: str = field(default="", kw_only=True)


ENOUGH_COMPARED = 0.9
"""Below this share of the parameters a figure about the compared ones says little about the models."""


@dataclass(frozen=True)
class Coverage:
    """Of how much of the two models a share of the change speaks; counted from headers.

    Parts that one of the models lacks entirely, such as a text encoder, are named and not counted, nor are integer
    tensors and EMA copies.

    Attributes:
        compared: parameters that both models have, in the chosen parts.
        whole: parameters that only the fine-tuned model has and that are in the file as they are.
        parameters: all of the chosen parts, of the model that has more.
        new_rows, new_channels: by which weights of the fine-tuned model are larger; weights that grew by the same
            number are counted once, as an embedding and the head of one vocabulary.
        unmatched: weights of the fine-tuned model that nothing can be subtracted from and that are not in the file.
        missing: weights of the original that the fine-tuned model lacks.
        smaller: weights that the fine-tuned model has with fewer rows or channels than the original.
        blocks: numbered blocks in either model.
        unmatched_blocks: the names of those of which no weight is compared.
        absent_parts: the parts that one side lacks, such as ``text_encoders.clip_l``, each with the side that lacks it.
    """

    compared: int = 0
    whole: int = 0
    parameters: int = 0
    new_rows: int = 0
    new_channels: int = 0
    unmatched: int = 0
    missing: int = 0
    smaller: int = 0
    blocks: int = 0
    unmatched_blocks: tuple[str, ...] = ()
    absent_parts: tuple[tuple[str, str], ...] = ()

    @property
    def share(self) -> float:
        """Share of the parameters that was compared or is in the file as it is."""
        return min(1.0, (self.compared + self.whole) / self.parameters) if self.parameters else 1.0

    @property
    def complete(self) -> bool:
        """Whether everything was compared."""
        uncompared = self.unmatched or self.missing or self.smaller
        return self.share >= 1.0 and not (self.new_rows or self.new_channels or uncompared)

    @property
    def enough(self) -> bool:
        """Whether a share of the change may be taken for one of the models."""
        return self.share >= ENOUGH_COMPARED and not self.unmatched_blocks

    def document(self) -> dict[str, Any]:
        """The figures as reports and the command line's JSON have them."""
        values = asdict(self) | {"unmatched_blocks": list(self.unmatched_blocks)}
        names = {"compared": "compared_parameters", "whole": "whole_parameters", "unmatched": "unmatched_weights"}
        names |= {"missing": "missing_weights", "smaller": "smaller_weights"}
        named = {names.get(name, name): value for name, value in values.items()}
        absent = [{"part": part, "not_in": side} for part, side in self.absent_parts]
        return {"coverage": self.share, **named, "absent_parts": absent}


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


ALL_NOISE = 1.0 / 1.1
"""From this share on nothing in a difference can be told from storage rounding: |delta|^2 <= 1.1 E_n."""


@dataclass(frozen=True)
class NoiseFigures:
    """What of a difference is storage rounding, and what of the real change a file keeps.

    They assume that the fine-tuned model was computed in higher precision from the original as it is stored and rounded
    once; the figures of both sides hold where the original had been rounded, too, before it was compared.

    Attributes:
        noise_share: energy of the rounding errors as a share of |delta|^2, at most 1.
        noise_share_both_sides: the same with the original's own rounding.
        real_energy_retained: 1 - |real change - kept|^2 / |real change|^2; None where all is noise.
        real_energy_interval: bounds of it, lower and upper; None likewise.
        real_energy_retained_both_sides: the same share with the original's own rounding; None where all is noise then.
        real_energy: estimate of |real change|^2, the weight in the mean; 0 where all is noise.
    """

    noise_share: float
    noise_share_both_sides: float
    real_energy_retained: float | None
    real_energy_interval: tuple[float, float] | None
    real_energy_retained_both_sides: float | None
    real_energy: float

    @property
    def all_noise(self) -> bool:
        """Whether nothing in the difference can be told from rounding."""
        return self.noise_share >= ALL_NOISE


def noise_document(noise: NoiseFigures | None, prefix: str = "") -> dict[str, Any]:
    """The figures as reports and the command line's JSON have them, flat; None where nothing was measured.

    Args:
        noise: of a layer or of a file.
        prefix: of the names, such as ``mean_``.
    """
    names = ["noise_share", "noise_share_both_sides", "real_energy_retained", "real_energy_interval"]
    names.append("real_energy_retained_both_sides")
    values: dict[str, Any] = {prefix + name: None if noise is None else getattr(noise, name) for name in names}
    interval = values[f"{prefix}real_energy_interval"]
    values[f"{prefix}real_energy_interval"] = None if interval is None else list(interval)
    return values | {"all_noise": None if noise is None else noise.all_noise}


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
        stored_dtype: safetensors name of the stored dtype, ``F16``, ``BF16``, ``F32`` or ``F8_E4M3``.
        solver: which algorithm decided the answer; empty for stored differences.
        seconds: time by stage.
        grown_energy: squared norm of what the fine-tuned weight has beyond the original's shape, which is not in the
            layer; in the JSON report where there is such a part.
        rounded: the side that was rounded as the other one is stored before they were subtracted, ``original`` or
            ``finetuned``; empty where none was.
        below_normal: share of the numbers of fp8 factors that lie below the smallest normal one, 2^-6, and so have
            fewer bits; in the JSON report of such layers alone.
        noise_cut: what rounding alone may give its largest singular value, where the rank was chosen by that; in the
            JSON report of such layers alone.
        noise: what of the difference is storage rounding, and what of the real change the file keeps; None where that
            was not measured.
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
    rounded: str = ""
    below_normal: float = 0.0
    noise_cut: float | None = None
    noise: NoiseFigures | None = None


LARGE_CHANGE = 0.5
"""A layer whose relative change is larger has little in common with its original."""


@dataclass(frozen=True)
class LargeChange:
    """How many layers changed by more than `LARGE_CHANGE`, of those with factors; of all where none has."""

    layers: int
    of: int

    @property
    def unrelated(self) -> bool:
        """Whether the original is probably not the one that the fine-tuned model was made from."""
        return 2 * self.layers > self.of


def count_large_changes(rows: Iterable[LayerResult]) -> LargeChange:
    """Count the layers that changed beyond recognition."""
    counts = {True: [0, 0], False: [0, 0]}
    for row in rows:
        count = counts[row.rank is not None]
        count[0], count[1] = count[0] + (row.relative_change > LARGE_CHANGE), count[1] + 1
    return LargeChange(*counts[any(counts[True])])


@dataclass(frozen=True)
class RankSpread:
    """The ranks of a file's layers: the lowest, the median (the lower of the two in the middle) and the largest."""

    lowest: int
    median: int
    largest: int

    @classmethod
    def of(cls, ranks: Iterable[int]) -> RankSpread | None:
        """Of some ranks; None where there are none."""
        ordered = sorted(ranks)
        return cls(ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1]) if ordered else None


@dataclass(frozen=True)
class OutputFile:
    """One file that a run wrote, or one folder.

    Attributes:
        path, report: where it and its report are.
        rank: of all layers, or the rule, as in its name.
        key_format: the key of its format.
        program: the key of the program that it is for, empty where none was chosen.
        size_bytes: of it.
        mean_energy_retained, worst_energy_retained: of the change, whatever the strength.
        coverage: of how much of the models these speak.
        program: the key of the one that it is for; empty where none was named.
        strength: what the change is multiplied by in it.
        rows: its layers.
        left_out: what is not in it, and why.
        ranks: of its layers, where they were chosen for its size.
        noise: the same as of a layer for all of it, what is left out counting as not kept; None where a layer's was not
            measured.
    """

    path: Path
    report: Path
    rank: str
    key_format: str
    size_bytes: int
    mean_energy_retained: float
    worst_energy_retained: float
    coverage: Coverage = Coverage()
    program: str = ""
    strength: float = 1.0
    rows: tuple[LayerResult, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    ranks: RankSpread | None = None
    noise: NoiseFigures | None = None


@dataclass(frozen=True)
class ExtractionResult:
    """A finished run.

    Attributes:
        outputs: its files.
        rows: the layers of the first file.
        left_out: what is not in that, and why.
        seconds: from the start to the files in their places.
        peak_device_bytes: most that the run held of the device's memory.
        peak_rss_bytes: most that the process held of the host's.
        layers_reused: layers that came from an earlier run or the cache, without any work.
        read_bytes: read from the two models.
        copied_bytes: copied to the device; 0 on a processor.
        waited_share: of the time in which layers were worked on, the part that the device waited for data.
        layers_planned: all layers that the run had to look at, of which `layers_reused` came from earlier runs; more
            than `layers` where some turned out to be unchanged, or stand only in further files. 0: not known.
        promised_device_bytes: what the plan said that the run would hold of the device's memory at most; 0: not known.
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
    layers_planned: int = 0
    promised_device_bytes: int = 0

    @property
    def layers_looked_at(self) -> int:
        """What `layers_reused` is a part of."""
        return max(self.layers_planned, self.layers, self.layers_reused)

    @property
    def coverage(self) -> Coverage:
        """Of how much of the models the first file's figures speak."""
        return self.outputs[0].coverage

    @property
    def large_changes(self) -> LargeChange:
        """The layers that changed beyond recognition."""
        return count_large_changes(self.rows)

    @property
    def layers(self) -> int:
        """Number of layers in the file."""
        return len(self.rows)

    @property
    def skipped(self) -> int:
        """Number of tensors that were left out, whole or in part; one that is so for two reasons counts once."""
        return len({item.name for item in self.left_out})

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
        at_hand: indices of the plan's tasks that need no work: the layers, and the weights that are only measured; None
            where it is not known which ones these are.
    """

    layers: int
    of: int
    unfinished: bool
    started: str
    at_hand: frozenset[int] | None = None


@dataclass(frozen=True)
class VerifiedLayer:
    """One layer of the LoRA, measured; `rank` is None for a stored difference.

    Where a side was rounded for the LoRA, or is the other one rounded, `plain_energy_retained` is the share of the
    difference of what both sides stand for; else None. `noise` is as in `LayerResult`.
    """

    name: str
    rank: int | None
    energy_retained: float
    relative_error: float
    plain_energy_retained: float | None = None
    noise: NoiseFigures | None = None


@dataclass(frozen=True)
class Verification:
    """The judgement of a LoRA file against the two models.

    Attributes:
        layers: those in the LoRA.
        left_out: matched weights that changed but are not in the LoRA.
        unknown_keys: keys of the LoRA that belong to no matched weight.
        mean_energy_retained: share of the whole change kept, weighted by |delta|^2; what is left out counts as 0.
        worst_energy_retained: the smallest share over the layers in the LoRA.
        key_format: the key of the format that it is in; empty where another tool names the weights otherwise.
        format_title: what people call that; empty likewise.
        program: the key of the one that the LoRA says it is for; empty where it names none.
        coverage: of how much of the models the share speaks.
        round_original: how the LoRA says its sides were compared, see the setting; None where it does not say.
        plain_mean_energy_retained: the mean against the difference of what both models stand for, nothing rounded;
            None where that is the same difference.
        plain_worst_energy_retained: the smallest share likewise.
        strength: by what the file says that it was multiplied as a whole, which is divided out here.
        noise: as in `OutputFile`.
    """

    layers: tuple[VerifiedLayer, ...]
    left_out: tuple[LeftOut, ...]
    unknown_keys: tuple[str, ...]
    mean_energy_retained: float
    worst_energy_retained: float
    key_format: str
    format_title: str
    coverage: Coverage = Coverage()
    round_original: str | None = None
    plain_mean_energy_retained: float | None = None
    plain_worst_energy_retained: float | None = None
    program: str = ""
    strength: float = 1.0
    noise: NoiseFigures | None = None
