"""The best rank-r part of a matrix: the one function behind which every solver lives.

Exact (``svd_linalg``): a sketch in low precision (`sketch`), measured and certified in float32 (`refine`); for small
sides, sides much shorter than the other, ranks near full and rules about the whole spectrum the float64 Gram matrix,
see `gram`; LAPACK in float64 where neither can promise.

Randomised (``svd_lowrank``): the same sketch without the measurement, where it is clearly better than as many rounds of
subspace iteration; else that, with oversampling (`power`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from engine.decompose.decomposition import MODERATE, TruncatedSvd, moderate_exponent
from engine.decompose.delta import energy
from engine.decompose.gram import all_values, solve_gram
from engine.decompose.pieces import Pieces, in_pieces
from engine.decompose.piecewise import svd_of_pieces
from engine.decompose.power import iterate
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.refine import MOST_ROUNDS, refine, unjudged
from engine.decompose.sketch import CONVERGED, MANY_ROUNDS, propose
from engine.decompose.workspace import SMALL_SIDE, gram_bytes, gram_first, whole_spectrum, workspace_bytes
from engine.settings import Algorithm


def truncated_svd(
    delta: torch.Tensor | Pieces,
    policy: RankPolicy,
    *,
    algorithm: Algorithm,
    iterations: int = 7,
    seed: int = 0,
    total: float | None = None,
    smaller: tuple[int, ...] = (),
    reserve: Callable[[int], None] | None = None,
) -> TruncatedSvd:
    """Decompose a delta as far as the policy keeps of it.

    The leading part of the answer, see `TruncatedSvd.leading`, keeps the promise of ``svd_linalg`` at its own rank.

    Args:
        delta: (out, in) float32, finite and not all zero, on any device, or in pieces. It is not changed.
        policy: decides the rank.
        algorithm: ``svd_linalg`` for the best answer to working precision (error at most (1 + 1e-5) times the
            optimum plus 1e-6 times the norm), ``svd_lowrank`` for a randomised one.
        iterations: bound for the randomised solver.
        seed: of the random block.
        total: squared Frobenius norm, where it is known already.
        smaller: ranks whose leading parts are wanted too; only the randomised solver has to be told.
        reserve: told the bytes that are needed beyond `workspace_bytes`, before they are taken; may raise.
    """
    pieces = in_pieces(delta)
    if pieces is not None:
        return svd_of_pieces(pieces, policy, total, reserve=reserve)
    assert isinstance(delta, torch.Tensor)
    total = energy(delta) if total is None else total
    if reserve is not None and not MODERATE[0] <= total <= MODERATE[1]:
        reserve(4 * delta.numel())
    scaled, exponent = _moderate(delta, total)
    total = energy(scaled) if exponent else total
    wide = scaled.T if scaled.shape[0] > scaled.shape[1] else scaled
    found = _solve(
        wide, policy.scaled(math.ldexp(1.0, -exponent)), algorithm, iterations, seed, total, smaller, reserve
    )
    u, vh = (found.vh.T, found.u.T) if wide is not scaled else (found.u, found.vh)
    factor = math.ldexp(1.0, exponent)
    return replace(
        found,
        u=u.contiguous(),
        s=found.s * factor,
        vh=vh.contiguous(),
        values=found.values * factor,
        residual_energy=found.residual_energy * factor * factor,
        largest_left=found.largest_left * factor,
    )


def _solve(
    wide: torch.Tensor,
    policy: RankPolicy,
    algorithm: Algorithm,
    iterations: int,
    seed: int,
    total: float,
    smaller: tuple[int, ...],
    reserve: Callable[[int], None] | None,
) -> TruncatedSvd:
    shape = (int(wide.shape[0]), int(wide.shape[1]))
    if policy.needs_all_values and shape[0] > SMALL_SIDE and not gram_first(shape):
        values = all_values(wide, policy)
        rank, capped = policy.choose(values, shape, energy=total, value_sum=float(values.sum()))
        fixed = _solve(wide, RankPolicy("standard", rank, 0.0), algorithm, iterations, seed, total, smaller, reserve)
        return replace(fixed, values=values, capped=capped)
    found = None
    if not whole_spectrum(shape, policy, algorithm):
        if algorithm == "svd_lowrank":
            found = _randomised(wide, policy, iterations, seed, total, smaller)
        else:
            found = _exact(wide, policy, seed, total)
        if found is None and reserve is not None:
            reserve(max(0, gram_bytes(shape, policy) - workspace_bytes(shape, policy, algorithm)))
    return solve_gram(wide, policy, total) if found is None else found


def _exact(wide: torch.Tensor, policy: RankPolicy, seed: int, total: float) -> TruncatedSvd | None:
    """The certified answer by iteration; None where the whole spectrum comes cheaper."""
    sketch = propose(wide, policy, total, seed=seed)
    return None if sketch is None else refine(wide, sketch, policy, total)


def _randomised(
    wide: torch.Tensor, policy: RankPolicy, iterations: int, seed: int, total: float, smaller: tuple[int, ...]
) -> TruncatedSvd | None:
    """The answer of at most so many iterations, no worse than as many of subspace iteration."""
    if iterations >= MANY_ROUNDS:
        sketch = propose(wide, policy, total, seed=seed, rounds=iterations, smaller=smaller)
        found = None
        if sketch is not None and sketch.expected <= sketch.allowed and not sketch.falls_short:
            found = unjudged(wide, sketch.vectors, policy, total, rounds=sketch.rounds, expected=sketch.expected)
        elif sketch is not None and sketch.rounds < iterations:
            most = min(MOST_ROUNDS, iterations - sketch.rounds)
            found = refine(wide, sketch, policy, total, share=CONVERGED, most=most)
        if found is not None:
            return found
    left = iterate(wide, policy.cap((int(wide.shape[0]), int(wide.shape[1]))), iterations, seed=seed)
    return unjudged(wide, left, policy, total, rounds=iterations)


def _moderate(delta: torch.Tensor, total: float) -> tuple[torch.Tensor, int]:
    """The delta times a power of two, which changes no digit, and its exponent; itself where its norm is moderate."""
    if MODERATE[0] <= total <= MODERATE[1]:
        return delta, 0
    exponent = moderate_exponent(total)
    return delta * math.ldexp(1.0, -exponent), exponent
