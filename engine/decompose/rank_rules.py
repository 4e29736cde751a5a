"""How many singular values each ``lora_type`` keeps: one small pure function each, sums in float64.

In all rules `s` holds the leading singular values in descending order, (k,) float64; `total` is the sum
over the whole spectrum of what the rule adds up. A result of k + 1 means "more than are given here".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.settings import LoraType

Values = NDArray[np.float64]
_SUM_TOLERANCE = 1e-6  # of a threshold that a sum is compared with
_VALUE_TOLERANCE = 5e-6  # of a threshold that a single value is compared with
_SMALLEST_RATIO = 0.02
FLOAT32_EPSILON = float(np.finfo(np.float32).eps)


def ratio_rank(s: Values, p: float) -> int:
    """Count of s > p * s1."""
    return int(np.count_nonzero(s > p * s[0])) if len(s) else 0


def numerical_rank(s: Values, shape: tuple[int, int]) -> int:
    """Count of s that stand out of float32 rounding: s > max(out, in) * eps * s1, as ``numpy.linalg.matrix_rank``."""
    return ratio_rank(s, max(shape) * FLOAT32_EPSILON)


def quantile_rank(s: Values, p: float, total: float) -> int:
    """Count of cumsum(s) < p * sum(s); `total` is sum(s)."""
    return int(np.count_nonzero(np.cumsum(s) < p * total))


def energy_rank(s: Values, p: float, total: float) -> int:
    """(count of cumsum(s^2) < p * sum(s^2)) + 1; `total` is sum(s^2)."""
    return int(np.count_nonzero(np.cumsum(s * s) < p * total)) + 1


def fro_rank(s: Values, p: float, total: float) -> int:
    """First k, counted from 1, with cumsum(s^2)_k / sum(s^2) >= p^2; `total` is sum(s^2)."""
    return int(np.count_nonzero(np.cumsum(s * s) / total < p * p)) + 1


@dataclass(frozen=True)
class RankPolicy:
    """Which rule decides a layer's rank, its parameter, and the cap.

    Attributes:
        lora_type: the rule.
        rank: the cap.
        adaptive_param: the rule's parameter.
        noise_cut: what rounding alone may give the largest singular value of this layer, see
            `engine.decompose.drawn_noise`; of ``adaptive_noise`` alone.
    """

    lora_type: LoraType
    rank: int
    adaptive_param: float
    noise_cut: float = 0.0

    def cap(self, shape: tuple[int, int]) -> int:
        """The largest rank a layer of this shape (out, in) may get."""
        return min(self.rank, *shape)

    @property
    def needs_all_values(self) -> bool:
        """Whether the rule adds up the whole spectrum, which no norm gives."""
        return self.lora_type == "adaptive_quantile" and self.adaptive_param < 1.0

    @property
    def resolves_tiny_ratio(self) -> bool:
        """Whether the rule compares values that float32 products do not resolve well enough."""
        return self.lora_type == "adaptive_ratio" and self.adaptive_param < _SMALLEST_RATIO

    def resolves_below(self, noise: float, s: Values, shape: tuple[int, int]) -> bool:
        """Whether the rule depends on singular values smaller than `noise` * s1, given all of them.

        The sum of a quantile may be a sum of noise where most values vanish; a ratio may ask for tiny values.
        """
        if self.needs_all_values:
            doubtful = int(np.count_nonzero(s < 100.0 * noise * s[0]))
            return bool(doubtful * noise * s[0] > _SUM_TOLERANCE * self.adaptive_param * float(s.sum()))
        if self.lora_type == "adaptive_noise":
            return bool(self.noise_cut < 100.0 * noise * s[0])
        return self.lora_type == "adaptive_ratio" and 0.0 < self.adaptive_param < 100.0 * noise

    def decided(self, low: Values, missing: Values, shape: tuple[int, int], *, energy: float, rest: float) -> bool:
        """Whether more accurate singular values could not change the rank `choose` gives for `low`.

        Args:
            low: lower bounds of the leading singular values, descending.
            missing: how far the square of each may lie below the true one; infinite where nothing is known.
            shape: (out, in) of the delta.
            energy: its squared Frobenius norm.
            rest: square of the largest value that is not among them.
        """
        p, cap = self.adaptive_param, self.cap(shape)
        if self.lora_type == "adaptive_noise":
            return self._decided_at(self.noise_cut, low, missing, rest, cap)
        if self.lora_type not in ("adaptive_ratio", "adaptive_energy", "adaptive_fro") or p >= 1.0:
            return True
        with np.errstate(over="ignore"):
            high = np.sqrt(low * low + missing)
        if self.lora_type == "adaptive_ratio":
            if not np.isfinite(high[0]):
                return False
            unseen = len(low) + 1 if math.sqrt(max(rest, 0.0)) > p * low[0] else 0
            most = max(int(np.count_nonzero(high * (1.0 - _VALUE_TOLERANCE) > p * low[0])), unseen)
            least = int(np.count_nonzero(low * (1.0 + _VALUE_TOLERANCE) > p * high[0]))
            return least >= most or least >= cap
        rank = self._wanted(low, shape, energy, 0.0)
        if rank == self._wanted(high, shape, energy, 0.0):
            return True
        wanted = self.energy_wanted(energy)
        return rank <= len(low) and float(missing[:rank].sum()) <= _SUM_TOLERANCE * wanted

    @staticmethod
    def _decided_at(cut: float, low: Values, missing: Values, rest: float, cap: int) -> bool:
        """Whether as many values surely lie above a cut as may do so, or as many as are kept at most."""
        with np.errstate(over="ignore"):
            high = np.sqrt(low * low + missing)
        unseen = len(low) + 1 if math.sqrt(max(rest, 0.0)) > cut else 0
        most = max(int(np.count_nonzero(high * (1.0 - _VALUE_TOLERANCE) > cut)), unseen)
        least = int(np.count_nonzero(low * (1.0 + _VALUE_TOLERANCE) > cut))
        return least >= most or least >= cap

    def scaled(self, factor: float) -> RankPolicy:
        """The rule for the same matrix times a number."""
        return self if self.noise_cut == 0.0 else replace(self, noise_cut=self.noise_cut * factor)

    def only_noise(self, s: Values) -> bool:
        """Whether the rule finds nothing in a layer with these values, not even the one that `choose` keeps."""
        return self.lora_type == "adaptive_noise" and not bool(s[0] > self.noise_cut)

    def energy_wanted(self, total: float) -> float:
        """How much of the squared norm `total` the rule wants kept; nothing where it does not add up energies."""
        share = {"adaptive_energy": self.adaptive_param, "adaptive_fro": self.adaptive_param**2}
        return total * share.get(self.lora_type, 0.0)

    def choose(self, s: Values, shape: tuple[int, int], *, energy: float, value_sum: float = 0.0) -> tuple[int, bool]:
        """The rank of a layer, and whether the cap cut it short.

        Args:
            s: the leading singular values, at least `cap(shape)` + 1 of them or all.
            shape: (out, in) of the delta.
            energy: its squared Frobenius norm.
            value_sum: sum of all its singular values, where `needs_all_values`.
        """
        cap = self.cap(shape)
        wanted = self._wanted(s, shape, energy, value_sum)
        return max(1, min(wanted, cap)), wanted > cap

    def _wanted(self, s: Values, shape: tuple[int, int], energy: float, value_sum: float) -> int:
        p = self.adaptive_param
        if self.lora_type == "adaptive_ratio":
            return numerical_rank(s, shape) if p == 0.0 else ratio_rank(s, p)
        if self.lora_type == "adaptive_noise":
            return int(np.count_nonzero(s > self.noise_cut))
        if self.lora_type not in ("adaptive_quantile", "adaptive_energy", "adaptive_fro"):
            return self.cap(shape)
        if p >= 1.0:
            return min(shape)
        if self.lora_type == "adaptive_quantile":
            return quantile_rank(s, p, value_sum)
        if self.lora_type == "adaptive_energy":
            return energy_rank(s, p, energy)
        return fro_rank(s, p, energy)
