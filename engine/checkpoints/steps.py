"""How far apart the numbers are that a weight's form can hold: what rounding to it can have changed of each number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

import torch

from engine.checkpoints.encodings import encoding_of, has_own_steps, piece_of, read_by_rows
from engine.checkpoints.rounding import Rounding
from engine.checkpoints.stored import Piece, WeightSource
from engine.checkpoints.tensors import EncodedWeight, of_piece, parts_within


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


def steps_of_sides(
    sides: tuple[EncodedWeight, EncodedWeight], rounding: Rounding | None
) -> tuple[StepsByRows | None, StepsByRows | None]:
    """The steps of both sides as `engine.checkpoints.rounded.compared` gives their numbers.

    A side that is rounded as the other one is stored has the steps of that one.

    Returns:
        Of the fine-tuned side and of the original: None where they are those of the dtype of its numbers.
    """
    found = tuple(StepsByRows(side) if has_own_steps(side.view) else None for side in sides)
    tuned, base = found
    if rounding is not None and rounding.rounded == "original":
        base = tuned
    elif rounding is not None and rounding.rounded == "finetuned":
        tuned = base
    return tuned, base


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
