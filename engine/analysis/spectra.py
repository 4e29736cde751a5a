"""The leading singular values of all layers of a run, asked together; what is unknown of each tail as bounds.

The tail of a layer is unknown, but not boundless: its energy is what is left of |delta|^2, it is spread over as many
values as the shape has, and none of them is larger than the last one known. Every question costs the number of layers
times the logarithm of the number of values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.decompose.rank_rules import FLOAT32_EPSILON, RankPolicy
from engine.planning.costs import matrix_shape
from engine.results import LayerResult

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_ROUNDING = 1e-9  # of a count that was divided


class KnownSpectra:
    """Singular values of the layers with factors; every array has an entry per layer.

    Attributes:
        short: the most singular values that a layer can have.
        known: how many of them are known.
        energy: |delta|^2.
    """

    def __init__(self, rows: Sequence[LayerResult]) -> None:
        """Add up the values of each layer; `rows` must all have a rank."""
        self._rows = rows
        shapes = [matrix_shape(row.shape) for row in rows]
        self.short, self._long = ints(map(min, shapes)), ints(map(max, shapes))
        self.known = ints(len(row.singular_values) for row in rows)
        self.energy = floats(row.delta_energy for row in rows)
        self._cuts = floats(row.noise_cut or 0.0 for row in rows)
        # Layer after layer in one array, with one entry more than there are values.
        self._start = np.concatenate([[0], np.cumsum(self.known + 1)]).astype(np.int64)[:-1]
        self._values = np.concatenate([np.zeros(0), *((*row.singular_values, 0.0) for row in rows)])
        # Added up layer by layer, so that a threshold is met at the very same rank as in `rank_rules`.
        self._squares = _running_sums(np.square(row.singular_values) for row in rows)
        last = self._values[self._start + np.maximum(self.known - 1, 0)]
        self._last = np.where(self.known > 0, last, np.inf)
        self._tail = self.short - self.known
        self._rest = np.maximum(self.energy - self._squares[self._start + self.known], 0.0)

    def known_energy(self, ranks: Ints) -> Floats:
        """Sum of the squares of so many values of each layer, at most of those known."""
        return self._squares[self._start + np.minimum(ranks, self.known)]

    def energy_bounds(self, ranks: Ints, offset: Floats) -> tuple[Floats, Floats]:
        """Least and most energy in so many leading values.

        Args:
            ranks: how many.
            offset: what a decomposition keeps beyond its own values' squares; nearly nothing.
        """
        more = np.maximum(ranks - self.known, 0)
        kept = self.known_energy(ranks) + offset
        rest = np.where(more > 0, np.maximum(self.energy - kept, 0.0), 0.0)
        fair = rest * (
            more / np.maximum(self._tail, 1)
        )  # the largest of the tail hold no less than their number's share
        reach = np.multiply(more, self._last**2, out=np.zeros(len(more)), where=more > 0)
        return kept + fair, kept + np.maximum(np.minimum(rest, reach), fair)

    def reached(self, goal: Floats) -> Floats:
        """Upper bound of the energy at the first rank that reaches a goal beyond the known values."""
        highest: Floats = goal + self._last**2
        return highest

    def wanted(self, policy: RankPolicy, cap: Ints) -> tuple[Ints, Ints, Ints]:
        """What a rule counts in each layer, neither capped nor raised to 1.

        Args:
            policy: the rule, any but ``full``.
            cap: its cap for each layer.

        Returns:
            The count among the known values alone, as `RankPolicy.choose` finds it; the smallest count and the
            largest one that the unknown values allow, both equal to it where they do not matter.
        """
        p = policy.adaptive_param
        if policy.lora_type == "standard":
            return cap, cap, cap
        if policy.lora_type == "adaptive_noise":
            return self._above(self._cuts)
        if policy.lora_type == "adaptive_ratio":
            return self._wanted_ratio(p)
        if p >= 1.0:
            return self.short, self.short, self.short
        if policy.lora_type == "adaptive_quantile":
            return self._wanted_quantile(p, cap)
        if policy.lora_type == "adaptive_fro":
            counted = 1 + self._leading(lambda at: self._squares[self._start + at + 1] / self.energy < p * p)
        else:
            goal = p * self.energy
            counted = 1 + self._leading(lambda at: self._squares[self._start + at + 1] < goal)
        with np.errstate(divide="ignore", invalid="ignore"):
            lacking = policy.energy_wanted(1.0) * self.energy - self._squares[self._start + self.known]
            fewest = np.ceil(lacking / self._last**2 - _ROUNDING)
            most = np.ceil(lacking * self._tail / self._rest + _ROUNDING)
        return self._bounded(counted, np.maximum(fewest, 1.0), most, counted > self.known)

    def _wanted_ratio(self, p: float) -> tuple[Ints, Ints, Ints]:
        """The unknown values above the limit are as few as the last one known, or as many as the energy allows."""
        return self._above((self._long * FLOAT32_EPSILON if p == 0.0 else p) * self._values[self._start])

    def _above(self, limit: Floats) -> tuple[Ints, Ints, Ints]:
        """How many values of each layer are larger than a limit of its own."""
        counted = self._leading(lambda at: self._values[self._start + at] > limit)
        with np.errstate(divide="ignore", invalid="ignore"):
            fewest = np.ceil((self._rest - self._tail * limit**2) / (self._last**2 - limit**2) - _ROUNDING)
            most = np.floor(self._rest / limit**2 + _ROUNDING)
        return self._bounded(counted, np.nan_to_num(fewest, nan=0.0), most, counted >= self.known)

    def _wanted_quantile(self, p: float, cap: Ints) -> tuple[Ints, Ints, Ints]:
        """The sum over the unknown tail lies between what few large and what many equal values would give."""
        sums, start, unknown = self._sums, self._start, self._tail > 0
        total = sums[start + self.known]
        few = np.divide(self._rest, self._last, out=np.zeros(len(total)), where=unknown & (self._last > 0.0))
        smallest = p * (total + few)
        largest = p * (total + np.sqrt(self._rest * self._tail))
        counted, least, most = (
            self._leading(lambda at, goal=goal: sums[start + at + 1] < goal)  # type: ignore[misc]
            for goal in (p * total, smallest, largest)
        )
        return counted, least, np.where((most >= self.known) & unknown, np.maximum(self.known, cap), most)

    def _bounded(
        self, counted: Ints, fewest: Floats, most: Floats, beyond: NDArray[np.bool_]
    ) -> tuple[Ints, Ints, Ints]:
        """Bounds of the count where it goes on beyond the known values, by at least `fewest` and at most `most`."""
        beyond = beyond & (self._tail > 0)
        ends = (self.known + np.clip(np.nan_to_num(end, nan=np.inf), 0, self._tail) for end in (fewest, most))
        low, high = (np.where(beyond, end, counted).astype(np.int64) for end in ends)
        return counted, low, np.maximum(low, high)

    @cached_property
    def _sums(self) -> Floats:
        return _running_sums(row.singular_values for row in self._rows)

    def _leading(self, holds: Callable[[Ints], NDArray[np.bool_]]) -> Ints:
        """How many known values, from the largest on, a condition on their places holds for; by bisection."""
        low, high = np.zeros_like(self.known), self.known.copy()
        last = np.maximum(self.known - 1, 0)
        for _ in range(int(self.known.max(initial=0)).bit_length()):
            middle = (low + high) // 2
            yes = holds(np.minimum(middle, last)) & (low < high)
            low, high = np.where(yes, middle + 1, low), np.where(yes, high, np.minimum(middle, high))
        return low


def ints(values: Iterable[int]) -> Ints:
    """An array of whole numbers."""
    return np.fromiter(values, np.int64)


def floats(values: Iterable[float]) -> Floats:
    """An array of numbers."""
    return np.fromiter(values, np.float64)


def _running_sums(layers: Iterable[Sequence[float] | Floats]) -> Floats:
    return np.concatenate([np.zeros(0), *(part for layer in layers for part in (np.zeros(1), np.cumsum(layer)))])
