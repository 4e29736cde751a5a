"""Rows of weights that are read to compare models: few of each weight, the same ones in every model, as float32."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from engine.analysis.sample_choice import Rows
from engine.checkpoints import Checkpoint, WeightView
from engine.checkpoints.dtypes import dtype_title
from engine.checkpoints.encodings import encoding_of, piece_of, read_by_rows
from engine.checkpoints.rounded import compared
from engine.checkpoints.rounding import rounding_between
from engine.checkpoints.steps import steps_of_piece
from engine.checkpoints.stored import RAW, Piece
from engine.checkpoints.tensors import EncodedWeight, read_encoded
from engine.models.pairing import PairedWeight


@dataclass(frozen=True)
class ReadRows:
    """Rows of a weight in memory, as they are stored.

    Attributes:
        weight: at least these rows; more where an encoding, or a turned matrix, cannot be read by rows.
        first: index of the first sampled number among the decoded ones.
        count: of sampled numbers.
    """

    weight: EncodedWeight
    first: int
    count: int

    def values(self) -> torch.Tensor:
        """The sampled numbers, (count,) float32.

        Raises:
            EngineError: see `EncodedWeight.decoded`.
        """
        decoded = self.weight.decoded().reshape(-1)
        return decoded[self.first : self.first + self.count].to(torch.float32)

    def rounding_energy(self) -> float:
        """Expected squared error of the sampled numbers by the rounding to what is stored: step^2 / 12 of each."""
        pieces = [steps_of_piece(piece, parts).reshape(-1) for piece, parts in self.weight.by_piece()]
        steps = (pieces[0] if len(pieces) == 1 else torch.cat(pieces))[self.first : self.first + self.count]
        return float(steps.to(torch.float64).square().sum()) / 12


def read_rows(checkpoint: Checkpoint, view: WeightView, rows: Rows) -> ReadRows:
    """Read some rows of a weight as they are stored.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    part, begins = _view_of(view, rows.start, rows.stop)
    width = math.prod(view.shape[1:])
    return ReadRows(read_encoded(checkpoint, part), (rows.start - begins) * width + rows.skipped, rows.count)


def differs(sides: tuple[Checkpoint, Checkpoint], weight: PairedWeight, rows: Rows) -> tuple[bool, bool]:
    """How some rows of a weight differ between a model and a candidate.

    Returns:
        Whether any number differs, and whether that is more than a rounding to the form that either side has.

    Raises:
        EngineError: see `Checkpoint.read_into` and `EncodedWeight.decoded`.
    """
    views = weight.finetuned, weight.original
    ours, theirs = (read_rows(checkpoint, view, rows) for checkpoint, view in zip(sides, views, strict=True))
    if torch.equal(ours.values(), theirs.values()):
        return False, False
    one, other = ours.weight, theirs.weight
    if one.view.shape != other.view.shape:  # one of the two was read whole
        one, other = (read_encoded(checkpoint, view) for checkpoint, view in zip(sides, views, strict=True))
    rounding = rounding_between(one.view, other.view)
    return True, rounding is None or compared((one, other), rounding) is not None


def title_of(views: Sequence[WeightView]) -> str:
    """In words how most of some weights are stored."""
    sources = Counter(
        dtype_title(view.source.dtype)
        if view.source.encoding == RAW
        else encoding_of(view.source).title_of(view.source)
        for view in views
    )
    return sources.most_common(1)[0][0]


def place_of(view: WeightView) -> tuple[int, int]:
    """Where a weight begins, by file and offset: a disk is read fastest from its beginning to its end."""
    return view.parts[0].file, view.parts[0].offset


def read_bytes(view: WeightView, rows: Rows) -> int:
    """What reading some rows reads."""
    return _view_of(view, rows.start, rows.stop)[0].stored_bytes


def _view_of(view: WeightView, start: int, stop: int) -> tuple[WeightView, int]:
    """The pieces of a weight that some rows lie in, cut where that is possible; and the row that they begin at."""
    if sum(piece.shape[0] if piece.shape else 1 for piece in view.pieces) != (view.shape[0] if view.shape else 1):
        return view, 0
    pieces: list[Piece] = []
    first, begins = 0, start
    for piece in view.pieces:
        count = piece.shape[0] if piece.shape else 1
        low, high = max(0, start - first), min(count, stop - first)
        if low < high:
            part = _part_of(piece, low, high)
            if not pieces and part is piece:
                begins = first
            pieces.append(part)
        first += count
    rows = sum(piece.shape[0] if piece.shape else 1 for piece in pieces)
    shape = (rows, *view.shape[1:]) if view.shape else ()
    return replace(view, shape=shape, pieces=tuple(pieces)), begins


def _part_of(piece: Piece, start: int, stop: int) -> Piece:
    """Some rows of a piece; the piece itself where it has to be read whole."""
    source = piece.source
    if piece.single and not piece.transposed and source.encoding == RAW and source.parts[0].shape[:1] == (1,):
        part = replace(source.parts[0], shape=source.parts[0].shape[1:])
        piece = Piece(replace(source, shape=source.shape[1:], parts=(part,)))
    if read_by_rows(piece):
        return piece_of(piece.source, start, stop)
    return piece
