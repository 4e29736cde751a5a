"""From a checkpoint's bytes to torch tensors: what is stored is read, and decoded where it is to be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import torch

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.dtypes import DTYPES
from engine.checkpoints.encodings import encoding_of
from engine.checkpoints.stored import Piece, StoredTensor, WeightSource, WeightView, part_offsets
from engine.devices.buffer_pool import HostBuffer
from engine.devices.device import is_out_of_memory
from engine.devices.process_memory import prefer_large_pages
from engine.errors import EngineError, ErrorCode

prefer_large_pages()  # here, where every run's first tensors are made


class _Decoder(Protocol):
    """A module that `Encoding.decoder` names."""

    def decode(self, source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor: ...


@dataclass(frozen=True)
class EncodedWeight:
    """A weight as it is stored, in memory: the tensors of its parts, not yet decoded.

    Attributes:
        view: what it is.
        parts: in the order of `WeightView.parts`, all on one device.
        path: what stands for its model, for errors.
    """

    view: WeightView
    parts: tuple[torch.Tensor, ...]
    path: Path

    @property
    def nbytes(self) -> int:
        """Memory of its parts."""
        return sum(part.numel() * part.element_size() for part in self.parts)

    def mapped(self, change: Callable[[torch.Tensor], torch.Tensor]) -> EncodedWeight:
        """The same with every part changed, such as copied to a device."""
        return replace(self, parts=tuple(map(change, self.parts)))

    def decoded(self) -> torch.Tensor:
        """The numbers, in the view's shape, on the parts' device; the stored tensor itself where it holds them.

        Raises:
            EngineError: ``decoding_failed``, with the encoding, the stored tensor and the file.
        """
        pieces = [self._decoded(piece, parts) for piece, parts in self.by_piece()]
        return (pieces[0] if len(pieces) == 1 else _joined(pieces)).reshape(self.view.shape)

    def by_piece(self) -> Iterator[tuple[Piece, tuple[torch.Tensor, ...]]]:
        """Each piece of the view with the parts of its source."""
        start = 0
        for piece in self.view.pieces:
            stop = start + len(piece.source.parts)
            yield piece, self.parts[start:stop]
            start = stop

    def _decoded(self, piece: Piece, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        try:
            values = decode(piece.source, parts)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            if is_out_of_memory(error) or isinstance(error, NotImplementedError):  # the device lacks it
                raise
            encoding = encoding_of(piece.source).title_of(piece.source)
            data = {"encoding": encoding, "reason": str(error)}
            raise EngineError(ErrorCode.DECODING_FAILED, file=self.path, tensor=piece.source.name, **data) from error
        return of_piece(piece, values)

    def broken_part(self) -> StoredTensor | None:
        """A stored tensor that makes a number of the weight NaN or infinite; None where all are finite."""
        parts = list(zip(self.view.parts, self.parts, strict=True))
        for piece in self.view.pieces:
            own = parts[: len(piece.source.parts)]
            del parts[: len(own)]
            if bool(torch.isfinite(self._decoded(piece, [tensor for _, tensor in own]).to(torch.float32)).all()):
                continue
            floats = ((part, tensor) for part, tensor in own if tensor.is_floating_point())
            return next(
                (part for part, tensor in floats if not bool(torch.isfinite(tensor.to(torch.float32)).all())), own[0][0]
            )
        return None


def of_piece(piece: Piece, values: torch.Tensor) -> torch.Tensor:
    """Of what there is for each number of a piece's source, what belongs to the piece, in its shape."""
    if piece.rows is not None:
        values = values[piece.rows[0] : piece.rows[1]]
    if piece.single:
        values = values[0]
    return values.T.contiguous() if piece.transposed else values


def parts_within(some: WeightSource, whole: WeightSource, parts: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The parts of some rows of a source, out of the memory of those of the whole."""
    found = zip(some.parts, whole.parts, parts, strict=True)
    return tuple(_part_within(part, stored, tensor) for part, stored, tensor in found)


def _part_within(part: StoredTensor, whole: StoredTensor, tensor: torch.Tensor) -> torch.Tensor:
    if part.nbytes == whole.nbytes:
        return tensor
    start = part.offset - whole.offset
    raw = tensor.reshape(-1).view(torch.uint8)[start : start + part.nbytes]
    numbers = raw.view(tensor.dtype)
    return numbers.reshape(part.shape) if tensor.shape == whole.shape else numbers  # bytes of a type torch lacks


def torch_dtype(dtype: str) -> torch.dtype | None:
    """The torch dtype of a dtype of the files; None where torch has none, or its values are smaller than a byte."""
    info = DTYPES.get(dtype)
    found = getattr(torch, info.torch_name, None) if info is not None and info.bits >= 8 else None
    return cast("torch.dtype | None", found)


def decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The numbers of a weight, see `Encoding.decoder`."""
    decoder = cast(_Decoder, import_module(encoding_of(source).decoder))
    return decoder.decode(source, parts)


def read_stored(checkpoint: Checkpoint, part: StoredTensor, memory: torch.Tensor | None = None) -> torch.Tensor:
    """Read what is stored into host memory.

    Args:
        checkpoint: the model.
        part: of it.
        memory: (part.nbytes,) uint8; None takes new memory.

    Returns:
        In the dtype and shape of the file; (nbytes,) uint8 where torch has no such dtype.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    raw = torch.empty(part.nbytes, dtype=torch.uint8) if memory is None else memory
    checkpoint.read_into(part, raw.numpy().data)
    dtype = torch_dtype(part.dtype)
    return raw if dtype is None else raw.view(dtype).reshape(part.shape)


def read_encoded(checkpoint: Checkpoint, view: WeightView, buffer: HostBuffer | None = None) -> EncodedWeight:
    """Read all parts of a weight into host memory, as they are stored.

    Args:
        checkpoint: the model.
        view: the weight.
        buffer: memory to read into; the tensors are valid until it is given back. None takes new memory.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    size, parts = view.buffer_bytes, view.parts
    memory = torch.empty(size, dtype=torch.uint8) if buffer is None else buffer.take(size)
    places = zip(parts, part_offsets(parts), strict=True)
    read = tuple(read_stored(checkpoint, part, memory[start : start + part.nbytes]) for part, start in places)
    return EncodedWeight(view, read, checkpoint.path)


def read_view(checkpoint: Checkpoint, view: WeightView) -> torch.Tensor:
    """Read and decode a weight on the host: in the view's shape, in the dtype that its encoding gives.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    return read_encoded(checkpoint, view).decoded()


def _joined(pieces: list[torch.Tensor]) -> torch.Tensor:
    """Pieces along the first dimension; in float32 where their dtypes differ."""
    if len({piece.dtype for piece in pieces}) > 1:
        pieces = [piece.to(torch.float32) for piece in pieces]
    return torch.cat(pieces)
