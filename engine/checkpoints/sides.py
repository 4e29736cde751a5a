"""One side of a weight left in its file: rows and columns are read and decoded when they are wanted.

What is read lies in memory that is used again; pieces whose rows cannot be decoded by themselves are held whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.encodings import has_own_steps, piece_of, read_by_rows, step_sizes
from engine.checkpoints.encodings.raw_round import cast
from engine.checkpoints.rounded import one_dtype, rounded_piece
from engine.checkpoints.steps import steps_of_piece
from engine.checkpoints.stored import RAW, Piece, StoredTensor, WeightView
from engine.checkpoints.tensors import EncodedWeight, read_encoded, torch_dtype
from engine.steps import check

_Block = tuple[tuple[int, int], tuple[int, int], torch.Tensor]  # rows, columns, and what was read there last


class Side:
    """One side of a weight, read in parts into memory that is used again. For one thread.

    Attributes:
        view: the weight as its model has it.
    """

    def __init__(self, checkpoint: Checkpoint, view: WeightView, note: Callable[[int], None], part: int) -> None:
        """Nothing is read yet.

        Args:
            checkpoint: the model.
            view: of it.
            note: told the bytes of every read.
            part: values that are decoded at once: whole rows, at least one.
        """
        self.view, self.part = view, part
        self._pieces = [
            _RawPiece(checkpoint, piece, note)
            if piece.source.encoding == RAW
            else _EncodedPiece(checkpoint, piece, note, part)
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

    def steps(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor | None:
        """The steps of the same part, see `engine.checkpoints.steps`, float32; None where it has none of its own.

        Where that part was the last one to be read, and no larger than what is decoded at once, it is not read again.
        """
        if not has_own_steps(self.view):
            return None
        parts = [piece.steps((start, stop), columns) for piece, (start, stop), _ in self.pieces_within(rows)]
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
            step = max(1, self.part // max(1, piece.width))
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


class RoundedSide:
    """A side whose numbers are rounded as the other one is stored, see `engine.checkpoints.rounded`."""

    def __init__(self, side: Side, like: Side) -> None:
        self._side, self._like = side, like
        self._dtype = one_dtype(like.view)
        self._mixed = len({piece.source.dtype for piece in side.view.pieces}) > 1  # and float32 where it is held
        self._whole: dict[int, torch.Tensor] = {}
        self._last: _Block | None = None

    @property
    def plain(self) -> bool:
        """See `Side.plain`."""
        return self._side.plain and self._dtype is not None

    def values(self, start: int, stop: int) -> torch.Tensor:
        """See `Side.values`."""
        assert self._dtype is not None, "the side is plain"
        return cast(self._side.values(start, stop), self._dtype)

    def block(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        """See `Side.block`."""
        if self._dtype is not None:
            return cast(self._side.block(rows, columns), self._dtype)
        self._last = None
        parts = [self._part(*found, columns) for found in self._like.pieces_within(rows)]
        self._last = rows, columns, parts[0] if len(parts) == 1 else torch.cat(parts)
        return self._last[2]

    def steps(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor | None:
        """Its own, before it was rounded; None where it has as few as the other side, see `steps_of_sides`."""
        if has_own_steps(self._side.view) or not has_own_steps(self._like.view):
            return self._side.steps(rows, columns)
        dtype, found = torch_dtype(self._side.view.source.dtype), self._last
        numbers = found[2] if found is not None and found[:2] == (rows, columns) else self.block(rows, columns)
        return None if dtype is None else step_sizes.of_floats(numbers.to(dtype))

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
        step = max(1, self._like.part // max(1, piece.width))
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
        self._last = None


AnySide = Side | RoundedSide
"""A side as it is subtracted."""


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
        self.height, self.width = as_matrix(piece.shape)
        self._bytes: torch.Tensor | None = None
        self._last: _Block | None = None  # in those bytes

    def values(self, start: int, stop: int) -> torch.Tensor:
        """Values in the order of the file, (stop - start,)."""
        raw = self._memory((stop - start) * self._item)
        self._read(start * self._item, raw)
        return raw.view(self.dtype)

    def block(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        """See `Side.block`."""
        part = self._of_file(columns, rows).T if self._transposed else self._of_file(rows, columns)
        self._last = rows, columns, part
        return part

    def steps(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        """See `Side.steps`."""
        found = self._last
        part = found[2] if found is not None and found[:2] == (rows, columns) else self.block(rows, columns)
        return step_sizes.of_floats(part)

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
        self._bytes = self._last = None

    def _memory(self, count: int) -> torch.Tensor:
        self._last = None
        if self._bytes is None or len(self._bytes) < count:
            self._bytes = None
            self._bytes = torch.empty(count, dtype=torch.uint8)
        return self._bytes[:count]


class _EncodedPiece:
    """A piece that is decoded: rows by themselves where its encoding can do that, else it is held whole."""

    def __init__(self, checkpoint: Checkpoint, piece: Piece, note: Callable[[int], None], part: int) -> None:
        self._checkpoint, self.piece, self._note, self._part = checkpoint, piece, note, part
        self.height, self.width = as_matrix(piece.shape)
        self.by_rows = read_by_rows(piece)
        self._whole: torch.Tensor | None = None
        self._whole_steps: torch.Tensor | None = None
        self._last: tuple[tuple[int, int], EncodedWeight] | None = None  # rows, and what was read for them

    def block(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        """See `Side.block`."""
        if not self.by_rows:
            if self._whole is None:
                self._whole = self._decoded(0, self.height)
            return self._whole[rows[0] : rows[1], columns[0] : columns[1]]
        step = max(1, self._part // max(1, self.width))
        if rows[1] - rows[0] <= step:
            return self._decoded(*rows)[:, columns[0] : columns[1]]
        block = torch.empty((rows[1] - rows[0], columns[1] - columns[0]), dtype=torch.float32)
        for start in range(rows[0], rows[1], step):
            stop = min(rows[1], start + step)
            block[start - rows[0] : stop - rows[0]] = self._decoded(start, stop)[:, columns[0] : columns[1]]
        return block

    def steps(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        """See `Side.steps`."""
        if self.by_rows:
            return self._steps(*rows)[:, columns[0] : columns[1]]
        if self._whole_steps is None:
            self._whole_steps = self._steps(0, self.height)
            self._last = None
        return self._whole_steps[rows[0] : rows[1], columns[0] : columns[1]]

    def broken_part(self) -> StoredTensor:
        """See `EncodedWeight.broken_part`; reads the piece whole."""
        encoded = self.encoded(self.piece)
        return encoded.broken_part() or encoded.view.parts[0]

    def _decoded(self, start: int, stop: int) -> torch.Tensor:
        return self._stored(start, stop).decoded().reshape(stop - start, self.width)

    def _steps(self, start: int, stop: int) -> torch.Tensor:
        ((piece, parts),) = self._stored(start, stop).by_piece()
        return steps_of_piece(piece, parts).reshape(stop - start, self.width)

    def _stored(self, start: int, stop: int) -> EncodedWeight:
        """Rows as they are stored, kept until others are wanted."""
        if self._last is None or self._last[0] != (start, stop):
            self._last = None  # before others are read
            whole = not self.by_rows
            self._last = (start, stop), self.encoded(self.piece if whole else piece_of(self.piece.source, start, stop))
        return self._last[1]

    def encoded(self, piece: Piece) -> EncodedWeight:
        """Read a piece, or some rows of it, as it is stored."""
        encoded = read_encoded(self._checkpoint, WeightView("", piece.shape, (piece,)))
        self._note(encoded.view.stored_bytes)
        return encoded

    def free(self) -> None:
        self._whole = self._whole_steps = self._last = None


def as_matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) of a tensor as a matrix; one number is a row of one."""
    columns = math.prod(shape[1:])
    return (shape[0] if shape else 1), columns
