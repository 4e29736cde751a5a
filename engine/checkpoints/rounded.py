"""The numbers of a weight rounded as another one is stored; see `engine.checkpoints.rounding` for when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Protocol, cast

import torch

from engine.checkpoints.encodings import encoding_of, piece_of, read_by_rows
from engine.checkpoints.encodings.raw_round import cast as cast_to
from engine.checkpoints.encodings.raw_round import same_when_cast
from engine.checkpoints.rounding import Rounding, Side, dtype_of
from engine.checkpoints.stored import Piece, WeightSource, WeightView
from engine.checkpoints.tensors import EncodedWeight, parts_within, torch_dtype

Sides = tuple[EncodedWeight, EncodedWeight]
_ENOUGH = 1 << 14  # values that are looked at before all of them are


class _RoundingModule(Protocol):
    """A module that `Encoding.rounding` names."""

    def round_like(self, values: torch.Tensor, source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor: ...


def compared(sides: Sides, rounding: Rounding | None) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The numbers of the fine-tuned side and of the original as they are to be subtracted.

    Args:
        sides: both, on one device.
        rounding: how they are compared; None where both are stored in the same form.

    Returns:
        In their views' shapes, any floating dtype; None where they differ by rounding alone and none is rounded
        before they are subtracted.

    Raises:
        EngineError: see `EncodedWeight.decoded`.
    """
    tuned, base = (side.decoded() for side in sides)
    if rounding is None:
        return tuned, base
    if any(_same(side, sides, (tuned, base)) for side in rounding.tested):
        return None
    if rounding.rounded == "original":
        base = rounded_like(sides[0], base)
    elif rounding.rounded == "finetuned":
        tuned = rounded_like(sides[1], tuned)
    return tuned, base


def _same(side: Side, sides: Sides, values: tuple[torch.Tensor, torch.Tensor]) -> bool:
    """Whether a side, rounded as the other one is stored, is the other one."""
    mine, other = (1, 0) if side == "original" else (0, 1)
    if values[0].shape != values[1].shape:
        return False
    dtype = one_dtype(sides[other].view)
    if dtype is not None:
        return same_when_cast(values[mine], dtype, values[other])
    some = _first_rows(sides[other])
    if some is not None:  # a weight that changed did so there already
        count = some.view.shape[0]
        if not _equal(rounded_like(some, values[mine][:count]), values[other][:count]):
            return False
    return _equal(rounded_like(sides[other], values[mine]), values[other])


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one.to(torch.float32), other.to(torch.float32))


def _first_rows(weight: EncodedWeight) -> EncodedWeight | None:
    """A few rows of a weight, of the same memory; None where its encoding cannot tell them from the others."""
    (piece, *others), rows = weight.view.pieces, weight.view.shape[0]
    count = min(rows, max(1, _ENOUGH * rows // max(1, piece.source.numel)))
    if others or not read_by_rows(piece):
        return None
    some = piece_of(piece.source, 0, count)
    tensors = parts_within(some.source, piece.source, weight.parts)
    return replace(weight, view=WeightView(weight.view.component, some.shape, (some,)), parts=tensors)


def rounded_like(like: EncodedWeight, values: torch.Tensor) -> torch.Tensor:
    """Numbers rounded as a weight is stored, piece by piece.

    Args:
        like: the weight, on the device of the numbers.
        values: of the same weight, as the other side has it: in the same shape unless `like` has one dtype.

    Returns:
        In the shape of `values`: in the one dtype of `like`, or in float32.
    """
    dtype = one_dtype(like.view)
    if dtype is not None:
        return cast_to(values, dtype)
    first, parts, rounded = 0, list(like.parts), list[torch.Tensor]()
    rows = values.reshape(sum(_rows(piece) for piece in like.view.pieces), -1)
    for piece in like.view.pieces:
        own, parts = parts[: len(piece.source.parts)], parts[len(piece.source.parts) :]
        rounded.append(rounded_piece(piece, own, rows[first : first + _rows(piece)]))
        first += _rows(piece)
    return (rounded[0] if len(rounded) == 1 else torch.cat(rounded)).view(values.shape)


def rounded_piece(piece: Piece, parts: Sequence[torch.Tensor], values: torch.Tensor) -> torch.Tensor:
    """The numbers of a piece rounded as it is stored, (rows, columns) float32.

    Args:
        piece: of a view.
        parts: of its source.
        values: (rows, columns), any floating dtype.
    """
    source = piece.source
    own = values.T if piece.transposed else values  # as its source has it
    whole = own
    if piece.rows is not None:  # a source that must be whole: nothing of the rest is looked at
        start, stop = piece.rows
        whole = values.new_zeros(source.shape)
        whole[start:stop] = own.reshape(stop - start, *source.shape[1:])
    module = cast(_RoundingModule, import_module(str(encoding_of(source).rounding)))
    found = module.round_like(whole.reshape(source.shape), source, parts)
    if piece.rows is not None:
        found = found[piece.rows[0] : piece.rows[1]]
    found = found.reshape(own.shape)
    return (found.T if piece.transposed else found).to(torch.float32)


def one_dtype(view: WeightView) -> torch.dtype | None:
    """The one dtype of a side that stores plain numbers; None where it has several, or another encoding."""
    dtype = dtype_of(view)
    return None if dtype is None else torch_dtype(dtype)


def _rows(piece: Piece) -> int:
    return piece.shape[0] if piece.shape else 1
