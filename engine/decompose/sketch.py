"""A proposal of the leading singular space from products in low precision: the cheap nine tenths of the work.

Decides how wide the blocks of `krylov` are, when to look, and when what has been found is enough. Nothing here is
trusted: `refine` measures the proposal in float32.

Why low precision is enough: rounding the products moves the proposed space by angles of about eps / (relative gap), and
the energy lost goes with their squares, about eps^2 = 1.5e-5 of the energy kept, spread over all directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from engine.decompose.certificate import Array, missing_energy, power_iteration_excess
from engine.decompose.decomposition import allowed_energy
from engine.decompose.krylov import KrylovBasis, Ritz
from engine.decompose.products import fast_dtype
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.workspace import largest_basis

_NARROW_BLOCK, _BLOCK, _ACCELERATOR_BLOCK = 16, 32, 64
_COLUMNS, _BLOCKS = 2.25, 4.5  # per vector wished for, and blocks on top: where slowly decaying spectra are done
_FEW_COLUMNS = 2.5  # the same where the answer is compared with subspace iteration only
_FAR = 30.0  # times the aim: an excess from which the pace tells little yet, and a longer step costs nothing
_SHARE = 0.3  # of the promise that the sketch aims at: the measurement in float32 adds rounding to it
_DOMINANT = 30.0  # times the eigenvalue at the rank: values beside which low precision may not see that one
_HIDDEN = 100.0  # times what is allowed: below it the measurement mends what is hidden sooner than a new start does
_RITZ_SAFETY = 1.01  # of the norm on the complement, where Ritz values and their bounds tell it
_EXACT_RANK = 48  # from this cap on the first rounds are exact
_EXACT_ROUNDS = 2  # in float32 then: the first blocks hold the largest values, whose rounding drowns others
CONVERGED = 0.05  # of the promise: what subspace iteration that has converged may be compared with
_CLEARLY_LESS = 0.1  # of the excess of subspace iteration, which varies with its start
MANY_ROUNDS, _NARROWED = 5, 0.5  # from so many rounds on, a block of half the rank reaches further than enough


@dataclass(frozen=True)
class Sketch:
    """A proposed left singular space inside a larger basis.

    Attributes:
        vectors: (k, w) float32, orthonormal to a few 1e-6, leading first; w is at least the rank wished for.
        basis: (n, k) float32, orthonormal rows whose span holds `vectors`.
        turn: (n, n - w) float32 on the host; basis.T @ turn are the Ritz vectors after `vectors`.
        values: their Ritz values of A A^T, (n - w,), descending.
        outside: what A A^T may still be on the complement of `basis`: its norm, estimated from above.
        rest: the same on the complement of `vectors`.
        expected: energy that the leading `rank` vectors are expected to miss, rounding included.
        allowed: energy that they may miss: by the promise, or, where rounds are bounded, next to subspace iteration.
        rounds: products with A A^T after the first.
        falls_short: the leading part of a smaller rank is expected to miss more than it may at its own rank.
    """

    vectors: torch.Tensor
    basis: torch.Tensor
    turn: torch.Tensor
    values: Array
    outside: float
    rest: float
    expected: float
    allowed: float
    rounds: int
    falls_short: bool = False


def block_width(device: torch.device, cap: int, rounds: int | None = None) -> int:
    """Vectors per block: as few as the products take without losing speed, since narrow blocks reach further.

    Where the rounds are bounded the blocks must make up for it.
    """
    usual = _ACCELERATOR_BLOCK
    if device.type == "cpu":
        usual = _BLOCK if fast_dtype("cpu") is torch.float32 else _NARROW_BLOCK
    return usual if rounds is None else max(usual, math.ceil(_NARROWED * cap))


def propose(
    wide: torch.Tensor,
    policy: RankPolicy,
    total: float,
    *,
    seed: int,
    rounds: int | None = None,
    smaller: tuple[int, ...] = (),
) -> Sketch | None:
    """Sketch the leading left singular space of (k, l) with k <= l; None where the basis would grow too large.

    Args:
        wide: float32, with values of moderate size: squares must neither vanish nor overflow.
        policy: decides the rank. Its rule must not need all singular values.
        total: squared Frobenius norm.
        seed: of the random block.
        rounds: at most so many blocks after the first, `MANY_ROUNDS` or more; None where that does not reach what
            converged subspace iteration would, or clearly less than as many rounds of it miss.
        smaller: ranks whose leading parts are to compare with subspace iteration of their own, where rounds are
            bounded; of what is certified leading parts need no look.
    """
    shape = (int(wide.shape[0]), int(wide.shape[1]))
    cap, limit = policy.cap(shape), largest_basis(shape[0])
    width = min(shape[0], block_width(wide.device, cap, rounds))
    fixed = policy.lora_type == "standard" or policy.adaptive_param >= 1.0
    due = int(_COLUMNS * cap / width + _BLOCKS) * width if fixed else 4 * width
    exact = _EXACT_ROUNDS if cap >= _EXACT_RANK else 0
    if rounds is not None:
        due = int(_FEW_COLUMNS * cap / width + 2) * width
    krylov = KrylovBasis(
        wide, width, min(max(due, 8 * width), limit + width), seed=seed, total=total, exact_rounds=exact
    )
    schedule = _Schedule(width, min(due, limit))
    may_deflate = rounds is None and krylov.rounds_off
    glance = (-(-cap // width) + 2) * width if fixed else 0  # a gap shows long before the rest is known
    while True:
        krylov.extend()
        if may_deflate and krylov.columns == glance < schedule.due:
            early = krylov.ritz()
            dominant = _before_a_gap(early.values[:cap]) if early is not None else 0
            if early is not None and dominant and early.hidden(cap) > _allowed(early, cap, total):
                may_deflate = False
                krylov.deflate(early.vectors[:, :dominant])
                schedule.due = min(dominant + due, limit)
        ended = rounds is not None and krylov.rounds >= rounds
        if krylov.columns < schedule.due and not ended:
            continue
        ritz = krylov.ritz()
        if ritz is None:
            return None
        rank, needed = _wanted(ritz.values, policy, shape, total)
        if rank <= len(ritz.values):
            allowed = _allowed(ritz, rank, total, rounds)
            dominant = int(np.count_nonzero(ritz.values[:rank] > _DOMINANT * ritz.values[rank - 1]))
            if may_deflate and dominant and ritz.hidden(rank) > _HIDDEN * allowed:
                may_deflate = False
                krylov.deflate(ritz.vectors[:, :dominant])
                schedule = _Schedule(width, min(dominant + due, limit))
                continue
            leading = () if rounds is None else tuple(r for r in smaller if r < rank)
            excess = max(
                ritz.beyond_rounding(part) / (_SHARE * _allowed(ritz, part, total, rounds)) for part in (rank, *leading)
            )
            if ended or excess <= 1.0:
                short = any(
                    _expected(krylov, ritz, part, ended) > _allowed(ritz, part, total, rounds) for part in leading
                )
                return _proposal(krylov, ritz, rank, allowed, _expected(krylov, ritz, rank, ended), falls_short=short)
            schedule.after(krylov.columns, excess, ritz, rank)
        else:
            schedule.at_least(krylov.columns, needed)
        if schedule.due > limit and not ended and krylov.columns + width <= limit and rank <= len(ritz.values):
            schedule.due = limit
        if schedule.due > limit or ended:
            return None


def _wanted(ritz: Array, policy: RankPolicy, shape: tuple[int, int], total: float) -> tuple[int, int]:
    """The rank that the rule gives on these values, and at least how many values it takes to tell."""
    rank, _ = policy.choose(np.sqrt(np.maximum(ritz, 0.0)), shape, energy=total)
    if rank < len(ritz) or policy.lora_type == "standard":
        return rank, rank
    missing = policy.energy_wanted(total) - float(ritz.sum())
    further = missing / max(float(ritz[-1]), 1e-300) if missing > 0.0 else 1.0
    return len(ritz) + 1, min(policy.cap(shape), len(ritz) + math.ceil(min(further, 1e9)))


def _allowed(ritz: Ritz, rank: int, total: float, rounds: int | None = None) -> float:
    """Energy that the leading `rank` may miss by the promise; where rounds are bounded next to subspace iteration."""
    allowed = allowed_energy(total - float(ritz.values[:rank].sum()), total)
    if rounds is None:
        return allowed
    return max(CONVERGED * allowed, _CLEARLY_LESS * power_iteration_excess(ritz.values, rank, rounds))


def _expected(krylov: KrylovBasis, ritz: Ritz, rank: int, ended: bool) -> float:
    """Bound of what the leading `rank` are expected to miss, rounding included; `ended` where no rounds are left."""
    bound = float(missing_energy(ritz.values[:rank], (ritz.residuals + ritz.noise)[:rank], ritz.rest).sum())
    # No bound is that near yet then, but the last rounds tell what further ones would gain.
    return min(bound, krylov.outlook(rank) + ritz.hidden(rank)) if ended else bound


def _before_a_gap(values: Array) -> int:
    """How many eigenvalues stand before the largest gap, 0 where none is `_DOMINANT` wide."""
    ratios = values[:-1] / np.maximum(values[1:], 1e-300)
    return int(np.argmax(ratios)) + 1 if len(ratios) and ratios.max() > _DOMINANT else 0


def _proposal(
    krylov: KrylovBasis, ritz: Ritz, rank: int, allowed: float, expected: float, *, falls_short: bool
) -> Sketch:
    """The leading Ritz vectors, some more than the rank so that there is a gap after them."""
    known = len(ritz.values)
    width = min(known, rank + max(8, rank // 8))
    bound = ritz.values[width:] + missing_energy(ritz.values[width:], ritz.residuals[width:], ritz.rest)
    rest = max([ritz.rest, *(_RITZ_SAFETY * bound)])
    return Sketch(
        vectors=krylov.vectors(ritz.vectors[:, :width]),
        basis=krylov.basis,
        turn=ritz.vectors[:, width:],
        values=ritz.values[width:],
        outside=ritz.rest,
        rest=rest,
        expected=expected,
        allowed=allowed,
        rounds=krylov.rounds,
        falls_short=falls_short,
    )


class _Schedule:
    """When to test next: an eigen-decomposition costs as much as many products, so the pace is extrapolated."""

    def __init__(self, width: int, due: int) -> None:
        self.width, self.due = width, due
        self._last: tuple[int, float] | None = None

    def after(self, columns: int, excess: float, ritz: Ritz, rank: int) -> None:
        """A test found `excess` times what it wants, at so many columns."""
        wanted = math.log(max(excess, 1.0))
        if self._last is not None and self._last[1] > excess:
            pace = math.log(self._last[1] / excess) / (columns - self._last[0])
        else:
            gap = max(float(ritz.values[rank - 1]) / max(ritz.rest, 1e-300) - 1.0, 0.01)
            pace = 4.0 * math.sqrt(min(gap, 4.0)) / self.width  # of Chebyshev polynomials: 4 sqrt(gap) per round
        self._last = columns, excess
        steps = math.ceil(min(wanted / pace, 1e6) / self.width) if math.isfinite(wanted) else 1
        most = columns // ((3 if excess > _FAR else 6) * self.width)
        self.due = columns + self.width * max(1, min(steps, 1 + most))

    def at_least(self, columns: int, needed: int) -> None:
        """The rank is not known yet, or larger than the basis: `needed` columns at least."""
        self.due = max(columns + self.width, needed + 2 * self.width)
