"""The largest singular value that rounding alone may give a difference: of noise drawn for the layer, times a margin.

Weights are uneven, so the edge of even noise, sigma (sqrt m + sqrt n), says too little: rows of large numbers have
large steps. So noise is drawn with the very steps of the layer, and its largest singular value is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from engine.decompose.workspace import CUT_BLOCK, CUT_ROUNDS, CUT_VALUES
from engine.steps import check

Steps = Callable[[int, int], torch.Tensor]
_DIGITS = 4  # significant ones: no matter in what order sums were added up
_MARGIN, _FEW = 1.05, 2.5


def margin(effective: float) -> float:
    """What the largest value of one drawing is multiplied by, so that rounding itself stays below.

    Largest values of two drawings differ by a share that falls with the size to the power 2 / 3. Measured on rows and
    columns spread over 1 : 30 and on even ones, so that at most 1 layer in 100 exceeds it, see `docs/benchmarks.md`.

    Args:
        effective: how many rows, or columns where those are fewer, hold the noise: (sum of energies)^2 / sum of their
            squares.
    """
    return _MARGIN + _FEW * math.pow(max(effective, 1.0), -2.0 / 3.0)


def noise_cut(shape: tuple[int, int], steps: Steps, *, seed: int, both: bool, hold: bool) -> float:
    """The largest singular value of drawn noise times its margin.

    Noise is drawn on the host, for some rows at a time from a seed of their own: the same on every device and however
    much of it is held.

    Args:
        shape: rows and columns of what both sides have.
        steps: gives the steps of some rows, (rows, columns) float32, on the device to work on.
        seed: of the layer.
        both: both sides were rounded to these steps, so that each entry has two errors.
        hold: keep the noise, 4 bytes a value; else it is drawn and `steps` asked again in every round.
    """
    rows, columns = shape
    if not rows or not columns:
        return 0.0
    height = max(1, CUT_VALUES // columns)
    held: dict[int, torch.Tensor] = {}
    sums = _Energies(columns)

    def part(start: int) -> torch.Tensor:
        if start in held:
            return held[start]
        check()
        found = _draw(steps(start, min(rows, start + height)), seed, start, both=both)
        sums.add(start, found)
        if hold:
            held[start] = found
        return found

    def applied(block: torch.Tensor) -> torch.Tensor:
        """The noise's transpose times the noise times the block."""
        total = torch.zeros_like(block)
        for start in range(0, rows, height):
            some = part(start)
            total += some.T @ (some @ block)
        return total

    device, width = part(0).device, min(CUT_BLOCK, columns)
    block = torch.randn(columns, width, generator=torch.Generator().manual_seed(seed)).to(device)
    basis: list[torch.Tensor] = []
    images: list[torch.Tensor] = []
    for _ in range(CUT_ROUNDS):
        for _ in range(2):
            for earlier in basis:
                block = block - earlier @ (earlier.T @ block)
            block = torch.linalg.qr(block)[0]
        image = applied(block)
        basis.append(block)
        images.append(image)
        if (len(basis) + 1) * width > columns:
            break
        size = float(torch.linalg.vector_norm(image))
        if not size > 0.0 or not math.isfinite(size):
            break
        block = image / size
    left, right = torch.cat(basis, 1), torch.cat(images, 1)
    small = (left.T @ right).cpu().to(torch.float64)
    if not bool(torch.isfinite(small).all()):
        return 0.0
    largest = math.sqrt(max(0.0, float(torch.linalg.eigvalsh((small + small.T) / 2.0)[-1])))
    return float(f"{largest * margin(sums.effective):.{_DIGITS}g}")


class _Energies:
    """The energies of rows and columns of the noise, each part counted once."""

    def __init__(self, columns: int) -> None:
        self._columns = torch.zeros(columns, dtype=torch.float64)
        self._rows: dict[int, torch.Tensor] = {}

    def add(self, start: int, part: torch.Tensor) -> None:
        """Some rows, (n, columns)."""
        if start in self._rows:
            return
        squares = part.square()
        self._rows[start] = squares.sum(1).cpu().to(torch.float64)
        self._columns += squares.sum(0).cpu().to(torch.float64)

    @property
    def effective(self) -> float:
        """Of rows and columns the smaller number that the noise is spread over."""
        rows = torch.cat(list(self._rows.values()))
        return min(_spread_over(rows), _spread_over(self._columns))


def _spread_over(energies: torch.Tensor) -> float:
    squares = float(energies.square().sum())
    return float(energies.sum()) ** 2 / squares if squares > 0.0 else 1.0


def _draw(steps: torch.Tensor, seed: int, start: int, *, both: bool) -> torch.Tensor:
    generator = torch.Generator().manual_seed((seed + 0x9E3779B97F4A7C15 * (start + 1)) % (1 << 63))
    errors = torch.rand(steps.shape, generator=generator)
    errors -= torch.rand(steps.shape, generator=generator) if both else 0.5
    return errors.to(steps.device) * steps
