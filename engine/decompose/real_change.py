"""What of a difference is rounding noise, and what of the real change a file keeps, from an estimate of the errors.

With delta = d + e the stored difference, d the real change, and L what a file holds, the share of the real change that
it keeps is 1 - |d - L|^2 / |d|^2 = (2 <L, d> - |L|^2) / |d|^2. The errors e are taken as (a - 1) d + w, w having
nothing to do with d: a is below 1 where small changes were lost. Factors that were fitted to the difference fitted some
of w, too: c = <L, w>. As they are the best of their rank <L, delta> = |L|^2 = K, so that <L, d> = (K - c) / a.

The expectation of c for even noise is the variance times the degrees of freedom of a truncation, by Stein's identity:
sum over k <= r of 1 + |m - n| + (r - 1) + 2 sum over j > r of y_k^2 / (y_k^2 - y_j^2), with the singular values y_j
behind the rank as those of noise have them (Marchenko and Pastur): r (m + n - r) where what is kept stands out far.
Noise that is not even is fitted where it is large, which the leverages of rows and columns in the kept vectors tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engine.decompose.noise_model import NoiseEstimate, NoiseModel
from engine.results import ALL_NOISE, NoiseFigures

_FIT_DOUBT = 0.3  # of what was fitted of the noise
_SLOPE_DOUBT = 0.4  # of what of the changes is lost
_LEAST_DOUBT = 0.005  # of a share, where there is hardly any noise


@dataclass(frozen=True)
class LayerNoise:
    """The rounding errors of a layer, and how much more than even noise the kept vectors have in them.

    Attributes:
        estimate: of the whole.
        left, right: for each kept vector the energy of the errors in the rows, or columns, that it weighs, in units of
            their mean; 1 for even noise, and for vectors behind the last one.
    """

    estimate: NoiseEstimate
    left: tuple[float, ...] = ()
    right: tuple[float, ...] = ()

    def document(self) -> dict[str, Any]:
        """What a record holds, JSON values."""
        return self.estimate.document() | {"left": list(self.left), "right": list(self.right)}

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> LayerNoise | None:
        """From a record; None where it says nothing of rounding."""
        if document is None:
            return None
        values = dict(document)
        left, right = (tuple(map(float, values.pop(side))) for side in ("left", "right"))
        return cls(NoiseEstimate(**values), left, right)


def fitted_noise(model: NoiseModel, u: torch.Tensor | None = None, vh: torch.Tensor | None = None) -> LayerNoise:
    """An estimate together with the vectors that a decomposition keeps.

    Args:
        model: of the errors, (m, n) of them.
        u: (m, r) with columns of norm 1; None where a difference itself is stored.
        vh: (r, n) with rows of norm 1.
    """
    if u is None or vh is None:
        return LayerNoise(model.estimate)
    sides = ((model.rows, u), (model.columns, vh.T))
    left, right = (
        _weighed(spread, vectors) if len(spread) == len(vectors) else (1.0,) * int(vectors.shape[1])
        for spread, vectors in sides
    )
    return LayerNoise(model.estimate, left, right)


def _weighed(spread: np.ndarray[Any, np.dtype[np.float64]], vectors: torch.Tensor) -> tuple[float, ...]:
    """The mean of a spread over the squares of each vector, (n,) and (n, r)."""
    weights = torch.from_numpy(spread).to(vectors.device, torch.float32)
    squares = vectors.to(torch.float32).square()
    found = (weights @ squares) / squares.sum(dim=0).clamp(min=1e-30)
    return tuple(round(value, 6) for value in found.tolist())


@dataclass(frozen=True)
class Kept:
    """What a file holds of a layer.

    Attributes:
        total: |delta|^2.
        before: share of it that the best factors of the rank keep; 1 of a stored difference.
        retained: share that the file keeps.
        shape: (m, n) of the matrix.
        values: the singular values kept, largest first; None of a stored difference.
        norm: squared norm of what the file holds; None where that is the best of its rank.
        fitted: the share of the noise's energy that it fitted; None derives it from the values.
    """

    total: float
    before: float
    retained: float
    shape: tuple[int, int]
    values: Sequence[float] | None
    norm: float | None = None
    fitted: float | None = None


def noise_figures(noise: LayerNoise, kept: Kept, *, least_fit: float | None = None) -> NoiseFigures:
    """The figures of one layer.

    Args:
        noise: the rounding errors in its difference.
        kept: what a file holds of it.
        least_fit: where it is not known that the factors were fitted to this difference, how much of what such factors
            fit of the noise they fitted at least.
    """
    found = noise.estimate
    total = max(kept.total, 1e-300)
    share, share_both = min(1.0, found.energy / total), min(1.0, found.energy_both / total)
    own = _Errors(found.energy, found.cross, found.slope, found.apart)
    real, change = _real(noise, kept, own)
    both, _ = _real(noise, kept, _Errors(found.energy_both, found.cross_both, found.slope_both, found.apart_both))
    if share >= ALL_NOISE or real is None:
        return NoiseFigures(max(share, ALL_NOISE), max(share, share_both), None, None, None, 0.0)
    fit_doubt = _FIT_DOUBT + 0.8 * share
    bounds = [
        _real(noise, kept, own.moved(one * found.energy_error, other * found.cross_error, change), fit)[0]
        for one in (-1, 1)
        for other in (-1, 1)
        for fit in (max(0.0, 1.0 - fit_doubt) if least_fit is None else least_fit, 1.0 + fit_doubt)
    ]
    known = [bound for bound in bounds if bound is not None] + [real]
    doubt = _LEAST_DOUBT + 0.1 * share + _SLOPE_DOUBT * (1.0 - found.slope) * min(1.0, abs(real))
    lowest = min(known) if len(known) == len(bounds) + 1 else min(*known, 0.0)
    return NoiseFigures(
        noise_share=share,
        noise_share_both_sides=share_both,
        real_energy_retained=min(1.0, real),
        real_energy_interval=(min(1.0, lowest - doubt), min(1.0, max(known) + doubt)),
        real_energy_retained_both_sides=None if both is None or share_both >= ALL_NOISE else min(1.0, both),
        real_energy=change,
    )


@dataclass(frozen=True)
class _Errors:
    """Rounding errors as `NoiseEstimate` has them, of one side or of both."""

    energy: float
    cross: float
    slope: float
    apart: float

    def moved(self, energy: float, cross: float, change: float) -> _Errors:
        """With the energy and the inner product of changes and errors changed by so much; `change` is |d|^2."""
        scale = max(0.0, 1.0 + energy / self.energy) if self.energy > 0.0 else 1.0
        slope = min(1.0, self.slope + cross / change)
        return _Errors(max(0.0, self.energy + energy), self.cross + cross, slope, self.apart * scale)


def _real(noise: LayerNoise, kept: Kept, errors: _Errors, fit: float = 1.0) -> tuple[float | None, float]:
    """The share of the real change that is kept, and |d|^2; None where nothing of a change is left."""
    change = kept.total - errors.energy - 2.0 * errors.cross
    if change <= 1e-3 * kept.total:
        return None, 0.0
    stored = (kept.before - kept.retained) * kept.total / change
    if kept.values is None:
        return 1.0 - errors.energy / change - stored, change
    product = kept.before * kept.total
    norm = product if kept.norm is None else kept.norm
    common = 0.5 * (product + norm)  # of what is held and the difference
    share = fitted_share(noise, kept) if kept.fitted is None else kept.fitted
    common = max(0.0, common - fit * errors.apart * share)
    return (2.0 * common / max(0.05, errors.slope) - norm) / change - stored, change


def fitted_share(noise: LayerNoise, kept: Kept) -> float:
    """The share of the noise's energy that the kept factors fitted."""
    assert kept.values is not None
    m, n = kept.shape
    values = np.square(np.asarray(kept.values, np.float64))
    rank, short = len(values), min(m, n)
    if rank == 0:
        return 0.0
    degrees = float(rank * (abs(m - n) + rank))
    if rank < short:
        degrees += 2.0 * float(_pushed(values, (1.0 - kept.before) * kept.total, (m, n)).sum())
    left, right = (sum(side[:rank]) + max(0, rank - len(side)) for side in (noise.left, noise.right))
    even = rank * (m + n - rank)
    uneven = max(0.0, n * left + m * right - left * right) / even
    return min(1.0, degrees * uneven / (m * n))


