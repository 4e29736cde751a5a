"""The energy of rounding errors where changes are small beside the steps of the numbers, from how many steps they made.

A number whose change was less than half a step stays as it was, and the change is its error: one that is smaller than
what a uniform error would be, and opposed to the change. How large such changes were is seen on numbers of other
exponents: the changes of numbers of one order are drawn from a mixture of normal distributions, whose weights are those
that make the counts of steps the likeliest over all exponents (the nonparametric maximum likelihood, by expectation
maximisation).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from engine.decompose.rounding_noise import Grids, RoundingSums

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

_FINE = 8  # points of the tables in an octave
_LOW, _HIGH = -10, 8  # octaves of a change's scale in steps that the tables cover
_EDGES = np.array([0.5, 1.5, 2.5, 4.5, 8.5, 16.5, 32.5])  # steps where the counts are divided
_CELLS = len(_EDGES) + 1
_CELL_OF = np.searchsorted(_EDGES, np.arange(34))  # by whole steps
_TOPS = np.array([0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
_FOLLOWS = (0.0, 0.5, 1.0)  # how far a change's scale follows the size of its number
_FIRST, _THEN = 12, 60  # rounds of the expectation maximisation, to choose and to settle
_PACE = 1.8  # beyond 1 it settles faster; it goes on uphill up to about 2
_FEW_UNCHANGED = 0.01  # below this share errors are as good as uniform
_SMALL_SHARE = 0.005  # of the difference: errors that no closer look would change by a thousandth of it
_CLASSES = 8  # octaves by which the scales of rows and columns are told apart


@dataclass(frozen=True)
class NoiseEstimate:
    """Rounding errors e of a stored difference d + e, d the real change.

    Attributes:
        energy: |e|^2.
        cross: the inner product of d and e; negative where small changes are lost.
        energy_error, cross_error: how far these may be off.
        slope: what is left of a change in the mean, where it is kept in proportion; 1 where none is lost.
        apart: the energy of that part of e that has nothing to do with d.
        energy_both, cross_both, slope_both, apart_both: the same with the errors of the original's own rounding.
    """

    energy: float
    cross: float
    energy_error: float
    cross_error: float
    slope: float
    apart: float
    energy_both: float
    cross_both: float
    slope_both: float
    apart_both: float

    def document(self) -> dict[str, float]:
        """The figures by name, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class NoiseModel:
    """An estimate, and how the errors are spread.

    Attributes:
        estimate: of the whole.
        rows, columns: the energy in each as a share, each with the mean 1, (m,) and (n,).
    """

    estimate: NoiseEstimate
    rows: Floats
    columns: Floats


@dataclass(frozen=True)
class _Tables:
    """Of a normal change by its scale in steps: the chances of each cell, and mean e^2 and d e in squared steps."""

    chances: Floats
    energy: Floats
    cross: Floats

    def at(self, octaves: Floats) -> tuple[Floats, Floats, Floats]:
        """For scales of 2^octaves steps."""
        place = np.clip((octaves - _LOW) * _FINE, 0.0, (_HIGH - _LOW) * _FINE - 1e-9)
        below = place.astype(np.int64)
        part = place - below
        first, second, third = (
            table[..., below] * (1.0 - part) + table[..., below + 1] * part
            for table in (self.chances, self.energy, self.cross)
        )
        return first, second, third


