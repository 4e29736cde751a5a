"""Match the two models' weights by canonical name; every unmatched or odd tensor is named, none dropped in silence."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from engine.checkpoints import Checkpoint, WeightView
from engine.checkpoints.encodings import cut_to
from engine.errors import EngineError, ErrorCode
from engine.events import Notice
from engine.models.blocks import Block, find_blocks
from engine.models.families import GENERIC, VOCABULARY_NAMES, WRAPPER_PREFIXES, Family
from engine.models.names import DENOISER, NamedModel, name_tensors
from engine.results import LeaveOutReason, LeftOut
from engine.settings import ExtractionSettings

WeightKind = Literal["matrix", "conv", "bias", "norm", "parameter"]
_UNMATCHED = (
    LeaveOutReason.ONLY_FINETUNED,
    LeaveOutReason.ONLY_ORIGINAL,
    LeaveOutReason.EMA_COPY,
    LeaveOutReason.DUPLICATE_NAME,
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
        common_rows: for a resized vocabulary, how many rows both sides have; None pairs all rows.
    """

    name: str
    kind: WeightKind
    component: str
    shape: tuple[int, ...]
    finetuned: WeightView
    original: WeightView
    block: Block
    common_rows: int | None = None

    @property
    def numel(self) -> int:
        """Number of elements of the delta."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Pairing:
    """Two models matched.

    Attributes:
        family: of both.
        weights: that both have, in the order of depth.
        left_out: all other tensors.
        only_finetuned: those of them that the fine-tuned model has, by canonical name.
        notices: remarks on the files, their names and the match, known from headers.
    """

    family: Family
    weights: tuple[PairedWeight, ...]
    left_out: tuple[LeftOut, ...]
    only_finetuned: dict[str, WeightView]
    notices: tuple[Notice, ...] = ()


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
    tuned, base = name_tensors(finetuned), name_tensors(original)
    tuned, base = _align_wrappers(tuned, base)
    family = base.family if base.family is not GENERIC else tuned.family
    blocks = find_blocks(family, set(base.views))
    left_out = [*tuned.left_out, *(item for item in base.left_out if item not in tuned.left_out)]
    only_finetuned = {name: view for name, view in tuned.views.items() if name not in base.views}
    left_out += [_unmatched(name, view, LeaveOutReason.ONLY_FINETUNED) for name, view in only_finetuned.items()]
    weights: list[PairedWeight] = []
    for name, view in base.views.items():
        other = tuned.views.get(name)
        if other is not None and other.shape != view.shape:
            other, view = cut_to(other, view.shape) or other, cut_to(view, other.shape) or view
        if other is None:
            left_out.append(_unmatched(name, view, LeaveOutReason.ONLY_ORIGINAL))
        elif (reason := _odd(name, other, view)) is not None:
            left_out.append(reason)
        else:
            common = min(other.shape[0], view.shape[0]) if other.shape != view.shape else None
            kind = _kind(name, view.shape, base.views)
            block = blocks.get(name, Block())
            weights.append(PairedWeight(name, kind, view.component, view.shape, other, view, block, common))
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
    notices = (*finetuned.notices, *original.notices, *tuned.notices, *base.notices)
    return Pairing(family, tuple(weights), tuple(left_out), only_finetuned, notices)


def select(pairing: Pairing, settings: ExtractionSettings) -> Selection:
    """Apply the settings' parts, patterns and bias choice to a pairing.

    Weights of the chosen parts that are matched but not wanted are measured only, so that the share of the
    change that the LoRA keeps counts them.
    """
    extracted: list[PairedWeight] = []
    measured: list[PairedWeight] = []
    new = _new_weights(pairing, settings)
    left_out = [item for item in pairing.left_out if item.name not in new]
    for weight in pairing.weights:
        if weight.component not in settings.components:
            left_out.append(LeftOut(weight.name, LeaveOutReason.COMPONENT_NOT_CHOSEN, weight.component))
            continue
        reason = _unwanted(weight, settings)
        if reason is None:
            extracted.append(weight)
        else:
            measured.append(weight)
            left_out.append(LeftOut(weight.name, reason))
    return Selection(tuple(extracted), tuple(measured), new, tuple(left_out))


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


def _align_wrappers(tuned: NamedModel, base: NamedModel) -> tuple[NamedModel, NamedModel]:
    """Strip from either side's denoiser the wrapper prefix that makes most names meet.

    Only for names that no family recognised: a recognised family's names are already canonical.
    """
    tuned_names, base_names = set(tuned.views), set(base.views)
    best, choice = len(tuned_names & base_names), ("", "")
    if 2 * best >= min(len(tuned_names), len(base_names)):
        return tuned, base
    candidates = ("", *WRAPPER_PREFIXES)
    for ours in candidates:
        stripped = {_strip(name, ours) for name in tuned_names}
        for theirs in candidates:
            overlap = len(stripped & {_strip(name, theirs) for name in base_names})
            if overlap > best:
                best, choice = overlap, (ours, theirs)
    return _stripped(tuned, choice[0]), _stripped(base, choice[1])


def _strip(name: str, wrapper: str) -> str:
    start = DENOISER + wrapper
    return DENOISER + name[len(start) :] if wrapper and name.startswith(start) else name


def _stripped(model: NamedModel, wrapper: str) -> NamedModel:
    views = {_strip(name, wrapper): view for name, view in model.views.items()}
    return replace(model, views=views) if len(views) == len(model.views) else model


def _unmatched(name: str, view: WeightView, reason: LeaveOutReason) -> LeftOut:
    return LeftOut(name, reason, f"{view.source.stored_dtype} {list(view.source.shape)}")


def _odd(name: str, tuned: WeightView, base: WeightView) -> LeftOut | None:
    for view in (tuned, base):
        if not view.is_weight:
            return LeftOut(name, LeaveOutReason.NOT_FLOAT, view.source.stored_dtype)
    if tuned.shape != base.shape and not _resized_vocabulary(name, tuned.shape, base.shape):
        detail = f"{list(tuned.shape)} in the fine-tuned model, {list(base.shape)} in the original"
        return LeftOut(name, LeaveOutReason.SHAPE_DIFFERS, detail)
    if 0 in base.shape or 0 in tuned.shape:
        return LeftOut(name, LeaveOutReason.EMPTY, str(list(base.shape)))
    if len(base.shape) > MAX_DIMENSIONS and name.endswith(".weight"):
        return LeftOut(name, LeaveOutReason.TOO_MANY_DIMENSIONS, str(list(base.shape)))
    return None


def _resized_vocabulary(name: str, tuned: tuple[int, ...], base: tuple[int, ...]) -> bool:
    return len(tuned) == len(base) == 2 and tuned[1] == base[1] and any(part in name for part in VOCABULARY_NAMES)


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
