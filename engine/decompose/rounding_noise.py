"""What storage rounding may have changed of a weight: measured beside the subtraction, from the steps of its numbers.

A number that was rounded to a grid with the distance u between its points carries an error whose variance is u^2 / 12.
The sum over all numbers needs their exponents alone. Where a change is small beside u the errors depend on it, as a
number that stays as it was has lost its change: what `engine.decompose.noise_model` needs to tell that is taken from a
sample of the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch

from engine.steps import check

SAMPLE = 1 << 17
"""Numbers of a weight that are looked at one by one; of a larger one every so-manieth."""
_CHUNK = 1 << 18  # values that stay in a core's cache
_MASKS = {torch.bfloat16: 0x7F80, torch.float16: 0x7C00}  # the exponents of two-byte floats


class Grids(Enum):
    """How the original's numbers lie to the grid of the fine-tuned side; see `engine.checkpoints.rounding.grid_of`."""

    SHARED = "shared"
    """The original's numbers are points of it: a change below half a step is lost."""
    FREE = "free"
    """They lie anywhere between its points: errors do not depend on the change."""
    BOTH = "both"
    """They were rounded to it before the subtraction: both numbers carry an error, and nothing is lost on average."""


def ulp_of(values: torch.Tensor) -> torch.Tensor:
    """The distance between neighbouring numbers of a floating dtype at each number, in the same shape, float32.

    Of subnormal numbers and of 0 it is the smallest one; of doubles that of the float they are read as.
    """
    stored = values.to(torch.float32) if values.dtype == torch.float64 else values
    info = torch.finfo(stored.dtype)
    exponents = stored.to(torch.float32, copy=True).view(torch.int32).bitwise_and_(0x7F800000)
    return exponents.view(torch.float32).mul_(info.eps).clamp_(min=info.smallest_normal * info.eps)


class StepSource(Protocol):
    """Gives the steps of a side's numbers where they do not follow from a dtype, see `engine.checkpoints.steps`."""

    def values(self, start: int, stop: int) -> torch.Tensor:
        """Of numbers `start` to `stop` in the order of the weight, (stop - start,), float32."""


@dataclass(frozen=True)
class RoundingSums:
    """What was measured of the rounding of both sides of a weight, over the part that both have.

    Attributes:
        shape: rows and columns of that part.
        squares: sum of the squared steps of the fine-tuned side's numbers.
        base_squares: of the original's own, as an estimate from the sample.
        grids: how they lie to each other.
        stride: how far apart the numbers of the sample are, in the order of the weight.
        steps: of the fine-tuned side's numbers there, (n,) float32.
        changes: the differences there, (n,) float32.
    """

    shape: tuple[int, int]
    squares: float
    base_squares: float
    grids: Grids
    stride: int
    steps: np.ndarray[Any, np.dtype[np.float32]]
    changes: np.ndarray[Any, np.dtype[np.float32]]

    @cached_property
    def places(self) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]:
        """The rows and the columns where the numbers of the sample stand, (n,) each."""
        found = np.divmod(np.arange(len(self.steps), dtype=np.int64) * self.stride, max(1, self.shape[1]))
        return found[0], found[1]


class RoundingMeter:
    """Takes the numbers of both sides in the order of the weight, in parts of any length."""

    def __init__(self, shape: tuple[int, int], grids: Grids, *, finer: float = 1.0) -> None:
        """Nothing is measured yet.

        Args:
            shape: rows and columns of what both sides have.
            grids: how they lie to each other.
            finer: by what the original's own steps were smaller before it was rounded, at most 1.
        """
        self._shape, self._grids, self._finer = shape, grids, finer
        self._stride = _stride(shape)
        self._sums: list[torch.Tensor] = []
        self._picked: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def add(
        self,
        start: int,
        tuned: torch.Tensor,
        base: torch.Tensor,
        steps: torch.Tensor | None = None,
        base_steps: torch.Tensor | None = None,
    ) -> None:
        """The next numbers.

        Args:
            start: how many were before them.
            tuned: of the fine-tuned side, (n,), any floating dtype.
            base: of the original.
            steps: of the fine-tuned side's numbers, where they do not follow from its dtype.
            base_steps: of the original's likewise.
        """
        every = slice(-start % self._stride, None, self._stride)
        ours, theirs = tuned[every], base[every]
        if len(ours):
            own = ulp_of(ours) if steps is None else steps[every]
            other = ulp_of(theirs) if base_steps is None else base_steps[every]
            self._picked.append((own, other, ours.to(torch.float32) - theirs.to(torch.float32)))
        if self._stride > 1:
            for first in range(0, len(tuned), _CHUNK):
                part = slice(first, first + _CHUNK)
                squares = _squares(tuned[part]) if steps is None else _dot(steps[part])
                if squares is not None:
                    self._sums.append(squares)

    def sums(self) -> RoundingSums:
        """All that was measured, on the host."""
        picked = zip(*self._picked, strict=True) if self._picked else ((torch.empty(0),),) * 3
        steps, base_steps, changes = (torch.cat(list(parts)).cpu().numpy() for parts in picked)
        scale = self._shape[0] * self._shape[1] / max(1, len(steps))
        found = torch.stack(self._sums).cpu().to(torch.float64).sum().item() if self._sums else None
        return RoundingSums(
            shape=self._shape,
            squares=scale * _total(steps) if found is None else found,
            base_squares=scale * _total(base_steps) * self._finer**2,
            grids=self._grids,
            stride=self._stride,
            steps=steps,
            changes=changes,
        )


