"""The numbers of the change map's cells, and the scale of their colours. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float64]
LEAST_SPAN = 0.1  # of a scale of shares, so that negligible differences do not look large
_FEW = 3  # per cent of the cells may lie beyond an end of a scale


def combined_change(cells: NDArray[np.intp], size: int, energy: Iterable[float], change: Iterable[float]) -> Cells:
    """Relative change of each cell: |delta| / |original| over its layers together.

    Args:
        cells: the cell of each layer.
        size: how many cells there are.
        energy: |delta|^2 of each layer.
        change: |delta| / |original| of each layer; infinite where the original is zero.

    Returns:
        ``(size,) float64``; NaN in cells without layers.
    """
    squared, relative = np.asarray(energy, dtype=float), np.asarray(change, dtype=float)
    known = np.isfinite(relative) & (relative > 0)
    original = np.divide(squared, relative**2, out=np.zeros_like(squared), where=known)
    deltas = np.bincount(cells, squared, size)
    originals = np.bincount(cells, original, size)
    with np.errstate(divide="ignore", invalid="ignore"):
        together = np.where(deltas > 0, np.sqrt(deltas / originals), 0.0)
    return np.where(np.bincount(cells, minlength=size) > 0, together, np.nan)


def combined_kept(cells: NDArray[np.intp], size: int, energy: Iterable[float], kept: Iterable[float]) -> Cells:
    """Share of the change that each cell keeps: the mean over its layers, weighted by |delta|^2.

    Arguments and result are as those of `combined_change`.
    """
    weights, shares = np.asarray(energy, dtype=float), np.asarray(kept, dtype=float)
    sums = np.bincount(cells, weights, size)
    with np.errstate(divide="ignore", invalid="ignore"):
        together = np.where(sums > 0, np.bincount(cells, weights * shares, size) / sums, 1.0)
    return np.where(np.bincount(cells, minlength=size) > 0, together, np.nan)


@dataclass(frozen=True)
class Scale:
    """The numbers at the two ends of the colours.

    Attributes:
        low, high: the numbers.
        below, above: whether there are values beyond that end, which get its colour.
    """

    low: float
    high: float
    below: bool = False
    above: bool = False

    def place(self, values: Cells) -> Cells:
        """Where values lie between the ends, from 0 to 1; beyond them at an end, NaN where there is none."""
        width = self.high - self.low
        if width <= 0:
            return np.where(np.isnan(values), np.nan, np.where(values > self.high, 1.0, 0.0))
        return np.clip((values - self.low) / width, 0.0, 1.0)


def change_scale(values: Cells) -> Scale:
    """From no change to the largest one but for a few, which would leave the others without contrast."""
    finite = values[np.isfinite(values)]
    high = float(np.percentile(finite, 100 - _FEW)) if finite.size else 0.0
    return Scale(0.0, high, above=bool(np.any(values > high)))


def kept_scale(values: Cells) -> Scale:
    """All shares but a few at either end, and at least `LEAST_SPAN` of them."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Scale(1.0 - LEAST_SPAN, 1.0)
    low, high = (float(end) for end in np.percentile(finite, (_FEW, 100 - _FEW)))
    if high - low < LEAST_SPAN:
        high = min(1.0, max(LEAST_SPAN, (low + high + LEAST_SPAN) / 2))
        low = high - LEAST_SPAN
    return Scale(low, high, bool(finite.min() < low), bool(finite.max() > high))