def model_noise(sums: RoundingSums) -> NoiseModel | None:
    """Estimate the rounding errors of a weight from what was measured of them; None where that is not finite."""
    if not (math.isfinite(sums.squares + sums.base_squares) and bool(np.isfinite(sums.changes).all())):
        return None
    plain, own = sums.squares / 12, sums.base_squares / 12
    steps = sums.steps.astype(np.float64)
    weights = np.square(steps)
    if sums.grids is Grids.FREE or not _hides_changes(weights, sums.changes):
        both = {Grids.SHARED: plain + own, Grids.FREE: plain + own, Grids.BOTH: 2.0 * plain + own}[sums.grids]
        energy = 2.0 * plain if sums.grids is Grids.BOTH else plain
        doubt = _doubt(weights, sums.shape)
        estimate = NoiseEstimate(energy, 0.0, doubt * energy, 0.5 * doubt * energy, 1.0, energy, both, 0.0, 1.0, both)
        return NoiseModel(estimate, *_spread(sums, weights))
    counts = _Counts(sums, steps)
    found = counts.fitted(_tables(sums.grids is Grids.BOTH))
    scale = sums.squares / max(float(weights.sum()), 1e-300)
    other, more = found, own
    if sums.grids is Grids.SHARED and 0.5 * plain <= own <= 2.0 * plain:
        other, more = counts.fitted(_tables(both=True)), 0.0
    estimate = NoiseEstimate(
        energy=scale * found.energy,
        cross=scale * found.cross,
        energy_error=scale * found.energy_error,
        cross_error=scale * found.cross_error,
        slope=found.slope,
        apart=scale * found.apart,
        energy_both=scale * other.energy + more,
        cross_both=scale * other.cross,
        slope_both=other.slope,
        apart_both=scale * other.apart + more,
    )
    return NoiseModel(estimate, *_spread(sums, found.each))


def _hides_changes(weights: Floats, changes: Any) -> bool:
    """Whether enough numbers stayed as they were, and errors are large enough beside the changes, for a closer look.

    Args:
        weights: squared steps, (n,).
        changes: stored differences, (n,).
    """
    if float(np.mean(changes == 0.0)) <= _FEW_UNCHANGED if len(weights) else True:
        return False
    return float(weights.mean()) / 12 > _SMALL_SHARE * float(np.square(changes, dtype=np.float64).mean())


def _doubt(weights: Floats, shape: tuple[int, int]) -> float:
    """How far a sum of squared errors may be off its mean, as a share."""
    if not len(weights):
        return 0.0
    count = max(1, shape[0] * shape[1])
    spread = float(np.square(weights).mean()) / max(float(weights.mean()) ** 2, 1e-300)
    return 3.0 * math.sqrt(0.8 * spread / count) + 0.01


def _spread(sums: RoundingSums, each: Floats) -> tuple[Floats, Floats]:
    """The share of rows and columns in the energy, of the sample's numbers."""
    found: list[Floats] = []
    for places, count in zip(sums.places, sums.shape, strict=True):
        energy = np.bincount(places, each, minlength=count)
        number = np.maximum(np.bincount(places, minlength=count), 1)
        mean = energy / number
        average = float(mean.mean()) if count else 0.0
        found.append(mean / average if average > 0.0 else np.ones(count))
    return found[0], found[1]


@dataclass(frozen=True)
class _Fitted:
    """Sums over the sample; `each` is the energy of a number's error that has nothing of its change in it."""

    energy: float
    cross: float
    energy_error: float
    cross_error: float
    slope: float
    apart: float
    each: Floats


