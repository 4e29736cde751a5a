"""Match the two models' weights by canonical name; every unmatched or odd tensor is named, none dropped in silence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from engine.checkpoints import Checkpoint, WeightView
from engine.checkpoints.encodings import cut_to
from engine.checkpoints.rounding import Rounding, rounding_between
from engine.errors import EngineError, ErrorCode
from engine.events import Notice
from engine.models.aligned_names import name_pair
from engine.models.blocks import Block, find_blocks
from engine.models.common_parts import common_parts, is_vocabulary
from engine.models.experts import align_experts
from engine.models.families import GENERIC, Family
from engine.models.language_models import name_shared, pair_tied, turn_conv1d
from engine.results import LeaveOutReason, LeftOut
from engine.settings import ExtractionSettings, RoundOriginal

Views = dict[str, WeightView]
WeightKind = Literal["matrix", "conv", "bias", "norm", "parameter"]
Extent = Literal["rows", "outputs", "inputs"]
"""What the first two dimensions of a weight count: the rows of a vocabulary, or output channels; input channels."""
_UNMATCHED = (
    LeaveOutReason.ONLY_FINETUNED,
    LeaveOutReason.ONLY_ORIGINAL,
    LeaveOutReason.EMA_COPY,
    LeaveOutReason.DUPLICATE_NAME,
    LeaveOutReason.OTHER_MODEL,
)
MAX_DIMENSIONS = 5  # (out, in) and up to three kernel sizes


@dataclass(frozen=True)
class PairedWeight:
    """One weight that both models have.

    Attributes:
        name: canonical name, such as ``diffusion_model.blocks.0.attn.qkv.weight``.
        kind: how it is stored: factors for ``matrix`` and ``conv``, a difference for the others.
        component: ``denoiser``, ``text_encoders``, ``vae`` or ``other``.
        shape: of the original, and so of the delta.
        finetuned: the fine-tuned side.
        original: the original side.
        block: where it stands.
        common: shape of the part that both sides have, where their shapes differ: the first entries along each
            dimension. The delta is zero outside of it. None where the shapes are equal.
        rounding: how the sides are compared where they are stored in different forms; None where they are not.
    """

    name: str
    kind: WeightKind
    component: str
    shape: tuple[int, ...]
    finetuned: WeightView
    original: WeightView
    block: Block
    common: tuple[int, ...] | None = None
    rounding: Rounding | None = None

    @property
    def numel(self) -> int:
        """Number of elements of the delta."""
        return math.prod(self.shape)

    def rounded(self, choice: RoundOriginal) -> PairedWeight:
        """The same weight, compared as a setting wants it."""
        return self if self.rounding is None else replace(self, rounding=self.rounding.under(choice))

    @property
    def grown(self) -> dict[Extent, int]:
        """What the fine-tuned side has beyond the original: how many of what along the dimensions that differ."""
        return self._extents(self.finetuned.shape, self.shape)

    @property
    def lacking(self) -> dict[Extent, int]:
        """What the original has beyond the fine-tuned side."""
        return self._extents(self.shape, self.finetuned.shape)

    def _extents(self, longer: tuple[int, ...], shorter: tuple[int, ...]) -> dict[Extent, int]:
        if self.common is None:
            return {}
        words: tuple[Extent, Extent] = ("rows" if is_vocabulary(self.name) else "outputs", "inputs")
        sizes = zip(words, longer, shorter, strict=False)
        return {word: ours - theirs for word, ours, theirs in sizes if ours > theirs}

    @property
    def may_be_enlarged(self) -> bool:
        """Whether the original's weight can be filled up to the fine-tuned one; with more outputs its bias ends."""
        return self.kind in ("matrix", "conv") and not self.lacking and self.grown.keys() in ({"rows"}, {"inputs"})

    @property
    def grown_numel(self) -> int:
        """Parameters of the fine-tuned side that have no counterpart in the original."""
        return 0 if self.common is None else math.prod(self.finetuned.shape) - math.prod(self.common)