def _pushed(squares: np.ndarray[Any, np.dtype[np.float64]], lost: float, shape: tuple[int, int]) -> Any:
    """For each kept singular value y_k the sum over those behind the rank of y_k^2 / (y_k^2 - y_j^2)."""
    rank, short, long = len(squares), min(shape), max(shape)
    count = short - rank
    aspect = count / max(1, long - rank)
    mean = max(lost, 0.0) / count
    if mean <= 0.0:
        return np.full(rank, float(count))
    edge = (1.0 + math.sqrt(aspect)) ** 2
    place = np.maximum(squares / mean, edge)
    root = np.sqrt(np.maximum(np.square(place - 1.0 - aspect) - 4.0 * aspect, 0.0))
    return count * (place - 1.0 + aspect - root) / (2.0 * aspect)


@dataclass(frozen=True)
class Counted:
    """A layer in the sums over a file.

    Attributes:
        energy: |delta|^2.
        noise: its figures; None where they were not measured.
        kept: whether the file holds the layer; what it does not hold counts as nothing kept.
        whole: whether it holds the fine-tuned weight as it is.
    """

    energy: float
    noise: NoiseFigures | None
    kept: bool = True
    whole: bool = False


def total_figures(layers: Iterable[Counted], lost: float = 0.0, whole: float = 0.0) -> NoiseFigures | None:
    """The figures of a whole file.

    Args:
        layers: its layers, and the weights that are not in it.
        lost: energy of changes that are not in it and are no differences of two stored numbers.
        whole: energy of such changes that it holds as they are.

    Returns:
        None where those of a layer that changed were not measured, or where nothing changed.
    """
    rows = [layer for layer in layers if layer.energy > 0.0]
    if any(layer.noise is None for layer in rows):
        return None
    total = sum(layer.energy for layer in rows) + lost + whole
    if total <= 0.0:
        return None
    known = [(layer, layer.noise) for layer in rows if layer.noise is not None]
    shares = [sum(layer.energy * share(noise) for layer, noise in known) / total for share in (_one_side, _both_sides)]
    change = sum(noise.real_energy for _, noise in known) + lost + whole
    if shares[0] >= ALL_NOISE or change <= 0.0:
        return NoiseFigures(max(shares[0], ALL_NOISE), max(shares), None, None, None, 0.0)

    def mean(figure: Any) -> float:
        kept = sum(figure(noise) * noise.real_energy for layer, noise in known if layer.kept and noise.real_energy)
        return float((kept + whole) / change)

    both = None if shares[1] >= ALL_NOISE else min(1.0, mean(_both_kept))
    low, high = mean(lambda noise: noise.real_energy_interval[0]), mean(lambda noise: noise.real_energy_interval[1])
    return NoiseFigures(
        noise_share=shares[0],
        noise_share_both_sides=shares[1],
        real_energy_retained=mean(lambda noise: noise.real_energy_retained),
        real_energy_interval=(low, high),
        real_energy_retained_both_sides=both,
        real_energy=change,
    )


def _one_side(noise: NoiseFigures) -> float:
    return noise.noise_share


def _both_sides(noise: NoiseFigures) -> float:
    return noise.noise_share_both_sides


def _both_kept(noise: NoiseFigures) -> float:
    return 0.0 if noise.real_energy_retained_both_sides is None else noise.real_energy_retained_both_sides
