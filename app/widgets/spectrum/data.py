"""What a layer's singular values say: how much each rank keeps, and what the values that were not computed can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from engine.results import LayerResult

Numbers = NDArray[np.float64]
SMALLEST = 1e-9  # of the largest value; what lies below is drawn there on a logarithmic scale
TAIL_SHOWN = 1.8  # how far to show the unknown tail, in values that are known
RANKS_SHOWN = 8  # how far to show known values, in ranks
FEWEST_SHOWN = 64


class Measure(str, Enum):
    """What is drawn over the index of the singular values."""

    VALUES = "values"
    LOG = "log"
    KEPT = "kept"


@dataclass(frozen=True)
class Spectrum:
    """The singular values of one layer's delta.

    Attributes:
        name: the layer's canonical name.
        values: those computed, largest first, ``(known,) float64``.
        rank: how many of them the file stores.
        full: how many there are, computed or not.
        energy: |delta|^2, the sum of the squares of all of them.
        kept: share of the change in the file, as it will be loaded.
    """

    name: str
    values: Numbers
    rank: int
    full: int
    energy: float
    kept: float

    @property
    def known(self) -> int:
        """How many values were computed."""
        return len(self.values)


def spectrum_of(row: LayerResult) -> Spectrum | None:
    """The spectrum of a layer; None where it has none, as a stored difference."""
    if row.rank is None or not row.singular_values or len(row.shape) < 2:
        return None
    values = np.array(row.singular_values, dtype=np.float64)
    full = max(len(values), min(row.shape[0], math.prod(row.shape[1:])))
    energy = max(row.delta_energy, float(values @ values))
    return Spectrum(row.name, values, row.rank, full, energy, row.energy_retained)


def kept_by_rank(spectrum: Spectrum) -> Numbers:
    """Share of the energy in the first 0, 1, ... known values, ``(known + 1,)``, before clamping and rounding."""
    sums = np.concatenate(([0.0], np.cumsum(spectrum.values**2)))
    return np.minimum(1.0, sums / spectrum.energy) if spectrum.energy > 0.0 else np.ones_like(sums)


def largest_tail(spectrum: Spectrum, ranks: Numbers) -> Numbers:
    """The largest that each unknown value can be; `ranks` are beyond the known ones.

    Values fall, so none is above the last known one; and the values up to a rank are each at least as large as the
    one there, while their squares add up to no more than the energy that is left.
    """
    left = max(0.0, spectrum.energy - float(spectrum.values @ spectrum.values))
    beyond = np.maximum(ranks - spectrum.known, 1.0)
    largest: Numbers = np.minimum(spectrum.values[-1], np.sqrt(left / beyond))
    return largest


def most_kept(spectrum: Spectrum, ranks: Numbers) -> Numbers:
    """The most that a rank beyond the known values can keep; the least is what the known ones keep."""
    if spectrum.energy <= 0.0:
        return np.ones_like(ranks)
    each = float(spectrum.values[-1]) ** 2 / spectrum.energy
    most: Numbers = np.minimum(1.0, kept_by_rank(spectrum)[-1] + (ranks - spectrum.known) * each)
    return most


def last_rank_shown(spectra: Sequence[Spectrum]) -> int:
    """Where the plot ends: with the unknown tail begun if there is one, and not so far that the cut is at the edge."""
    ends = []
    for spectrum in spectra:
        wanted = max(round(spectrum.known * TAIL_SHOWN), spectrum.known + 4) if len(spectra) == 1 else spectrum.known
        ends.append(min(spectrum.full, wanted, max(RANKS_SHOWN * spectrum.rank, FEWEST_SHOWN)))
    return max(ends)


def curve(spectrum: Spectrum, measure: Measure, *, unit: float) -> tuple[Numbers, Numbers]:
    """Ranks and heights of the known values; shares begin at rank 0, values at 1, and `unit` divides the latter.

    A single value is drawn from 0 to 1: one point would be nothing to see.
    """
    if measure is Measure.KEPT:
        return np.arange(spectrum.known + 1, dtype=np.float64), kept_by_rank(spectrum)
    if spectrum.known == 1:
        ranks, values = np.array([0.0, 1.0]), np.repeat(spectrum.values, 2)
    else:
        ranks, values = np.arange(1.0, spectrum.known + 1), spectrum.values
    heights = values / unit
    return ranks, logarithm(heights, float(heights[0])) if measure is Measure.LOG else heights


def logarithm(heights: Numbers, largest: float) -> Numbers:
    """Decimal logarithms; nothing below a billionth of the largest, and zeros where all values are zero."""
    if largest <= 0.0:
        return np.zeros_like(heights)
    return np.log10(np.maximum(heights, largest * SMALLEST))


def distinct_names(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """What dotted names share at their beginning, and what is left of each; at least one part is left."""
    parts = [name.split(".") for name in names]
    shared = 0
    shortest = min(map(len, parts), default=0)
    while len(parts) > 1 and shared < shortest - 1 and len({tuple(part[: shared + 1]) for part in parts}) == 1:
        shared += 1
    return ".".join(parts[0][:shared]) if parts else "", tuple(".".join(part[shared:]) for part in parts)
