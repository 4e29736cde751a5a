"""How far apart the numbers are that a weight's form can hold: what rounding to it can have changed of each number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

import torch

from engine.checkpoints.encodings import encoding_of, has_own_steps, piece_of, read_by_rows, step_sizes
from engine.checkpoints.rounding import Rounding
from engine.checkpoints.stored import Piece, WeightSource, WeightView
from engine.checkpoints.tensors import EncodedWeight, of_piece, parts_within, torch_dtype


class _Decoder(Protocol):
    """A module that `Encoding.decoder` names."""

    def steps(self, source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor: ...


def rounding_steps(weight: EncodedWeight) -> torch.Tensor | None:
    """The distance between neighbouring numbers that could have been stored, around each number that is.

    What was rounded to such a number is taken to have changed by an error that is uniform over the distance, with the
    variance step^2 / 12; where the two neighbours are at different distances, or an encoder is known to leave less, the
    step is one that gives the variance of numbers spread evenly. Scales are taken as they are stored. Where numbers are
    smaller than the step, as those of small rows beside large ones under one scale, the true error is smaller.

    It takes as much memory as decoding the weight; `StepsByRows` gives the same some rows at a time.

    Args:
        weight: as it is stored, on any device.

    Returns:
        In the view's shape, float32, on that device, 0 where a whole block is 0; None where the view holds plain floats
        of one dtype, whose steps follow from the decoded numbers.
    """
    if not has_own_steps(weight.view):
        return None
    pieces = [steps_of_piece(piece, parts) for piece, parts in weight.by_piece()]
    return (pieces[0] if len(pieces) == 1 else torch.cat(pieces)).reshape(weight.view.shape)


class StepsByRows:
    """The steps of a weight in memory, formed some rows at a time.

    A piece whose rows cannot be decoded by themselves, such as a transposed one, is formed as a whole and kept; see
    `engine.checkpoints.encodings.steps_bytes` for the memory.
    """

    def __init__(self, weight: EncodedWeight) -> None:
        """Nothing is formed yet.

        Args:
            weight: one that has its own steps; on any device.
        """
        rows = weight.view.shape[0] if weight.view.shape else 1
        self.shape = rows, math.prod(weight.view.shape) // max(1, rows)
        self._pieces = list(weight.by_piece())
        self._whole: dict[int, torch.Tensor] = {}
        self._last: tuple[int, int, torch.Tensor] | None = None

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """The steps of rows `start` to `stop` of the weight as a matrix, (stop - start, columns), float32."""
        found, first = list[torch.Tensor](), 0
        for index, (piece, parts) in enumerate(self._pieces):
            last = first + (piece.shape[0] if piece.shape else 1)
            begin, end = max(start, first) - first, min(stop, last) - first
            if begin < end:
                found.append(self._of_piece(index, piece, parts, begin, end).reshape(end - begin, self.shape[1]))
            first = last
        return found[0] if len(found) == 1 else torch.cat(found)

    def values(self, start: int, stop: int) -> torch.Tensor:
        """The steps of numbers `start` to `stop` in the order of the weight, (stop - start,), float32."""
        width = max(1, self.shape[1])
        begin, end = start // width, -(-stop // width)
        if self._last is None or not (self._last[0] <= begin and end <= self._last[1]):
            self._last = None  # before the next ones are made
            self._last = begin, end, self.rows(begin, end).reshape(-1)
        first = self._last[0] * width
        return self._last[2][start - first : stop - first]

    def _of_piece(
        self, index: int, piece: Piece, parts: tuple[torch.Tensor, ...], start: int, stop: int
    ) -> torch.Tensor:
        if read_by_rows(piece):
            some = piece_of(piece.source, start, stop).source
            return steps_of(some, parts_within(some, piece.source, parts))
        if index not in self._whole:
            self._whole[index] = steps_of_piece(piece, parts)
        return self._whole[index].reshape(-1, self.shape[1])[start:stop]


class StepsOfFloats:
    """The steps that numbers had as floats of a dtype, before they were rounded to something coarser."""

    def __init__(self, numbers: torch.Tensor, dtype: torch.dtype) -> None:
        """Nothing is formed yet.

        Args:
            numbers: as they were rounded, any floating dtype; their exponents are nearly those that they had.
            dtype: what they were stored in.
        """
        self._numbers, self._dtype = numbers, dtype

    def values(self, start: int, stop: int) -> torch.Tensor:
        """See `StepsByRows.values`."""
        return step_sizes.of_floats(self._numbers.reshape(-1)[start:stop].to(self._dtype))


AnySteps = StepsByRows | StepsOfFloats


def steps_of_sides(
    sides: tuple[EncodedWeight, EncodedWeight], rounding: Rounding | None, numbers: tuple[torch.Tensor, torch.Tensor]
) -> tuple[AnySteps | None, AnySteps | None]:
    """The steps of the rounding that made the numbers of both sides.

    A fine-tuned side that is rounded as the original is stored has the steps of that; an original that is rounded keeps
    its own, as that it is rounded is known (`engine.checkpoints.rounding.grid_of`).

    Args:
        sides: as they are stored, on one device.
        rounding: how they are compared.
        numbers: of both, as `engine.checkpoints.rounded.compared` gives them.

    Returns:
        Of the fine-tuned side and of the original: None where they are those of the dtype of its numbers; of an
        original that is rounded to a dtype those are the dtype's.
    """
    tuned, base = (StepsByRows(side) if has_own_steps(side.view) else None for side in sides)
    rounded = None if rounding is None else rounding.rounded
    if rounded == "finetuned":
        return base, base
    if rounded == "original" and tuned is not None and base is None:
        return tuned, _before_rounding(sides[1].view, numbers[1])
    return tuned, base


def _before_rounding(view: WeightView, numbers: torch.Tensor) -> StepsOfFloats | None:
    dtype = torch_dtype(view.source.dtype)
    return None if dtype is None else StepsOfFloats(numbers, dtype)


def steps_of(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The steps of a source's numbers, in its shape, float32; see `Encoding.decoder`."""
    decoder = cast(_Decoder, import_module(encoding_of(source).decoder))
    return decoder.steps(source, parts)


def steps_of_piece(piece: Piece, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The steps of a piece's numbers, in its shape, float32, also where they are plain floats.

    Args:
        piece: of a view.
        parts: of its source.
    """
    return of_piece(piece, steps_of(piece.source, parts))
