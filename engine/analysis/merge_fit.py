"""Whether a model is a weighted mean of others: least squares with coefficients that sum to 1, and their intervals.

With e_i = candidate i - model, the mean's distance is |sum a_i e_i|^2 = a' G a. A quantised candidate is a true parent
plus rounding noise of known energy N_i; that adds a_i^2 N_i to the distance, which is taken off again
(G - diag N), as least squares would else prefer means of several copies just because their noise averages out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
MOST = 12  # candidates that are fitted together, the nearest
EXPLAINED = 0.6  # of the squared distance to the nearest candidate, from which a mean is called a merge
EXPLAINED_OUTSIDE = 0.9  # the same where a coefficient is negative or above 1: a difference was added
_WORTH = 0.01  # of the squared distance to the nearest candidate, that a member must explain to stay
_COPY = 1.5  # times the two rounding energies: nearer ones are copies of one another
_SAME_FORM = 0.05  # the same for two in one form, whose roundings would be the same
_SMALL = 0.1  # a coefficient that may as well be 0, and is taken for it where its interval says so
_GROUPS = 24  # of weights, for the spread of the coefficients between weights
_SIGMAS = 3.0
_NOISE_SCALES = (0.0, 1.0, 1.3)  # of the rounding noise, whose energy is an estimate: the interval holds all answers
_FLOATS = {"F64": (23, -126), "F32": (23, -126), "F16": (10, -14), "BF16": (7, -126)}  # doubles are read as floats
_DEFINITE = 0.2  # of the smallest variance of differences that must be left once the noise is taken off


@dataclass(frozen=True)
class MergeFit:
    """A mean that explains the model.

    Attributes:
        members: indexes of the candidates, the largest coefficient first.
        coefficients: of each; their sum is 1.
        intervals: of each coefficient.
        explained: share of the squared distance to the nearest candidate, roundings taken off.
        doubtful: intervals of candidates whose coefficient is small and may as well be 0, which it is taken for.
    """

    members: tuple[int, ...]
    coefficients: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    explained: float
    doubtful: dict[int, tuple[float, float]] = field(default_factory=dict)

    @property
    def is_merge(self) -> bool:
        """Whether it says that the model is a merge rather than a fine-tune of the nearest candidate."""
        if len(self.members) < 2:
            return False
        inside = all(-0.02 <= value <= 1.02 for value in self.coefficients)
        return self.explained >= (EXPLAINED if inside else EXPLAINED_OUTSIDE)


def products(model: Matrix, candidates: Matrix, groups: Sequence[int]) -> Matrix:
    """Products of the candidates' differences from a model, by groups of weights, (groups, count, count).

    Args:
        model: (values,) of the sampled numbers.
        candidates: (count, values).
        groups: where the numbers of each weight begin.
    """
    cuts = np.unique(np.linspace(0, len(groups), min(_GROUPS, len(groups)) + 1).astype(int))
    bounds = [*(groups[cut] for cut in cuts[:-1]), candidates.shape[1]]
    parts = (candidates[:, start:stop] - model[start:stop] for start, stop in pairwise(bounds))
    return np.stack([part @ part.T for part in parts])


def copies(grams: Matrix, noise: Sequence[float], forms: Sequence[object]) -> list[int | None]:
    """For each candidate the one that it is a copy of in another encoding, by roundings alone; None for the finest.

    Args:
        grams: see `products`.
        noise: rounding energy of each.
        forms: in which each is stored.
    """
    gram = grams.sum(axis=0)
    found: list[int | None] = [None] * len(gram)
    kept: list[int] = []
    for index in map(int, np.argsort(noise, kind="stable")):
        apart = {other: gram[index, index] + gram[other, other] - 2 * gram[index, other] for other in kept}
        times = {other: _SAME_FORM if forms[index] == forms[other] else _COPY for other in kept}
        alike = [other for other in kept if apart[other] <= times[other] * (noise[index] + noise[other])]
        if alike:
            found[index] = min(alike, key=lambda other: apart[other])
        else:
            kept.append(index)
    return found


def fit_merge(grams: Matrix, noise: Sequence[float], count: int, model_noise: float = 0.0) -> MergeFit | None:
    """Fit a mean of candidates, none a copy of another one, to a model.

    Args:
        grams: see `products`.
        noise: rounding energy of each that was quantised; 0 for those whose stored numbers were merged themselves.
        count: of the sampled numbers.
        model_noise: rounding energy of the model.

    Returns:
        The smallest set of candidates that explains it as well as all do; None where there is nothing to explain.
    """
    gram, energies = grams.sum(axis=0), np.asarray(noise, dtype=np.float64)
    if len(gram) < 2:
        return None
    nearest = int(np.argmin(np.diag(gram)))
    whole = gram[nearest, nearest] - energies[nearest] - model_noise
    if whole <= 0.1 * (model_noise + energies[nearest]):
        return None
    members = list(range(len(gram)))
    while len(members) > 1 and not _resolved(gram, energies, members):
        members.remove(max(members, key=lambda index: (energies[index], gram[index, index])))
    while len(members) > 1:
        now = _distance(gram, energies, members)
        worth = {
            index: _distance(gram, energies, [other for other in members if other != index]) - now for index in members
        }
        least = min(members, key=lambda index: worth[index])
        if worth[least] > _WORTH * whole:
            break
        members.remove(least)
    doubtful: dict[int, tuple[float, float]] = {}
    values, bounds = _estimated(grams, energies, members, count)
    while len(members) > 1:
        least = min(range(len(members)), key=lambda at: abs(values[at]))
        low, high = bounds[least]
        if not (low <= 0 <= high and abs(values[least]) < _SMALL):
            break
        doubtful[members[least]] = low, high
        members = [member for member in members if member != members[least]]
        values, bounds = _estimated(grams, energies, members, count)
    left = max(0.0, _distance(gram, energies, members) - model_noise)
    order = sorted(range(len(members)), key=lambda at: -values[at])
    return MergeFit(
        tuple(members[at] for at in order),
        tuple(float(values[at]) for at in order),
        tuple(bounds[at] for at in order),
        float(np.clip(1 - left / whole, 0.0, 1.0)),
        doubtful,
    )


def fit_by_steps(model: Matrix, candidates: Matrix, steps: Matrix, groups: Sequence[int]) -> MergeFit | None:
    """Fit a mean of candidates of which none was quantised, every number weighted by how exactly the model stores it.

    Where candidates differ by about a step of the model's numbers, its rounding goes along with the difference, hides
    it, and draws the coefficients towards 0 and 1; where numbers are small, steps are small beside the differences.

    Args:
        model: (values,).
        candidates: (count, values), none a copy of another one.
        steps: (values,) distance to the next number that the model's dtype has.
        groups: where the numbers of each weight begin.
    """
    roots = 1 / _rounding(steps)
    grams = products(model * roots, candidates * roots, groups)
    return fit_merge(grams, [0.0] * len(candidates), len(model), float(((roots * steps) ** 2).sum()) / 12)


def refined(fit: MergeFit, model: Matrix, candidates: Matrix, steps: Matrix, groups: Sequence[int]) -> MergeFit:
    """The coefficients anew, weighted by the model's rounding and by what the mean does not explain.

    Args:
        fit: of candidates of which none was quantised.
        model: (values,).
        candidates: (members, values), in the order of the fit.
        steps: see `fit_by_steps`.
        groups: where the numbers of each weight begin.
    """
    members = list(range(len(candidates)))
    residual = model - np.asarray(fit.coefficients) @ candidates
    other = max(0.0, float((residual**2 - steps**2 / 12).mean()))
    roots = np.sqrt(1 / (_rounding(steps) ** 2 / 12 + other))
    grams = products(model * roots, candidates * roots, groups)
    values, bounds = _estimated(grams, np.zeros(len(members)), members, len(model))
    plain, _ = _estimated(products(model, candidates, groups), np.zeros(len(members)), members, len(model))
    apart = np.abs(values - plain)  # a bias that the weights have not taken off
    intervals = [(low - more, high + more) for (low, high), more in zip(bounds, map(float, apart), strict=True)]
    return replace(fit, coefficients=tuple(map(float, values)), intervals=tuple(intervals))


def _rounding(steps: Matrix) -> Matrix:
    """Steps of which none is so small that a few numbers would outweigh all others."""
    bounded: Matrix = np.maximum(steps, np.median(steps) / 16)
    return bounded


def steps_of(values: Matrix, dtype: str) -> Matrix | None:
    """Distances between neighbouring numbers of a dtype around some values; None for a dtype that is no plain float."""
    if dtype not in _FLOATS:
        return None
    digits, least = _FLOATS[dtype]
    exponents = np.frexp(values)[1] - 1
    exponents = np.maximum(np.where(values == 0, least, exponents), least)
    steps: Matrix = np.ldexp(1.0, exponents - digits)
    return steps


def _estimated(
    grams: Matrix, energies: Matrix, members: Sequence[int], count: int
) -> tuple[Matrix, list[tuple[float, float]]]:
    """The coefficients of the members, and the interval of each."""
    gram = grams.sum(axis=0)
    values, spread = _solved(gram, energies, members), _SIGMAS * _spread(grams, energies, members, count)
    scales = [scale for scale in _NOISE_SCALES if _resolved(gram, scale * energies, members)]
    answers = [values, *(_solved(gram, scale * energies, members) for scale in scales)]
    low, high = np.min(answers, axis=0) - spread, np.max(answers, axis=0) + spread
    return values, [(float(one), float(other)) for one, other in zip(low, high, strict=True)]


def _differences(gram: Matrix, energies: Matrix, members: Sequence[int]) -> tuple[Matrix, Matrix]:
    """Products of the members' differences from the first one, and with the model's, without the roundings' noise."""
    own = gram[np.ix_(members, members)] - np.diag(energies[list(members)])
    first = own[0, 0]
    return own[1:, 1:] - own[1:, :1] - own[:1, 1:] + first, first - own[1:, 0]


