"""How far apart the numbers are that a weight's form can hold: what rounding to it can have changed of each number."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

import torch

from engine.checkpoints.encodings import encoding_of
from engine.checkpoints.stored import WeightSource, WeightView
from engine.checkpoints.tensors import EncodedWeight, of_piece


class _Decoder(Protocol):
    """A module that `Encoding.decoder` names."""

    def steps(self, source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor: ...


def has_own_steps(view: WeightView) -> bool:
    """Whether the steps of a weight are not simply those of the dtype of its decoded numbers."""
    dtypes = {piece.source.dtype for piece in view.pieces}
    return len(dtypes) > 1 or not all(encoding_of(piece.source).plain for piece in view.pieces)


def rounding_steps(weight: EncodedWeight) -> torch.Tensor | None:
    """The distance between neighbouring numbers that could have been stored, around each number that is.

    What was rounded to such a number is taken to have changed by an error that is uniform over the distance, with the
    variance step^2 / 12; where the two neighbours are at different distances the step is one that gives the variance of
    numbers spread evenly. Encodings scale numbers in blocks: the scales are taken as they are stored.

    Args:
        weight: as it is stored, on any device.

    Returns:
        In the view's shape, float32, on that device, and 0 where a whole block is 0; None where the view holds plain
        floats of one dtype, whose steps follow from the decoded numbers.
    """
    if not has_own_steps(weight.view):
        return None
    pieces = [of_piece(piece, steps_of(piece.source, parts)) for piece, parts in weight.by_piece()]
    return (pieces[0] if len(pieces) == 1 else torch.cat(pieces)).reshape(weight.view.shape)


def steps_of(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The steps of a source's numbers, in its shape, float32; see `Encoding.decoder`."""
    decoder = cast(_Decoder, import_module(encoding_of(source).decoder))
    return decoder.steps(source, parts)