@dataclass(frozen=True)
class Pairing:
    """Two models matched.

    Attributes:
        family: of both.
        weights: that both have, in the order of depth.
        left_out: all other tensors.
        only_finetuned: those of them that the fine-tuned model has, by canonical name.
        notices: remarks on the files, their names and the match, known from headers.
        config: the ``config.json`` beside the original; empty where there is none that can be read.
        paths: of the fine-tuned model and the original.
    """

    family: Family
    weights: tuple[PairedWeight, ...]
    left_out: tuple[LeftOut, ...]
    only_finetuned: dict[str, WeightView]
    notices: tuple[Notice, ...] = ()
    config: Mapping[str, object] = field(default_factory=dict)
    paths: tuple[Path, Path] = (Path(), Path())

    @property
    def names(self) -> tuple[str, ...]:
        """The canonical names of all weights of both models, matched or not."""
        return (*(weight.name for weight in self.weights), *(item.name for item in self.left_out))


@dataclass(frozen=True)
class Selection:
    """A pairing under some settings.

    Attributes:
        extracted: the weights to extract, in the order of work.
        measured: matched weights of the chosen parts that are not wanted.
        new: weights that only the fine-tuned model has and that ``set_weight`` writes whole, by canonical name.
        left_out: all other tensors, with the reasons.
    """

    extracted: tuple[PairedWeight, ...]
    measured: tuple[PairedWeight, ...]
    new: dict[str, WeightView]
    left_out: tuple[LeftOut, ...]


def pair(finetuned: Checkpoint, original: Checkpoint) -> Pairing:
    """Match two checkpoints.

    Raises:
        EngineError: ``no_common_weights`` where nothing matches.
    """
    tuned, base = name_pair(finetuned, original)
    configs = (_config(finetuned), _config(original))
    aligned = align_experts(turn_conv1d(tuned.views), turn_conv1d(base.views), configs)
    tuned_views, base_views, duplicates = name_shared(aligned.tuned, aligned.base)
    tuned_views, base_views, tied = pair_tied(tuned_views, base_views, configs)
    tuned_views, base_views = _without_padding(tuned_views, base_views)
    tuned, base = replace(tuned, views=tuned_views), replace(base, views=base_views)
    family = base.family if base.family is not GENERIC else tuned.family
    blocks = find_blocks(family, set(base.views))
    left_out = [*tuned.left_out, *(item for item in base.left_out if item not in tuned.left_out), *duplicates]
    only_finetuned = {name: view for name, view in tuned.views.items() if name not in base.views}
    left_out += [_unmatched(name, view, LeaveOutReason.ONLY_FINETUNED) for name, view in only_finetuned.items()]
    weights: list[PairedWeight] = []
    common = common_parts(tuned.views, base.views)
    for name, view in base.views.items():
        other = tuned.views.get(name)
        if other is None:
            left_out.append(_unmatched(name, view, LeaveOutReason.ONLY_ORIGINAL))
        elif (reason := _odd(name, other, view, common)) is not None:
            left_out.append(reason)
        else:
            kind = _kind(name, view.shape, base.views)
            block, rounding = blocks.get(name, Block()), rounding_between(other, view)
            sides = view.shape, other, view
            weights.append(PairedWeight(name, kind, view.component, *sides, block, common.get(name), rounding))
    odd = [item for item in left_out if item.reason not in _UNMATCHED]
    if not weights and odd:
        raise EngineError(
            ErrorCode.NO_USABLE_WEIGHTS,
            file=finetuned.path,
            other=str(original.path),
            example=odd[0].name,
            reason_code=odd[0].reason,
            detail=odd[0].detail,
        )
    if not weights:
        raise EngineError(
            ErrorCode.NO_COMMON_WEIGHTS,
            file=finetuned.path,
            other=str(original.path),
            example=next(iter(finetuned.stored)),
            other_example=next(iter(original.stored)),
        )
    weights.sort(key=lambda weight: (weight.component, weight.block.order, _natural(weight.name)))
    notices = (*finetuned.notices, *original.notices, *tuned.notices, *base.notices, *aligned.notices, *tied)
    paths = finetuned.path, original.path
    return Pairing(family, tuple(weights), tuple(left_out), only_finetuned, notices, configs[1], paths)


def _without_padding(tuned: Views, base: Views) -> tuple[Views, Views]:
    """Both sides, what an encoding has padded cut to the other side's shape."""
    ours, theirs = dict(tuned), dict(base)
    for name in tuned.keys() & base.keys():
        one, other = tuned[name], base[name]
        if one.shape != other.shape:
            ours[name], theirs[name] = cut_to(one, other.shape) or one, cut_to(other, one.shape) or other
    return ours, theirs