class _Counts:
    """How many numbers of each order and exponent changed by how many steps."""

    def __init__(self, sums: RoundingSums, steps: Floats) -> None:
        exact = np.log2(np.maximum(sums.steps, np.float32(1e-37))).astype(np.float64)
        octaves = np.rint(exact).astype(np.int64)
        _, exponents = _numbered(octaves)
        number = np.bincount(exponents)
        self._present = np.bincount(exponents, exact) / number  # steps with scales are no powers of 2
        moved = np.abs(sums.changes) / np.maximum(sums.steps, np.float32(1e-37))
        cells = _CELL_OF[np.minimum(np.rint(moved), np.float32(len(_CELL_OF) - 1)).astype(np.int64)]
        place, wide = exponents * _CELLS + cells, len(self._present) * _CELLS
        by_steps, by_changes = _orders(sums, np.square(steps)), _orders(sums, np.square(sums.changes, dtype=np.float64))
        classes, self._classes = _numbered(by_steps * _CLASSES + by_changes)
        self._coarse = _numbered(classes // _CLASSES)[1]
        self._place = self._classes * wide + place
        self._counts = np.bincount(self._place, minlength=len(classes) * wide).astype(np.float64)
        self._counts = self._counts.reshape(len(classes), len(self._present), _CELLS)
        self._coarse_counts = np.zeros((int(self._coarse.max()) + 1, len(self._present), _CELLS))
        np.add.at(self._coarse_counts, self._coarse, self._counts)
        self._squares, self._steps = np.bincount(exponents, np.square(steps)) / number, steps
        self._known: float | None = None

    def fitted(self, tables: _Tables) -> _Fitted:
        """The likeliest mixture and what it says.

        One for each order of steps tells the energies, as it sees changes of all sizes. From there one for each class
        of rows and columns tells what is lost where.
        """
        choice = _FOLLOWS if self._known is None else (self._known,)
        tried = [self._mixture(tables, self._coarse_counts, follows, _FIRST) for follows in choice]
        _, self._known, weights = max(tried, key=lambda item: item[0])
        _, follows, weights = self._mixture(tables, self._coarse_counts, self._known, _THEN, weights)
        octaves = self._octaves(follows)
        chances, energy, cross = tables.at(octaves)
        own = np.square(2.0 ** np.clip(octaves, -40.0, 60.0))
        hidden = np.where(octaves < -1.5, energy, 0.0)
        errors, product, change, unseen = (
            float(self._means(self._coarse_counts, table, weights).sum()) for table in (energy, cross, own, hidden)
        )
        total, same = float(self._counts.sum()), float(self._counts[:, :, 0].sum())
        error = (0.05 + 2.0 / math.sqrt(max(1.0, total - same))) * errors + 0.35 * unseen
        drawn = 3.0 * math.sqrt(errors * change / total)
        _, _, weights = self._mixture(tables, self._counts, follows, _FIRST, weights[self._coarse])
        parts = [self._means(self._counts, table, weights) for table in (energy, cross, own)]
        changes = np.maximum(parts[2], 1e-300)
        slopes = np.maximum(1.0 + parts[1] / changes, 0.0)
        kept = float((slopes * changes).sum())
        # Of each number's error the part that is no multiple of its change.
        alone = np.maximum(energy - np.square(cross) / np.maximum(own, 1e-300), 0.0)
        likely, expected = (_over_scales(table, weights) for table in (chances, chances * alone))
        each = expected / np.maximum(likely, 1e-300)
        return _Fitted(
            energy=errors,
            cross=product,
            energy_error=error,
            cross_error=error + drawn,
            slope=float((np.square(slopes) * changes).sum()) / kept if kept > 0.0 else 1.0,
            apart=float(np.maximum(parts[0] - np.square(parts[1]) / changes, 0.0).sum()),
            each=each.reshape(-1)[self._place] * np.square(self._steps),
        )

    def _means(self, counts: Floats, table: Floats, weights: Floats) -> Floats:
        """The sum of a table over the numbers of each class."""
        found: Floats = (((counts.sum(axis=2) * self._squares) @ table) * weights).sum(axis=1)
        return found

    def _octaves(self, follows: float) -> Floats:
        """Scales of changes in steps as octaves, (exponents, scales)."""
        present, counts = self._present.astype(np.float64), self._counts.sum(axis=0)
        middle = float((counts.sum(axis=1) * present).sum() / counts.sum())
        moved = present - follows * (present - middle)
        tops = np.log2(np.maximum(((counts > 0) * _TOPS).max(axis=1), 0.25))
        lowest, highest = float(moved.min()) - 5.0, float((moved + tops).max()) + 1.0
        scales = np.arange(lowest, highest + 0.5, 0.5)
        octaves: Floats = scales[None, :] - moved[:, None]
        return octaves

    def _mixture(
        self, tables: _Tables, counted: Floats, follows: float, rounds: int, weights: Floats | None = None
    ) -> tuple[float, float, Floats]:
        """Log-likelihood, `follows`, and the weights of the scales in each class, (classes, scales)."""
        chances = tables.at(self._octaves(follows))[0]
        counts = counted.reshape(len(counted), -1)
        seen = counts.sum(axis=0) > 0
        table = np.maximum(chances.transpose(1, 0, 2).reshape(-1, chances.shape[2])[seen], 1e-300)
        counts, turned = counts[:, seen], np.ascontiguousarray(table.T)
        number = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
        if weights is None:
            weights = np.full((len(counts), table.shape[1]), 1.0 / table.shape[1])
        for _ in range(rounds):
            weights = weights * np.power((counts / np.maximum(weights @ turned, 1e-300)) @ table / number, _PACE)
            weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
        likelihood = float((counts * np.log(np.maximum(weights @ turned, 1e-300))).sum())
        return likelihood, follows, weights


def _over_scales(table: Floats, weights: Floats) -> Floats:
    """The sum over scales of (cells, exponents, scales) times (classes, scales): (classes, exponents, cells)."""
    cells, exponents, scales = table.shape
    found: Floats = (weights @ table.reshape(-1, scales).T).reshape(len(weights), cells, exponents).transpose(0, 2, 1)
    return found


def _numbered(keys: Integers) -> tuple[Integers, Integers]:
    """The different keys in their order, and the place of each key among them; without sorting, as they lie close."""
    lowest = int(keys.min())
    found = np.flatnonzero(np.bincount(keys - lowest))
    places = np.zeros(int(found[-1]) + 1, np.int64)
    places[found] = np.arange(len(found))
    return found + lowest, places[keys - lowest]


def _orders(sums: RoundingSums, energies: Floats) -> Integers:
    """The order of each number by what its row and its column have of some energy, in octaves from the largest down."""
    rows, columns = _spread(sums, energies)
    own_rows, own_columns = sums.places
    lowest = 2.0 ** (-4 * _CLASSES)
    of_rows, of_columns = (0.5 * np.log2(np.maximum(side, lowest)) for side in (rows, columns))
    octaves = np.rint(of_rows[own_rows] + of_columns[own_columns]).astype(np.int64)
    found: Integers = np.minimum(octaves.max() - octaves, _CLASSES - 1)
    return found


@cache
def _tables(both: bool) -> _Tables:
    """The tables of numbers on the fine-tuned side's grid, or of two that were both rounded to it."""
    scales = 2.0 ** (np.arange(_LOW * _FINE, _HIGH * _FINE + 1) / _FINE)
    beyond = _beyond_both if both else _beyond
    tails = np.stack(
        [np.ones_like(scales), *(beyond(int(edge + 0.5), scales) for edge in _EDGES), np.zeros_like(scales)]
    )
    own = np.square(scales)
    energy = np.full_like(scales, 1.0 / 6 if both else 1.0 / 12)
    cross = np.zeros_like(scales)
    for index in np.flatnonzero(scales <= 4.0):
        count = np.arange(1, int(12 * scales[index]) + 3)
        at = np.full(len(count), scales[index])
        square = float(((2 * count - 1) * beyond(count, at)).sum())
        if both:
            energy[index] = square - own[index]
        else:
            density = np.exp(-np.square((count - 0.5) / at) / 2) / math.sqrt(2 * math.pi)
            product = float(2 * scales[index] * density.sum())
            energy[index], cross[index] = square - 2 * product + own[index], product - own[index]
    return _Tables(-np.diff(tails, axis=0), energy, cross)


def _beyond(count: Any, scales: Floats) -> Floats:
    """The chance that a change of a scale makes at least so many steps."""
    return _twice_upper((count - 0.5) / scales)


def _beyond_both(count: Any, scales: Floats) -> Floats:
    """The same where both numbers are rounded to the grid, wherever they lie on it."""
    return _mean_beyond(count - 1.0, scales) - _mean_beyond(count - 0.0, scales)


def _mean_beyond(edge: Any, scales: Floats) -> Floats:
    """The mean of what a change exceeds an edge by, 0 where it does not."""
    ratio = edge / scales
    density = np.exp(-np.square(ratio) / 2) / math.sqrt(2 * math.pi)
    found: Floats = 2 * scales * density - edge * _twice_upper(ratio)
    return found


def _twice_upper(ratio: Any) -> Floats:
    """The chance that a standard normal number is larger than this, either way."""
    found: Floats = torch.erfc(torch.from_numpy(np.asarray(ratio, np.float64) / math.sqrt(2))).numpy()
    return found
