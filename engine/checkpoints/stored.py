"""A weight as a recipe over stored pieces: what lies in which file, and what is to be made of it. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.checkpoints.dtypes import DTYPES

RAW = "raw"
"""Key of the encoding whose stored tensors are the numbers themselves."""
_ALIGNMENT = 64  # bytes; of the parts of a weight that are read into one buffer


@dataclass(frozen=True)
class Strided:
    """How numbers that lie in another order are walked: sizes, and how many numbers lie between neighbours in each."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class StoredTensor:
    """Bytes that lie in a file, as the container describes them.

    Attributes:
        name: as the container calls it.
        dtype: a key of `DTYPES`, or what the container calls a type that is not among them.
        shape: as the container says it.
        nbytes: its size in the file.
        file: index into `Checkpoint.files`.
        offset: of its first byte from the beginning of that file.
        view: where its numbers are those of a tensor in another order, which tensor; `shape` is then how many they are.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    file: int = 0
    offset: int = 0
    view: Strided | None = None

    def rows(self, start: int, stop: int) -> StoredTensor:
        """Entries `start` to `stop` along the first dimension, which lie together in the file."""
        line = self.nbytes // self.shape[0] if self.shape[0] else 0
        shape = (stop - start, *self.shape[1:])
        return replace(self, shape=shape, nbytes=(stop - start) * line, offset=self.offset + start * line)

    def piece(self, start: int, count: int) -> StoredTensor:
        """Bytes `start` to `start + count` of it, as (count,) uint8."""
        if not 0 <= start <= self.nbytes - count:
            raise ValueError(f"{self.name}: bytes {start} to {start + count} of {self.nbytes}")
        return replace(self, dtype="U8", shape=(count,), nbytes=count, offset=self.offset + start)


@dataclass(frozen=True)
class WeightSource:
    """A weight as numbers, not yet read: stored tensors, and the encoding that makes numbers of them.

    Attributes:
        name: in the file.
        shape: of the numbers.
        dtype: of the numbers, a key of `DTYPES`.
        encoding: key of the encoding, see `engine.checkpoints.encodings`.
        parts: what is stored, in the order in which the encoding's `decode` takes it.
        parameters: what else the encoding needs to know, JSON values.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    encoding: str
    parts: tuple[StoredTensor, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_weight(self) -> bool:
        """Whether its numbers are real floats that can be subtracted."""
        return DTYPES[self.dtype].is_weight

    @property
    def stored_dtype(self) -> str:
        """The dtype of what is stored: of its first part."""
        return self.parts[0].dtype

    @property
    def value_bytes(self) -> int:
        """Size of its numbers in their dtype."""
        return self.numel * DTYPES[self.dtype].bits // 8


@dataclass(frozen=True)
class Piece:
    """A weight of a file, or a part of one, as it goes into a `WeightView`.

    Attributes:
        source: what is read; already limited to the rows that are wanted where its encoding can do that.
        rows: first row and the one after the last that are taken of the decoded source; None takes all.
        transposed: the file stores (in, out) where the view is (out, in).
        single: only one row is taken, and it is the piece without the first dimension: one of a stack of matrices.
    """

    source: WeightSource
    rows: tuple[int, int] | None = None
    transposed: bool = False
    single: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the piece in the view."""
        shape = self.source.shape
        if self.rows is not None:
            shape = (self.rows[1] - self.rows[0], *shape[1:])
        if self.single:
            shape = shape[1:]
        return shape[::-1] if self.transposed else shape

    @property
    def value_bytes(self) -> int:
        """Size of its numbers in their dtype."""
        return math.prod(self.shape) * DTYPES[self.source.dtype].bits // 8


@dataclass(frozen=True)
class WeightView:
    """One weight under its canonical name: pieces of a checkpoint joined along the first dimension.

    Attributes:
        component: ``denoiser``, ``text_encoders``, ``vae`` or ``other``.
        shape: of the whole.
        pieces: at least one.
        layout: key of the layout whose names the file has, see `engine.models.layouts`.
        expert: its number where the file holds it in one tensor with the matrices of other experts, `source.name`.
    """

    component: str
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]
    layout: str = "native"
    expert: int | None = None

    @classmethod
    def of(cls, source: WeightSource, component: str, *, layout: str = "native") -> WeightView:
        """A whole weight of a file, as it is."""
        return cls(component, source.shape, (Piece(source),), layout)

    @property
    def source(self) -> WeightSource:
        """The first piece's source: where messages speak of one tensor of a file."""
        return self.pieces[0].source

    @property
    def parts(self) -> tuple[StoredTensor, ...]:
        """Everything that is read, piece by piece."""
        return tuple(part for piece in self.pieces for part in piece.source.parts)

    @property
    def is_weight(self) -> bool:
        """Whether all its numbers are real floats."""
        return all(piece.source.is_weight for piece in self.pieces)

    @property
    def plain(self) -> bool:
        """Whether its bytes are its numbers, in its order: one piece as it is stored."""
        return len(self.pieces) == 1 and not self.pieces[0].transposed and self.source.encoding == RAW

    @property
    def encodings(self) -> tuple[str, ...]:
        """Keys of the encodings of its pieces, each once."""
        return tuple(dict.fromkeys(piece.source.encoding for piece in self.pieces))

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """What its encodings need to know beside the stored tensors, piece by piece, where they need anything."""
        return [dict(piece.source.parameters) for piece in self.pieces if piece.source.parameters]

    @property
    def stored_bytes(self) -> int:
        """Bytes that are read for it."""
        return sum(part.nbytes for part in self.parts)

    @property
    def value_bytes(self) -> int:
        """Size of its numbers, in the dtype that its encodings give; float32 where those of its pieces differ."""
        dtypes = {piece.source.dtype for piece in self.pieces}
        return math.prod(self.shape) * (DTYPES[dtypes.pop()].bits if len(dtypes) == 1 else 32) // 8

    @property
    def buffer_bytes(self) -> int:
        """Size of a buffer for all its parts, each of them aligned."""
        parts = self.parts
        return part_offsets(parts)[-1] + parts[-1].nbytes


def part_offsets(parts: tuple[StoredTensor, ...]) -> list[int]:
    """Where each of several parts begins in one buffer."""
    offsets, end = [], 0
    for part in parts:
        offsets.append(-(-end // _ALIGNMENT) * _ALIGNMENT)
        end = offsets[-1] + part.nbytes
    return offsets