def _config(checkpoint: Checkpoint) -> Mapping[str, object]:
    """What the ``config.json`` beside a model says of its language model; empty where there is none to be read.

    It only decides where names and shapes leave a doubt, so a broken one is no error here.
    """
    with suppress(EngineError):
        config = checkpoint.config_of(next(iter(checkpoint.stored.values())))
        inner = config.get("text_config")
        return {**config, **inner} if isinstance(inner, Mapping) else config
    return {}


def select(pairing: Pairing, settings: ExtractionSettings) -> Selection:
    """Apply the settings' parts, patterns and bias choice to a pairing.

    Weights of the chosen parts that are matched but not wanted are measured only, so that the share of the
    change that the LoRA keeps counts them.
    """
    extracted: list[PairedWeight] = []
    measured: list[PairedWeight] = []
    new = _new_weights(pairing, settings)
    left_out = [item for item in pairing.left_out if item.name not in new]
    for weight in (weight.rounded(settings.round_original) for weight in pairing.weights):
        if weight.component not in settings.components:
            component, numel = weight.component, weight.numel
            left_out.append(
                LeftOut(weight.name, LeaveOutReason.COMPONENT_NOT_CHOSEN, component, numel=numel, component=component)
            )
            continue
        reason = _unwanted(weight, settings)
        if reason is None:
            extracted.append(weight)
            left_out += _grown_part(weight)
        else:
            measured.append(weight)
            left_out.append(LeftOut(weight.name, reason, numel=weight.numel, component=weight.component))
    return Selection(tuple(extracted), tuple(measured), new, tuple(left_out))


def _grown_part(weight: PairedWeight) -> list[LeftOut]:
    detail = ", ".join(f"{count} new {word if count > 1 else word[:-1]}" for word, count in weight.grown.items())
    if not detail:
        return []
    return [
        LeftOut(weight.name, LeaveOutReason.GROWN_PART, detail, numel=weight.grown_numel, component=weight.component)
    ]


def _new_weights(pairing: Pairing, settings: ExtractionSettings) -> dict[str, WeightView]:
    if not settings.set_weight:
        return {}
    return {
        name: view
        for name, view in pairing.only_finetuned.items()
        if view.component in settings.components and view.is_weight
    }


def _unwanted(weight: PairedWeight, settings: ExtractionSettings) -> LeaveOutReason | None:
    if settings.include and not any(fnmatchcase(weight.name, pattern) for pattern in settings.include):
        return LeaveOutReason.EXCLUDED
    if any(fnmatchcase(weight.name, pattern) for pattern in settings.exclude):
        return LeaveOutReason.EXCLUDED
    if not settings.bias_diff and weight.kind not in ("matrix", "conv"):
        return LeaveOutReason.BIASES_OFF
    return None


def _unmatched(name: str, view: WeightView, reason: LeaveOutReason) -> LeftOut:
    detail = f"{view.source.stored_dtype} {list(view.source.shape)}"
    numel = math.prod(view.shape) if view.is_weight else 0
    return LeftOut(name, reason, detail, numel=numel, component=view.component)


def _odd(name: str, tuned: WeightView, base: WeightView, common: Mapping[str, tuple[int, ...]]) -> LeftOut | None:
    for view in (tuned, base):
        if not view.is_weight:
            return LeftOut(name, LeaveOutReason.NOT_FLOAT, view.source.stored_dtype)
    if tuned.shape != base.shape and name not in common:
        detail = f"{list(tuned.shape)} in the fine-tuned model, {list(base.shape)} in the original"
        numel = max(math.prod(tuned.shape), math.prod(base.shape))
        return LeftOut(name, LeaveOutReason.SHAPE_DIFFERS, detail, numel=numel, component=base.component)
    if 0 in base.shape or 0 in tuned.shape:
        return LeftOut(name, LeaveOutReason.EMPTY, str(list(base.shape)))
    if len(base.shape) > MAX_DIMENSIONS and name.endswith(".weight"):
        numel = math.prod(base.shape)
        return LeftOut(
            name, LeaveOutReason.TOO_MANY_DIMENSIONS, str(list(base.shape)), numel=numel, component=base.component
        )
    return None


def _kind(name: str, shape: tuple[int, ...], views: dict[str, WeightView]) -> WeightKind:
    if name.endswith(".weight"):
        if len(shape) < 2:
            return "norm"
        return "matrix" if len(shape) == 2 else "conv"
    if name.endswith(".bias") and name[: -len("bias")] + "weight" in views:
        return "bias"
    return "parameter"


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts block 10 after block 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]
