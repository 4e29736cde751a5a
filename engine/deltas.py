"""The difference of two weights, always in float32, whatever the files store."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from engine.checkpoints import Checkpoint
from engine.naming import TensorView
from engine.pairing import PairedWeight
from engine.tensors import HostBuffer, read_tensor

_CHUNK = 1 << 18  # elements that stay in a core's cache between the steps done on them
_SAFE_SQUARES = 1e-25, 1e30  # sums of squares between these lost nothing to float32's range


@dataclass(frozen=True)
class Delta:
    """A difference and what was measured on the way.

    Attributes:
        values: float32, in the shape of the original.
        energy: squared Frobenius norm; not finite where a value is not.
        original_energy: the original's.
    """

    values: torch.Tensor
    energy: float
    original_energy: float


class PairBuffers:
    """Host memory for one pair of weights and their difference, used again for the next pair."""

    def __init__(self) -> None:
        self.tuned, self.base, self.delta = HostBuffer(), HostBuffer(), HostBuffer()

    def shrink(self, most: int) -> None:
        """Give back what is larger than so many bytes, so that a single huge weight is not paid for to the end."""
        for buffer in (self.tuned, self.base, self.delta):
            buffer.shrink(most)

    def kept(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor, or a copy where it lies in these buffers and would not outlive their next use."""
        return tensor.clone() if any(buffer.holds(tensor) for buffer in (self.tuned, self.base, self.delta)) else tensor


def read_pair(
    finetuned: Checkpoint, original: Checkpoint, weight: PairedWeight, buffers: PairBuffers | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Read both sides of a weight into host memory, each in its file's dtype.

    Returns:
        Fine-tuned and original, in the shapes of their views; valid until `buffers` are used again.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    tuned, base = (buffers.tuned, buffers.base) if buffers else (None, None)
    return read_view(finetuned, weight.finetuned, tuned), read_view(original, weight.original, base)


def subtract(tuned: torch.Tensor, base: torch.Tensor, buffer: HostBuffer | None = None) -> Delta:
    """float32(tuned) - float32(base), in the shape of `base`, on their device, with its norm.

    Where a vocabulary was resized the two differ in their number of rows: the common rows are subtracted,
    further rows of the original have a zero delta, further rows of the fine-tuned side have no place.

    Args:
        tuned: the fine-tuned side, any floating dtype.
        base: the original, any floating dtype.
        buffer: host memory for the result, valid until it is taken again. None takes new memory.
    """
    if tuned.shape != base.shape:
        rows = min(tuned.shape[0], base.shape[0])
        padded = base.to(torch.float32, copy=True)
        padded[:rows] = tuned[:rows].to(torch.float32)
        tuned = padded
    if base.device.type != "cpu" or not (tuned.is_contiguous() and base.is_contiguous()):
        plain = base.to(torch.float32)
        values = tuned.to(torch.float32) - plain
        return Delta(values, energy(values), energy(plain))
    return _subtract_in_cache(tuned, base, buffer)


def _subtract_in_cache(tuned: torch.Tensor, base: torch.Tensor, buffer: HostBuffer | None) -> Delta:
    """All steps on one piece before the next: memory is read and written once."""
    count = base.numel()
    raw = torch.empty(4 * count, dtype=torch.uint8) if buffer is None else buffer.take(4 * count)
    flat = raw.view(torch.float32)
    ours, theirs = tuned.view(-1), base.view(-1)
    total = original = 0.0
    for start in range(0, count, _CHUNK):
        piece = flat[start : start + _CHUNK]
        piece.copy_(ours[start : start + _CHUNK])
        other = theirs[start : start + _CHUNK].to(torch.float32)
        original += float(torch.dot(other, other))
        piece.sub_(other)
        total += float(torch.dot(piece, piece))
    values = flat.view(base.shape)
    low, high = _SAFE_SQUARES
    if not low < total < high:
        total = energy(values)
    if not low < original < high:
        original = energy(base.to(torch.float32))
    return Delta(values, total, original)


def energy(tensor: torch.Tensor) -> float:
    """Squared Frobenius norm of a float32 tensor, to about 1e-7: float32 along rows, float64 over them."""
    if tensor.numel() == 0:
        return 0.0
    rows = tensor.T if tensor.dim() == 2 and tensor.T.is_contiguous() else tensor
    rows = rows if rows.dim() == 2 else rows.reshape(1, -1)
    total = float(torch.linalg.vector_norm(rows, dim=1).cpu().to(torch.float64).square().sum())
    low, high = _SAFE_SQUARES
    if low < total < high or math.isnan(total):
        return total
    return float(torch.linalg.vector_norm(rows.cpu(), dtype=torch.float64)) ** 2


def read_view(checkpoint: Checkpoint, view: TensorView, buffer: HostBuffer | None = None) -> torch.Tensor:
    """Read a tensor, or the part of one that the view is, in the file's dtype and the view's shape."""
    tensor = read_tensor(checkpoint, view.info.name, buffer)
    if view.rows is not None:
        tensor = tensor[view.rows[0] : view.rows[1]]
    return tensor.T.contiguous() if view.transposed else tensor