def _resolved(gram: Matrix, energies: Matrix, members: Sequence[int]) -> bool:
    """Whether the members differ by more than the noise of their roundings, in every direction."""
    if len(members) < 2 or not energies.any():
        return True
    clean, _ = _differences(gram, energies, members)
    raw, _ = _differences(gram, np.zeros_like(energies), members)
    root = np.sqrt(np.maximum(np.diag(raw), 1e-300))
    least = [np.linalg.eigvalsh(products / np.outer(root, root))[0] for products in (clean, raw)]
    return bool(least[0] > _DEFINITE * least[1])


def _solved(gram: Matrix, energies: Matrix, members: Sequence[int]) -> Matrix:
    """The coefficients of the members, with sum 1."""
    if len(members) == 1:
        return np.ones(1)
    products, wanted = _differences(gram, energies, members)
    others = np.linalg.lstsq(products, wanted, rcond=1e-13)[0]
    coefficients: Matrix = np.concatenate([[1 - others.sum()], others])
    return coefficients


def _distance(gram: Matrix, energies: Matrix, members: Sequence[int]) -> float:
    """Squared distance of the members' best mean from the model, without the noise of their roundings."""
    values = _solved(gram, energies, members)
    own = gram[np.ix_(members, members)] - np.diag(energies[list(members)])
    return float(values @ own @ values)


def _spread(grams: Matrix, energies: Matrix, members: Sequence[int], count: int) -> Matrix:
    """Standard deviations of the coefficients: by the residual, or between weights, a group left out at a time."""
    gram = grams.sum(axis=0)
    if len(members) == 1:
        return np.zeros(1)
    products, _ = _differences(gram, energies, members)
    own, values = gram[np.ix_(members, members)], _solved(gram, energies, members)
    covariance = np.linalg.pinv(products) * max(0.0, float(values @ own @ values)) / max(1, count - len(members))
    of_residual = np.concatenate([[covariance.sum()], np.diag(covariance)])
    groups = len(grams)
    if groups < 4:
        between = np.zeros(len(members))
        return _root(of_residual, between)
    parts = np.stack([_solved(gram - part, energies * (groups - 1) / groups, members) for part in grams])
    between = (groups - 1) / groups * ((parts - parts.mean(axis=0)) ** 2).sum(axis=0)
    return _root(of_residual, between)


def _root(one: Matrix, other: Matrix) -> Matrix:
    larger: Matrix = np.sqrt(np.maximum(one, other))
    return larger
