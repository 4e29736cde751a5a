"""The difference of two weights, always in float32, whatever the files store."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from engine.decompose.noise_model import NoiseModel
from engine.decompose.workspace import CHUNK_BYTES
from engine.devices.buffer_pool import HostBuffer
from engine.steps import check

_CHUNK = 1 << 18  # elements that stay in a core's cache between the steps done on them
_CHECKED = 1 << 23  # elements after which it is asked whether the work is to stop
SAFE_SQUARES = 1e-25, 1e30  # sums of squares between these lost nothing to float32's range


@dataclass(frozen=True)
class Delta:
    """A difference and what was measured on the way.

    Attributes:
        values: float32, in the shape of the original.
        energy: squared Frobenius norm; not finite where a value is not.
        original_energy: the original's.
        grown_energy: squared norm of what the fine-tuned side has beyond the shape of the original, against zero.
        noise: what of it is rounding; None where that was not measured.
        noise_cut: the largest singular value that rounding alone may give it; None where no noise was drawn.
    """

    values: torch.Tensor
    energy: float
    original_energy: float
    grown_energy: float = 0.0
    noise: NoiseModel | None = None
    noise_cut: float | None = None


def subtract(tuned: torch.Tensor, base: torch.Tensor, memory: HostBuffer | None = None) -> Delta:
    """float32(tuned) - float32(base), in the shape of `base`, on their device, with its norm.

    Beside the result it takes one piece of `CHUNK_BYTES`. Where the shapes differ, as those of a resized vocabulary or
    of a first layer with more inputs, the common part is subtracted: what the original has beyond it has a zero delta,
    and what the fine-tuned side has beyond it has no place and is measured alone.

    Args:
        tuned: the fine-tuned side, any floating dtype.
        base: the original, any floating dtype.
        memory: host memory for the result; it is valid until that is given back. None takes new memory.
    """
    count = base.numel()
    if memory is None:
        flat = torch.empty(count, dtype=torch.float32, device=base.device)
    else:
        flat = memory.take(4 * count).view(torch.float32)
    if tuned.shape != base.shape:
        return _subtract_common(tuned, base, flat)
    pair = tuned.contiguous().view(-1), base.contiguous().view(-1)
    measured = subtract_in_cache(*pair, flat) if base.device.type == "cpu" else None
    if measured is None:
        width = base.shape[-1] if base.dim() else 1
        ours, theirs = (side.view(-1, width) for side in pair)
        measured = _subtract_in_rows(ours, theirs, flat.view(-1, width))
    values = flat.view(base.shape)
    low, high = SAFE_SQUARES
    total, original = measured
    if not low < total < high:
        total = energy(values)
    if not low < original < high:
        original = energy(base.to(torch.float32))
    return Delta(values, total, original)


def subtract_in_cache(
    tuned: torch.Tensor, base: torch.Tensor, flat: torch.Tensor, total: float = 0.0, original: float = 0.0
) -> tuple[float, float]:
    """On a processor: all steps on one piece before the next, so that memory is read and written once.

    Args:
        tuned: the fine-tuned side, (n,).
        base: the original, (n,).
        flat: takes the difference, (n,) float32.
        total: squared norm of the difference before these values, which its own is added to.
        original: the same of the original.

    Returns:
        Both sums.
    """
    for start in range(0, len(flat), _CHUNK):
        if start % _CHECKED == 0:
            check()
        piece = flat[start : start + _CHUNK]
        piece.copy_(tuned[start : start + _CHUNK])
        other = base[start : start + _CHUNK].to(torch.float32)
        original += float(torch.dot(other, other))
        piece.sub_(other)
        total += float(torch.dot(piece, piece))
    return total, original


class SquaresInCache:
    """The sum of squares that `subtract_in_cache` finds, of values that come in parts of any length."""

    def __init__(self) -> None:
        self._sum, self._waiting = 0.0, 0
        self._piece = torch.empty(_CHUNK, dtype=torch.float32)

    def add(self, values: torch.Tensor) -> None:
        """The next values, (n,) float32."""
        start = 0
        while start < len(values):
            count = min(len(values) - start, _CHUNK - self._waiting)
            self._piece[self._waiting : self._waiting + count] = values[start : start + count]
            self._waiting, start = self._waiting + count, start + count
            if self._waiting == _CHUNK:
                self._settle()

    def total(self) -> float:
        """The sum of all of them."""
        self._settle()
        return self._sum

    def _settle(self) -> None:
        piece = self._piece[: self._waiting]
        self._sum += float(torch.dot(piece, piece))
        self._waiting = 0


def _subtract_in_rows(tuned: torch.Tensor, base: torch.Tensor, values: torch.Tensor) -> tuple[float, float]:
    """On an accelerator: large pieces, and one wait for each."""
    step = max(1, CHUNK_BYTES // (4 * max(1, int(base.shape[1]))))
    original = 0.0
    for start in range(0, len(base), step):
        rows = slice(start, start + step)
        check()
        other = base[rows].to(torch.float32)
        original += energy(other)
        values[rows].copy_(tuned[rows]).sub_(other)
    return energy(values), original


def _subtract_common(tuned: torch.Tensor, base: torch.Tensor, flat: torch.Tensor) -> Delta:
    """Where the shapes differ, in one or both of the first two dimensions."""
    values = flat.view(base.shape).zero_()
    rows, *inner = (slice(0, min(sizes)) for sizes in zip(tuned.shape, base.shape, strict=True))
    values[(rows, *inner)].copy_(tuned[(rows, *inner)])
    step = max(1, CHUNK_BYTES // (4 * max(1, base[0].numel())))
    original = 0.0
    for start in range(0, len(base), step):
        check()
        other = base[start : start + step].to(torch.float32)
        original += _energy_by_rows(other.reshape(len(other), -1))
        common = slice(0, max(0, rows.stop - start)), *inner
        values[(slice(start, min(rows.stop, start + step)), *inner)].sub_(other[common])
    total = _energy_by_rows(values.view(len(values), -1))
    matrix, common_columns = tuned.reshape(len(tuned), -1), math.prod(part.stop for part in inner)
    parts = grown_parts((len(tuned), matrix.shape[1]), (rows.stop, common_columns), step)
    grown = energy_of_parts(matrix[part].to(torch.float32) for part in parts)
    return Delta(values, total, original, grown)


def _energy_by_rows(rows: torch.Tensor) -> float:
    """The same as `energy`, summed by rows also where there is one column."""
    total = total_of_rows(row_energies(rows))
    low, high = SAFE_SQUARES
    return total if low < total < high or math.isnan(total) else energy(rows)


def grown_parts(shape: tuple[int, int], common: tuple[int, int], step: int) -> Iterator[tuple[slice, slice]]:
    """The parts of a matrix outside of its first rows and columns, at most `step` rows at a time."""
    (rows, columns), (inside, breadth) = shape, common
    for start in range(0, inside, step) if breadth < columns else ():
        yield slice(start, min(inside, start + step)), slice(breadth, columns)
    for start in range(inside, rows, step):
        yield slice(start, min(rows, start + step)), slice(0, columns)


def energy_of_parts(parts: Iterable[torch.Tensor]) -> float:
    """Squared norm of several matrices together, in float64 on the host."""
    squares = [torch.linalg.vector_norm(part.cpu(), dim=1, dtype=torch.float64).square() for part in parts]
    return float(torch.cat(squares).sum()) if squares else 0.0


def energy(tensor: torch.Tensor) -> float:
    """Squared Frobenius norm of a float32 tensor, to about 1e-7: float32 along rows, float64 over them."""
    if tensor.numel() == 0:
        return 0.0
    rows = tensor.T if tensor.dim() == 2 and tensor.T.is_contiguous() else tensor
    rows = rows if rows.dim() == 2 else rows.reshape(1, -1)
    total = total_of_rows(row_energies(rows))
    low, high = SAFE_SQUARES
    if low < total < high or math.isnan(total):
        return total
    return float(torch.linalg.vector_norm(rows.cpu(), dtype=torch.float64)) ** 2


def row_energies(rows: torch.Tensor) -> torch.Tensor:
    """Squared norm of each row, float64 on the host, of norms in float32."""
    norms: torch.Tensor = torch.linalg.vector_norm(rows, dim=1)
    return norms.cpu().to(torch.float64).square()


def total_of_rows(squares: torch.Tensor) -> float:
    """Their sum."""
    return float(squares.sum())
