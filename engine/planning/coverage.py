"""How much of two models can be compared at all, from their headers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection

from engine.models.layer_blocks import block_of
from engine.models.pairing import PairedWeight, Pairing
from engine.results import Coverage, LeaveOutReason, LeftOut

_TUNED = (LeaveOutReason.ONLY_FINETUNED, LeaveOutReason.SHAPE_DIFFERS, LeaveOutReason.TOO_MANY_DIMENSIONS)
_UNCOMPARED = (*_TUNED, LeaveOutReason.ONLY_ORIGINAL)
_BUFFERS = ("position_ids", "num_batches_tracked")  # counters, which some files store as floating-point numbers
_BLOCK_WEIGHTS = 2  # at least; a single numbered weight is no block


def cover(pairing: Pairing, components: Collection[str], whole: Collection[str] = ()) -> Coverage:
    """Count what of the chosen parts is compared and what has no counterpart.

    Args:
        pairing: the two models.
        components: the chosen parts.
        whole: canonical names of weights that the file holds as they are in what only the fine-tuned model has of them.
    """
    weights = [weight for weight in pairing.weights if weight.component in components]
    unmatched = (item for item in pairing.left_out if item.reason in _UNCOMPARED and item.component in components)
    rest = [item for item in unmatched if item.numel and not item.name.endswith(_BUFFERS)]
    absent = _absent_parts(weights, rest)
    rest = [item for item in rest if part_of(item.component, item.name) not in absent]
    in_file = [item for item in rest if item.name in whole]
    outside = [item for item in rest if item.name not in whole]
    enlarged = [weight for weight in weights if weight.name in whole]
    others = [weight for weight in weights if weight.name not in whole]
    tuned = sum(math.prod(weight.finetuned.shape) for weight in weights) + _numel(rest, *_TUNED)
    base = sum(math.prod(weight.original.shape) for weight in weights)
    base += _numel(rest, *(reason for reason in _UNCOMPARED if reason is not LeaveOutReason.ONLY_FINETUNED))
    matched_blocks = {block for weight in weights if (block := _block(weight.component, weight.name))}
    counts = Counter(block for item in outside if (block := _block(item.component, item.name)))
    unmatched_blocks = [
        block for block, count in counts.items() if count >= _BLOCK_WEIGHTS and block not in matched_blocks
    ]
    return Coverage(
        compared=sum(map(_compared, weights)),
        whole=_numel(in_file, *_TUNED) + sum(weight.grown_numel for weight in enlarged),
        parameters=max(tuned, base),
        new_rows=sum({grown for weight in others if (grown := _grown(weight, 0))}),
        new_channels=sum({grown for weight in others if (grown := _grown(weight, 1))}),
        unmatched=sum(item.reason in _TUNED for item in outside),
        missing=sum(item.reason is LeaveOutReason.ONLY_ORIGINAL for item in outside),
        smaller=sum(map(_shrunk, weights)),
        blocks=len(matched_blocks | counts.keys()),
        unmatched_blocks=tuple(f"{stack}.{number}" for _, stack, number in sorted(unmatched_blocks)),
        absent_parts=tuple(sorted(absent.items())),
    )


def part_of(component: str, name: str) -> str:
    """The part that a weight belongs to: its component, of several text encoders the one."""
    return ".".join(name.split(".")[:2]) if component == "text_encoders" else component


def _absent_parts(weights: list[PairedWeight], rest: list[LeftOut]) -> dict[str, str]:
    """Parts that only one model has anything of, with the side that lacks them: ``finetuned`` or ``original``."""
    sides: dict[str, set[LeaveOutReason]] = {}
    for item in rest:
        sides.setdefault(part_of(item.component, item.name), set()).add(item.reason)
    for weight in weights:
        sides.pop(part_of(weight.component, weight.name), None)
    lacking = {LeaveOutReason.ONLY_FINETUNED: "original", LeaveOutReason.ONLY_ORIGINAL: "finetuned"}
    return {part: lacking[reason] for part, (reason, *more) in sides.items() if not more and reason in lacking}


def _numel(items: list[LeftOut], *reasons: LeaveOutReason) -> int:
    return sum(item.numel for item in items if item.reason in reasons)


def _compared(weight: PairedWeight) -> int:
    """Parameters of a weight that both sides have."""
    tuned, base = weight.finetuned.shape, weight.original.shape
    if len(tuned) != len(base):
        return min(math.prod(tuned), math.prod(base))
    return math.prod(map(min, tuned, base))


def _grown(weight: PairedWeight, dimension: int) -> int:
    """By how much the fine-tuned side is larger along a dimension; 0 where it is not."""
    tuned, base = weight.finetuned.shape, weight.original.shape
    if len(tuned) != len(base) or dimension >= len(base):
        return 0
    return max(0, tuned[dimension] - base[dimension])


def _shrunk(weight: PairedWeight) -> bool:
    """Whether the fine-tuned side has not all of the original's rows or channels."""
    tuned, base = weight.finetuned.shape, weight.original.shape
    return len(tuned) == len(base) and any(ours < theirs for ours, theirs in zip(tuned, base, strict=True))


def _block(component: str, name: str) -> tuple[str, str, int] | None:
    """The outermost block of a weight, with the part that it belongs to; None outside the blocks."""
    place = block_of(name)
    return (part_of(component, name), *place.outer) if place.inside else None
