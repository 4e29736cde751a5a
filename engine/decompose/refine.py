"""From a proposed space to the certified answer: Rayleigh-Ritz and residuals in float32, sums in float64.

The basis starts as the proposal, and A^T times it is kept beside it. Each round solves the small eigenproblem,
multiplies the wanted Ritz vectors once more by A, and so knows their true residuals; `certificate` turns these into a
bound of the energy that can be missing. Where that is not within the promise, the directions in which the residuals
lie join the basis (block Davidson without a preconditioner, which from a Krylov space is the Krylov iteration again).

The Frobenius identity |A|^2 - sum(mu) misjudges a rest below a fifth of the norm, so there the residual is formed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from engine.decompose import lapack
from engine.decompose.certificate import Array, missing_energy
from engine.decompose.decomposition import (
    TruncatedSvd,
    allowed_energy,
    normalised,
    residual_energy,
    within_promise,
)
from engine.decompose.products import exact_product, gram_product, product
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.sketch import Sketch
from engine.decompose.workspace import largest_basis
from engine.steps import check

SHARE = 0.9  # of the promise that the bound may use up; rounding of the factors gets the rest
_NEARLY_ALL = 1e-6  # of the energy: where less is lost, the loss itself may be all that could be missing
_SMALL_REST = 0.04  # of the energy: below it float32 products misjudge the rest
_LOOSE = 1e-6  # of the energy: where so much may be missing, float32 products tell the Ritz vectors well enough
MOST_ROUNDS = 24
_NEXT_VALUES = 4  # judged beyond the rank, where the rule asks whether one more would pass
_PROBES, _PROBE_STEPS = 8, 2  # columns and steps of the power iteration that measures the norm on the complement
REST_SAFETY = 1.25  # of that norm
_LEFT_BEHIND = 0.02  # of what is allowed: residual directions that together matter less do not join the basis


def refine(
    wide: torch.Tensor,
    sketch: Sketch,
    policy: RankPolicy,
    total: float,
    *,
    share: float = SHARE,
    most: int = MOST_ROUNDS,
) -> TruncatedSvd | None:
    """Answer for (k, l) with k <= l, certified to the promise; None where that takes too large a basis.

    Args:
        wide: float32, of moderate size.
        sketch: the proposal to start from.
        policy: decides the rank. Its rule must not need all singular values.
        total: squared Frobenius norm.
        share: of the promise that the bound may use up.
        most: rounds beyond those of the sketch.
    """
    shape = (int(wide.shape[0]), int(wide.shape[1]))
    basis, rest = _Basis(wide, sketch.vectors, exact=sketch.allowed < _LOOSE * total), sketch.rest
    for extra in range(most + 1):
        check()
        ritz = basis.ritz()
        if ritz is None:
            return None
        choice = _choose(basis, ritz, policy, total)
        residual = basis.residual(choice.right)
        squares = torch.linalg.vector_norm(residual, dim=0).cpu().to(torch.float64).square().numpy()
        mu = ritz.values[: len(squares)]
        judged = _missing_in_sketch(sketch, residual, mu, squares) if extra == 0 else missing_energy(mu, squares, rest)
        highest = float(mu[-1] + judged[-1])  # that any eigenvalue after the last one judged can have
        bound = np.concatenate([judged, highest - ritz.values[len(mu) :]])
        decided = choice.rank <= len(mu) and (
            policy.decided(choice.values, bound, shape, energy=total, rest=min(rest, highest))
            or (choice.capped and choice.rank == policy.cap(shape))
        )
        left_over = total - float(mu[: choice.rank].sum())
        missing = float(bound[: choice.rank].sum())
        if decided and (left_over < _NEARLY_ALL * total or within_promise(left_over, missing, total, share)):
            largest = math.sqrt(max(0.0, mu[choice.rank - 1] + bound[choice.rank - 1]))
            found = _answer(wide, choice, total, rounds=sketch.rounds + extra, largest_left=largest)
            lost = found.residual_energy
            if within_promise(lost, missing, total, share) or within_promise(lost, lost, total, SHARE):
                return found
        if extra == most:
            return None
        negligible = _LEFT_BEHIND * allowed_energy(left_over, total) if decided else 0.0
        further = basis.orthonormal(_directions(residual, squares, judged, negligible))
        if basis.columns + further.shape[1] + _PROBES > largest_basis(shape[0]):
            return None
        basis.append(further)
        rest = min(rest, REST_SAFETY * basis.probe(extra))
    return None


def unjudged(
    wide: torch.Tensor,
    vectors: torch.Tensor,
    policy: RankPolicy,
    total: float,
    *,
    rounds: int,
    expected: float = math.inf,
) -> TruncatedSvd | None:
    """The best answer in a space, without the residuals that would certify it; None where the space is too small.

    Args:
        wide: float32, of moderate size.
        vectors: (k, w) float32, orthonormal, spanning the space; w at least the rank.
        policy: decides the rank.
        total: squared Frobenius norm of `wide`.
        rounds: that were spent on the space.
        expected: energy that its leading part is expected to miss.
    """
    basis = _Basis(wide, vectors, exact=True)
    ritz = basis.ritz()
    if ritz is None:
        return None
    choice = _choose(basis, ritz, policy, total)
    if choice.rank > len(choice.values):  # the rule wants more than the space was made for
        return None
    last = float(choice.values[choice.rank - 1])
    largest = math.sqrt(last * last + 2.0 * expected)  # in what is missed, or next in the spectrum
    return _answer(wide, choice, total, rounds=rounds, largest_left=largest)


@dataclass(frozen=True)
class _Ritz:
    """Ritz values of A A^T, descending, and their vectors in the basis, on the host."""

    values: Array
    vectors: torch.Tensor


@dataclass(frozen=True)
class _Choice:
    """The rank that the policy chooses on these singular values, and the vectors up to it and a few more."""

    values: Array
    rank: int
    capped: bool
    left: torch.Tensor
    right: torch.Tensor


def _choose(basis: _Basis, ritz: _Ritz, policy: RankPolicy, total: float) -> _Choice:
    values = np.sqrt(np.maximum(ritz.values, 0.0))
    rank, capped = policy.choose(values, basis.shape, energy=total)
    count = min(len(values), rank if policy.lora_type == "standard" else rank + _NEXT_VALUES)
    return _Choice(values, rank, capped, *basis.vectors(ritz, count))


def _answer(wide: torch.Tensor, choice: _Choice, total: float, *, rounds: int, largest_left: float) -> TruncatedSvd:
    left, right = choice.left[:, : choice.rank], choice.right[: choice.rank]
    lost = _lost(wide, left, right, total)
    left, s, right = normalised(left, right)
    largest = min(largest_left, math.sqrt(max(0.0, lost)))  # the Frobenius norm is a bound too
    return TruncatedSvd(left, s, right, choice.values, lost, largest, choice.capped, "krylov", rounds)


class _Basis:
    """An orthonormal basis of the left space, A^T times it, and the Gram matrix of that in float64."""

    def __init__(self, wide: torch.Tensor, proposal: torch.Tensor, *, exact: bool) -> None:
        self._wide = wide
        self._exact = exact
        # One step of Newton and Schulz squares what is missing to orthonormality, and is nothing but products.
        gram = proposal.T @ proposal
        gram = torch.eye(len(gram), dtype=gram.dtype, device=gram.device).mul_(1.5).sub_(gram, alpha=0.5)
        self._q = proposal @ gram
        self._z = exact_product(self._q.T, wide.T)
        self._t = gram_product(self._z, self._z, exact=exact)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix."""
        return int(self._wide.shape[0]), int(self._wide.shape[1])

    @property
    def columns(self) -> int:
        """Size of the basis."""
        return int(self._q.shape[1])

    def append(self, block: torch.Tensor) -> None:
        """Add orthonormal columns that are orthogonal to the basis."""
        z = exact_product(block.T, self._wide.T)
        z.addmm_(block.T @ self._q, self._z, alpha=-1.0)  # as if orthogonal beyond float32: values below 1e-6 s1 show
        t = gram_product(self._z, z, exact=self._exact)
        self._t = torch.cat([torch.cat([self._t, t], 1), torch.cat([t.T, gram_product(z, z, exact=self._exact)], 1)], 0)
        self._q, self._z = torch.cat([self._q, block], 1), torch.cat([self._z, z], 0)

    def probe(self, seed: int) -> float:
        """Norm of A A^T on the complement of the basis, by a block power iteration; its vectors join the basis."""
        generator = torch.Generator().manual_seed(seed)
        block = torch.randn(self._q.shape[0], _PROBES, generator=generator, dtype=torch.float32).to(self._q.device)
        block = self.orthonormal(block)
        for _ in range(_PROBE_STEPS):
            block = self.orthonormal(self._wide @ (block.T @ self._wide).T)
        self.append(block)
        return float(torch.linalg.eigvalsh(self._t[-_PROBES:, -_PROBES:].cpu())[-1])

    def ritz(self) -> _Ritz | None:
        """Rayleigh-Ritz of A A^T in the basis, descending; None where values are not finite."""
        t = self._t.cpu().to(torch.float64)
        if not bool(torch.isfinite(t).all()):
            return None
        values, vectors = lapack.eigh(t)
        return _Ritz(values.flip(0).numpy(), vectors.flip(1))

    def vectors(self, ritz: _Ritz, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The first Ritz vectors, (k, count), and A^T times them, (count, l)."""
        turn = ritz.vectors[:, :count].to(self._q.device, torch.float32)
        return self._q @ turn, product(turn.T, self._z)

    def residual(self, right: torch.Tensor) -> torch.Tensor:
        """A A^T times the Ritz vectors that `right` belongs to, less what lies in the basis, (k, count)."""
        product: torch.Tensor = exact_product(right, self._wide).T.contiguous()
        product.addmm_(self._q, self._q.T @ product, alpha=-1.0)
        return product

    def orthonormal(self, block: torch.Tensor) -> torch.Tensor:
        """Orthonormal columns of the span of `block`, orthogonal to the basis."""
        for _ in range(3):  # what is rounding only needs one more
            block = lapack.qr(block - self._q @ (self._q.T @ block))[0]
        return block


def _missing_in_sketch(sketch: Sketch, residual: torch.Tensor, ritz: Array, squares: Array) -> Array:
    """Bound for each Ritz value, where the residual inside the sketch's basis meets Ritz values that are known.

    Inside, only rounding can have left anything; outside, A A^T is smaller than on the complement of the vectors.
    """
    inside = (sketch.turn.to(residual.device).T @ (sketch.basis @ residual)).cpu().to(torch.float64).square().numpy()
    outside = np.maximum(0.0, squares - inside.sum(axis=0))
    bound = missing_energy(ritz, outside, sketch.outside)
    return np.asarray(bound + missing_energy(ritz, inside, sketch.values[:, None]).sum(axis=0))


def _directions(residual: torch.Tensor, squares: Array, bound: Array, negligible: float) -> torch.Tensor:
    """The directions, (k, p) with p at most the columns of `residual`, that hold all but `negligible` of the bound."""
    weight = np.sqrt(np.divide(bound, squares, out=np.zeros_like(bound), where=squares > 0.0))
    weighted = residual * torch.from_numpy(weight).to(residual.device, torch.float32)
    energies, turn = torch.linalg.eigh((weighted.T @ weighted).cpu().to(torch.float64))
    behind = int(np.count_nonzero(np.cumsum(np.maximum(energies.numpy(), 0.0)) <= negligible))
    kept = turn[:, min(behind, len(turn) - 1) :].flip(1)
    directions: torch.Tensor = weighted @ kept.to(residual.device, torch.float32)
    return directions


def _lost(wide: torch.Tensor, left: torch.Tensor, right: torch.Tensor, total: float) -> float:
    """|A - left @ right|^2: by the identity of the norms where that is accurate, else formed as it stands."""
    kept = float(torch.linalg.vector_norm(right, dim=1).cpu().to(torch.float64).square().sum())
    if total - kept > _SMALL_REST * total:
        return total - kept
    return residual_energy(wide, left, right)
