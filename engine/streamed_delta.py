"""Both sides of a weight left in their files: read in parts, subtracted part by part, and read again when needed.

Where a layer's memory is short its sides are never held whole: either the delta is filled part by part (`filled`), or
not even that is held, and a solver goes over it in `Pieces` (`measured`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.checkpoints import Checkpoint, Piece, StoredTensor, WeightView
from engine.checkpoints.encodings import piece_of, read_by_rows
from engine.checkpoints.encodings.raw_round import cast
from engine.checkpoints.rounded import one_dtype, rounded_piece
from engine.checkpoints.stored import RAW
from engine.checkpoints.tensors import EncodedWeight, read_encoded, torch_dtype
from engine.decompose.delta import (
    SAFE_SQUARES,
    Delta,
    SquaresInCache,
    energy,
    energy_of_parts,
    grown_parts,
    row_energies,
    subtract_in_cache,
    total_of_rows,
)
from engine.decompose.pieces import Pieces
from engine.decompose.workspace import CHUNK_BYTES
from engine.devices.buffer_pool import HostBuffer
from engine.devices.memory_rules import PART_VALUES
from engine.models.pairing import PairedWeight
from engine.steps import check


@dataclass(frozen=True)
class MeasuredDelta:
    """A difference that is not held, and what was measured in going over it once; see `delta.Delta`."""

    pieces: UnreadPair
    energy: float
    original_energy: float
    grown_energy: float = 0.0


class UnreadPair(Pieces):
    """A weight's delta, formed from its two files whenever a piece of it is wanted. For one thread.

    Attributes:
        read_seconds: time spent reading so far.
    """

    def __init__(
        self, checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight, note: Callable[[int], None]
    ) -> None:
        """Nothing is read yet.

        Args:
            checkpoints: the fine-tuned model and the original.
            weight: the weight.
            note: told the bytes of every read.
        """
        columns = math.prod(weight.shape[1:])
        self.shape = math.prod(weight.shape) // max(1, columns), columns
        self.read_seconds = 0.0
        self._weight, self._checkpoints = weight, checkpoints
        tuned, base = _Side(checkpoints[0], weight.finetuned, note), _Side(checkpoints[1], weight.original, note)
        self._stored = tuned, base
        rounded = None if weight.rounding is None else weight.rounding.rounded
        self._sides: tuple[_AnySide, _AnySide] = (
            _RoundedSide(tuned, base) if rounded == "finetuned" else tuned,
            _RoundedSide(base, tuned) if rounded == "original" else base,
        )
        self._common = self.shape if weight.common is None else _matrix(weight.common)
        self._values: torch.Tensor | None = None

    def piece(self, start: int, stop: int) -> torch.Tensor:
        """See `Pieces.piece`."""
        if self.tall:
            return self._block((start, stop), (0, self.shape[1]))
        return self._block((0, self.shape[0]), (start, stop))

    def sides(self, rows: tuple[int, int], columns: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and columns that both sides have, as they are to be subtracted, in any floating dtypes.

        Valid until the next call. No more than these is read where the containers and encodings can do that.

        Returns:
            The fine-tuned side and the original, (rows, columns).

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        return self._read(0, rows, columns), self._read(1, rows, columns)

    def only_rounded(self) -> bool:
        """Whether the sides differ by rounding alone and none is rounded before they are subtracted.

        Reads no further than to the first value that says no.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        if self._weight.rounding is None or self._weight.finetuned.shape != self._weight.original.shape:
            return False
        tuned, base = self._stored
        pairs = {"finetuned": (tuned, base), "original": (base, tuned)}
        return any(self._same(_RoundedSide(*pairs[side]), pairs[side][1]) for side in self._weight.rounding.tested)

    def _same(self, rounded: _RoundedSide, other: _Side) -> bool:
        rows, columns = self.shape
        step = max(1, PART_VALUES // max(1, columns))
        for start in range(0, rows, step):
            check()
            part = (start, min(rows, start + step)), (0, columns)
            ours = self._timed(rounded.block, *part).to(torch.float32)
            if not torch.equal(ours, self._timed(other.block, *part).to(torch.float32)):
                return False
        return True

    def measured(self) -> MeasuredDelta:
        """Go over the delta once, for its norm and the original's.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        return MeasuredDelta(self, *self._over(None), self._grown_energy())

    def filled(self, memory: HostBuffer) -> Delta:
        """The delta whole, in the shape of the original, with its norm: what `engine.decompose.delta.subtract` gives.

        Args:
            memory: for the result; it is valid until that is given back.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        count = self.shape[0] * self.shape[1]
        flat = memory.take(4 * count).view(torch.float32)
        return Delta(flat.view(self._weight.shape), *self._over(flat), self._grown_energy())

    def broken_file(self) -> Path:
        """The file with the first value that is NaN or infinite: one of the fine-tuned model's, else the original's."""
        for checkpoint, side in zip(self._checkpoints, self._stored, strict=True):
            part = side.broken_part()
            if part is not None:
                return checkpoint.file_of(part)
        return self._checkpoints[1].path

    def free(self) -> None:
        """Let go of the memory that pieces are made in."""
        self._values = None
        for side in (*self._sides, *self._stored):
            side.free()

    def _over(self, flat: torch.Tensor | None) -> tuple[float, float]:
        """The squared norms of the delta and of the original, as `subtract` measures them; `flat` is filled."""
        if self._weight.common is not None:
            total, original = self._over_rows(flat)
        elif not all(side.plain for side in self._sides):
            total, original = self._over_turned(flat)
        else:
            total, original = self._over_values(flat)
        low, high = SAFE_SQUARES
        if not (low < total < high or math.isnan(total)) or not (low < original < high or math.isnan(original)):
            total, original = self._again(total, original)
        return total, original

    def _over_values(self, flat: torch.Tensor | None) -> tuple[float, float]:
        """In the order of the files, however the shape divides them."""
        count, total, original = self.shape[0] * self.shape[1], 0.0, 0.0
        for start in range(0, count, PART_VALUES):
            check()
            stop = min(count, start + PART_VALUES)
            tuned, base = (self._timed(side.values, start, stop) for side in self._sides)
            into = self._memory(stop - start) if flat is None else flat[start:stop]
            total, original = subtract_in_cache(tuned, base, into, total, original)
        return total, original

    def _over_rows(self, flat: torch.Tensor | None) -> tuple[float, float]:
        """By rows of the weight: where the sides differ in their shapes."""
        rows, columns = self.shape
        squares: tuple[list[torch.Tensor], ...] = ([], [])
        step = max(1, PART_VALUES // columns)
        for start in range(0, rows, step):
            check()
            stop = min(rows, start + step)
            part = self._block((start, stop), (0, columns))
            if flat is not None:
                flat.view(rows, columns)[start:stop] = part
            squares[0].append(row_energies(part))
            squares[1].append(row_energies(self._read(1, (start, stop), (0, columns)).to(torch.float32)))
        original, summed = torch.cat(squares[1]), max(1, CHUNK_BYTES // (4 * columns))  # as `subtract` sums them
        parts = range(0, rows, summed)
        return total_of_rows(torch.cat(squares[0])), sum(total_of_rows(original[at : at + summed]) for at in parts)

    def _over_turned(self, flat: torch.Tensor | None) -> tuple[float, float]:
        """By rows of the weight, where a side's bytes are not its values in their order; summed in that order."""
        rows, columns = self.shape
        sums = SquaresInCache(), SquaresInCache()
        step = max(1, PART_VALUES // columns)
        for start in range(0, rows, step):
            check()
            stop = min(rows, start + step)
            part = self._block((start, stop), (0, columns))
            if flat is not None:
                flat.view(rows, columns)[start:stop] = part
            sums[0].add(part.view(-1))
            sums[1].add(self._read(1, (start, stop), (0, columns)).to(torch.float32).reshape(-1))
        return sums[0].total(), sums[1].total()

    def _again(self, total: float, original: float) -> tuple[float, float]:
        """Norms so large or small that float32 may have lost them, in float64."""
        low, high = SAFE_SQUARES
        sums = [0.0, 0.0]
        step = max(1, PART_VALUES // max(1, self.shape[1]))
        for start in range(0, self.shape[0], step):
            check()
            rows, columns = (start, min(self.shape[0], start + step)), (0, self.shape[1])
            sums[0] += energy(self._block(rows, columns))
            sums[1] += energy(self._read(1, rows, columns).to(torch.float32))
        kept = (total if low < total < high else sums[0], original if low < original < high else sums[1])
        return kept

    def _block(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        """A part of the delta, in memory that is used again."""
        height, width = rows[1] - rows[0], columns[1] - columns[0]
        values = self._memory(height * width).view(height, width)
        common, breadth = (
            max(0, min(size, end - start))
            for size, end, start in zip((height, width), self._common, (rows[0], columns[0]), strict=True)
        )
        if common and breadth:  # the smaller side ends before rows and columns without a counterpart
            part = (rows[0], rows[0] + common), (columns[0], columns[0] + breadth)
            ours, theirs = self._read(0, *part), self._read(1, *part)
            if breadth == width:
                subtract_in_cache(ours.reshape(-1), theirs.reshape(-1), values[:common].view(-1))
            else:
                values[:common, :breadth].copy_(ours).sub_(theirs.to(torch.float32))
        values[common:] = 0.0
        values[:, breadth:] = 0.0
        return values

    def _grown_energy(self) -> float:
        """What `subtract` measures of the fine-tuned side beyond the common part."""
        if not self._weight.grown_numel:
            return 0.0
        shape = _matrix(self._weight.finetuned.shape)
        parts = grown_parts(shape, self._common, max(1, PART_VALUES // shape[1]))
        return energy_of_parts(self._read_grown(rows, columns) for rows, columns in parts)

    def _read_grown(self, rows: slice, columns: slice) -> torch.Tensor:
        check()
        return self._read(0, (rows.start, rows.stop), (columns.start, columns.stop)).to(torch.float32)

    def _read(self, side: int, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        return self._timed(self._sides[side].block, rows, columns)

    def _timed(self, read: Callable[..., torch.Tensor], *where: object) -> torch.Tensor:
        started = time.perf_counter()
        part = read(*where)
        self.read_seconds += time.perf_counter() - started
        return part

    def _memory(self, count: int) -> torch.Tensor:
        if self._values is None or len(self._values) < count:
            self._values = None
            self._values = torch.empty(count, dtype=torch.float32)
        return self._values[:count]


def read_grown(checkpoint: Checkpoint, weight: PairedWeight) -> torch.Tensor:
    """The rows or the columns that the fine-tuned side of a weight has beyond the original, as a float32 matrix.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    rows, columns = _matrix(weight.finetuned.shape)
    inside, breadth = _matrix(weight.shape)
    side = _Side(checkpoint, weight.finetuned, lambda count: None)
    start = (inside, 0) if inside < rows else (0, breadth)
    return side.block((start[0], rows), (start[1], columns)).to(torch.float32, copy=True)


class _Side:
    """One side of a weight, read in parts into memory that is used again."""

    def __init__(self, checkpoint: Checkpoint, view: WeightView, note: Callable[[int], None]) -> None:
        self.view = view
        self._pieces = [
            _RawPiece(checkpoint, piece, note)
            if piece.source.encoding == RAW
            else _EncodedPiece(checkpoint, piece, note)
            for piece in view.pieces
        ]
        self._ends: list[int] = []
        for piece in self._pieces:
            self._ends.append((self._ends[-1] if self._ends else 0) + piece.height)

    @property
    def plain(self) -> bool:
        """Whether it can be read in the order of the file."""
        return self.view.plain

    def values(self, start: int, stop: int) -> torch.Tensor:
        """Values of a plain side in the order of the file, (stop - start,)."""
        piece = self._pieces[0]
        assert isinstance(piece, _RawPiece), "the side is plain"
        return piece.values(start, stop)

    def block(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        """Rows and columns of the side as a matrix, whose columns are all dimensions but the first."""
        parts = [piece.block((start, stop), columns) for piece, (start, stop), _ in self.pieces_within(rows)]
        if len({part.dtype for part in parts}) > 1:
            parts = [part.to(torch.float32) for part in parts]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def pieces_within(self, rows: tuple[int, int]) -> Iterator[tuple[_RawPiece | _EncodedPiece, tuple[int, int], int]]:
        """The pieces that some rows lie in: each with its own rows of them, and the side's row where it begins."""
        first = 0
        for piece, last in zip(self._pieces, self._ends, strict=True):
            start, stop = max(rows[0], first), min(rows[1], last)
            if start < stop:
                yield piece, (start - first, stop - first), first
            first = last

    def broken_part(self) -> StoredTensor | None:
        """A stored tensor of the first piece that has a value which is not finite."""
        for piece in self._pieces:
            step = max(1, PART_VALUES // max(1, piece.width))
            for start in range(0, piece.height, step):
                check()
                part = piece.block((start, min(piece.height, start + step)), (0, piece.width))
                if not bool(torch.isfinite(part.to(torch.float32)).all()):
                    return piece.broken_part()
        return None

    def free(self) -> None:
        """Let go of the memory."""
        for piece in self._pieces:
            piece.free()


class _RoundedSide:
    """A side whose numbers are rounded as the other one is stored, see `engine.checkpoints.rounded`."""

    def __init__(self, side: _Side, like: _Side) -> None:
        self._side, self._like = side, like
        self._dtype = one_dtype(like.view)
        self._mixed = len({piece.source.dtype for piece in side.view.pieces}) > 1  # and float32 where it is held
        self._whole: dict[int, torch.Tensor] = {}

    @property
    def plain(self) -> bool:
        """See `_Side.plain`."""
        return self._side.plain and self._dtype is not None

    def values(self, start: int, stop: int) -> torch.Tensor:
        """See `_Side.values`."""
        assert self._dtype is not None, "the side is plain"
        return cast(self._side.values(start, stop), self._dtype)

    def block(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        """See `_Side.block`."""
        if self._dtype is not None:
            return cast(self._side.block(rows, columns), self._dtype)
        parts = [self._part(*found, columns) for found in self._like.pieces_within(rows)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _part(
        self, piece: _RawPiece | _EncodedPiece, own: tuple[int, int], first: int, columns: tuple[int, int]
    ) -> torch.Tensor:
        """Rows of a piece of the other side: the numbers there, rounded as it is stored, float32."""
        if isinstance(piece, _RawPiece):
            return cast(self._numbers((first + own[0], first + own[1]), columns), piece.dtype).to(torch.float32)
        if not piece.by_rows:
            if first not in self._whole:
                numbers = self._numbers((first, first + piece.height), (0, piece.width))
                self._whole[first] = rounded_piece(piece.piece, piece.encoded(piece.piece).parts, numbers)
            return self._whole[first][own[0] : own[1], columns[0] : columns[1]]
        part = torch.empty((own[1] - own[0], columns[1] - columns[0]), dtype=torch.float32)
        step = max(1, PART_VALUES // max(1, piece.width))
        for start in range(own[0], own[1], step):
            stop = min(own[1], start + step)
            there = piece_of(piece.piece.source, start, stop)
            numbers = self._numbers((first + start, first + stop), (0, piece.width))
            rounded = rounded_piece(there, piece.encoded(there).parts, numbers)
            part[start - own[0] : stop - own[0]] = rounded[:, columns[0] : columns[1]]
        return part

    def _numbers(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        numbers = self._side.block(rows, columns)
        return numbers.to(torch.float32) if self._mixed else numbers

    def free(self) -> None:
        """Let go of the memory."""
        self._whole.clear()


_AnySide = _Side | _RoundedSide


class _RawPiece:
    """A piece whose bytes are its numbers: any of its rows and columns can be read by themselves."""

    def __init__(self, checkpoint: Checkpoint, piece: Piece, note: Callable[[int], None]) -> None:
        self._checkpoint, self._note = checkpoint, note
        self._stored, self._transposed = piece.source.parts[0], piece.transposed
        dtype = torch_dtype(self._stored.dtype)
        assert dtype is not None, "only floats are subtracted"
        self.dtype, self._item = dtype, dtype.itemsize
        shape = self._stored.shape
        self._width = math.prod(shape[1:])  # of the file's rows
        self.height, self.width = _matrix(piece.shape)
        self._bytes: torch.Tensor | None = None

    def values(self, start: int, stop: int) -> torch.Tensor:
        """Values in the order of the file, (stop - start,)."""
        raw = self._memory((stop - start) * self._item)
        self._read(start * self._item, raw)
        return raw.view(self.dtype)

    def block(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        """See `_Side.block`."""
        return self._of_file(columns, rows).T if self._transposed else self._of_file(rows, columns)

    def broken_part(self) -> StoredTensor:
        """The one stored tensor."""
        return self._stored

    def _of_file(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        height, width = rows[1] - rows[0], columns[1] - columns[0]
        line = width * self._item
        raw = self._memory(height * line)
        if width == self._width:
            self._read(rows[0] * line, raw)
        else:
            for row in range(height):
                start = ((rows[0] + row) * self._width + columns[0]) * self._item
                self._read(start, raw[row * line : (row + 1) * line])
        return raw.view(self.dtype).view(height, width)

    def _read(self, start: int, into: torch.Tensor) -> None:
        data = into.numpy().data
        self._checkpoint.read_into(self._stored.piece(start, len(data)), data)
        self._note(len(data))

    def free(self) -> None:
        self._bytes = None

    def _memory(self, count: int) -> torch.Tensor:
        if self._bytes is None or len(self._bytes) < count:
            self._bytes = None
            self._bytes = torch.empty(count, dtype=torch.uint8)
        return self._bytes[:count]


class _EncodedPiece:
    """A piece that is decoded: rows by themselves where its encoding can do that, else it is held whole."""

    def __init__(self, checkpoint: Checkpoint, piece: Piece, note: Callable[[int], None]) -> None:
        self._checkpoint, self.piece, self._note = checkpoint, piece, note
        self.height, self.width = _matrix(piece.shape)
        self.by_rows = read_by_rows(piece)
        self._whole: torch.Tensor | None = None

    def block(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        """See `_Side.block`."""
        if not self.by_rows:
            if self._whole is None:
                self._whole = self._decoded(self.piece)
            return self._whole[rows[0] : rows[1], columns[0] : columns[1]]
        step = max(1, PART_VALUES // max(1, self.width))
        if rows[1] - rows[0] <= step:
            return self._rows(rows[0], rows[1])[:, columns[0] : columns[1]]
        block = torch.empty((rows[1] - rows[0], columns[1] - columns[0]), dtype=torch.float32)
        for start in range(rows[0], rows[1], step):
            stop = min(rows[1], start + step)
            block[start - rows[0] : stop - rows[0]] = self._rows(start, stop)[:, columns[0] : columns[1]]
        return block

    def broken_part(self) -> StoredTensor:
        """See `EncodedWeight.broken_part`; reads the piece whole."""
        encoded = self.encoded(self.piece)
        return encoded.broken_part() or encoded.view.parts[0]

    def _rows(self, start: int, stop: int) -> torch.Tensor:
        return self._decoded(piece_of(self.piece.source, start, stop))

    def _decoded(self, piece: Piece) -> torch.Tensor:
        return self.encoded(piece).decoded().reshape(_matrix(piece.shape))

    def encoded(self, piece: Piece) -> EncodedWeight:
        """Read a piece, or some rows of it, as it is stored."""
        encoded = read_encoded(self._checkpoint, WeightView("", piece.shape, (piece,)))
        self._note(encoded.view.stored_bytes)
        return encoded

    def free(self) -> None:
        self._whole = None


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) of a tensor as a matrix; one number is a row of one."""
    columns = math.prod(shape[1:])
    return (shape[0] if shape else 1), columns