def common_shape(tuned: torch.Tensor, base: torch.Tensor) -> tuple[int, int]:
    """Rows and columns of what two sides both have, as a matrix."""
    rows = min(len(side) if side.dim() else 1 for side in (tuned, base))
    return rows, math.prod(map(min, tuned.shape[1:], base.shape[1:]))


def measure_rounding(
    tuned: torch.Tensor,
    base: torch.Tensor,
    meter: RoundingMeter,
    steps: tuple[StepSource | None, StepSource | None] = (None, None),
) -> RoundingSums:
    """Measure two sides that are held, of the same number of dimensions, over the part that both have.

    Args:
        tuned: the fine-tuned side, any floating dtype and device.
        base: the original.
        meter: for the `common_shape` of both.
        steps: of both sides, each in its own whole shape; None where they follow from the dtype.
    """
    widths = [math.prod(side.shape[1:]) for side in (tuned, base)]
    whole = tuned.shape == base.shape
    shape = common_shape(tuned, base)
    if whole:
        flat = [side.reshape(-1) for side in (tuned, base)]
        for start in range(0, len(flat[0]), _CHECKED):
            check()
            stop = min(len(flat[0]), start + _CHECKED)
            own, other = (None if source is None else source.values(start, stop) for source in steps)
            meter.add(start, flat[0][start:stop], flat[1][start:stop], own, other)
        return meter.sums()
    several = max(1, _CHECKED // max(1, *widths))
    common = tuple(slice(0, size) for size in map(min, tuned.shape[1:], base.shape[1:]))
    for first in range(0, shape[0], several):
        check()
        last = min(shape[0], first + several)
        parts = [side[(slice(first, last), *common)].reshape(-1) for side in (tuned, base)]
        given = [
            None
            if source is None
            else source.values(first * width, last * width)
            .view(last - first, *side.shape[1:])[(slice(None), *common)]
            .reshape(-1)
            for source, width, side in zip(steps, widths, (tuned, base), strict=True)
        ]
        meter.add(first * shape[1], *parts, *given)
    return meter.sums()


_CHECKED = 1 << 20  # values after which it is asked whether the work is to stop


def _stride(shape: tuple[int, int]) -> int:
    """How far apart the numbers of the sample are: no common factor with the columns, so that all of them have some."""
    count, columns = shape[0] * shape[1], shape[1]
    stride = max(1, count // SAMPLE)
    while math.gcd(stride, max(1, columns)) > 1:
        stride += 1
    return stride


def _squares(stored: torch.Tensor) -> torch.Tensor | None:
    """Sum of the squared steps of numbers in a dtype, without dimensions; None where a sample says it well enough."""
    if stored.dtype in (torch.float32, torch.float64):  # a millionth of any change that is looked for
        return None
    mask = _MASKS.get(stored.dtype)
    if mask is None:
        return _dot(ulp_of(stored))
    info = torch.finfo(stored.dtype)
    powers = torch.bitwise_and(stored.view(torch.int16), mask).view(stored.dtype).to(torch.float32)
    if stored.dtype == torch.float16:
        powers.clamp_(min=info.smallest_normal)
    return _dot(powers) * info.eps**2


def _dot(steps: torch.Tensor) -> torch.Tensor:
    return torch.dot(steps, steps)


def _total(steps: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    return float(np.square(steps, dtype=np.float64).sum())
