"""The best rank-r part of a matrix: the one function behind which every solver lives.

Exact (``svd_linalg``): the eigen-decomposition of the smaller Gram matrix, formed in float64. Squaring halves the
digits, and float64 has twice those of the float32 delta: singular values below 1.5e-8 s1 drown, which is under the
delta's own rounding. The result is checked; LAPACK's SVD in float64 answers where the check or the solver fails.

Randomised (``svd_lowrank``): subspace iteration with oversampling, Halko, Martinsson & Tropp 2011, algorithms 4.4
and 5.1 (https://arxiv.org/abs/0909.4061), with an own generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from engine.decompose.rank_rules import RankPolicy, Values
from engine.deltas import energy
from engine.settings import Algorithm

SOLVER_VERSION = 1  # raised when the same delta, policy and seed may give other numbers
_CHUNK_BYTES = 32 * 1024 * 1024
_SQUARING_LIMIT = 1e-6  # a ratio this close to the noise of the squared spectrum is decided by LAPACK instead
_ABOVE_OPTIMUM, _OF_NORM = 1e-5, 1e-6  # what svd_linalg promises, see `truncated_svd`
_CONVERGED = 1e-7


@dataclass(frozen=True)
class TruncatedSvd:
    """The leading part of a delta's singular value decomposition: delta ~ u @ diag(s) @ vh.

    Attributes:
        u: (out, r) float32, orthonormal columns.
        s: singular values, (r,) float64 on the host, descending.
        vh: (r, in) float32, unit rows.
        values: all singular values that were computed, at least `s`.
        capped: the adaptive rule asked for more than the cap.
        solver: ``gram``, ``lapack`` or ``subspace``.
        iterations: of the randomised solver; 0 for the others.
    """

    u: torch.Tensor
    s: torch.Tensor
    vh: torch.Tensor
    values: Values
    capped: bool
    solver: str
    iterations: int

    @property
    def rank(self) -> int:
        """Number of singular values kept."""
        return len(self.s)


def truncated_svd(
    delta: torch.Tensor, policy: RankPolicy, *, algorithm: Algorithm, iterations: int = 7, seed: int = 0
) -> TruncatedSvd:
    """Decompose a delta as far as the policy keeps of it.

    Args:
        delta: (out, in) float32, finite and not all zero, on any device. It is not changed.
        policy: decides the rank.
        algorithm: ``svd_linalg`` for the best answer to working precision (error at most (1 + 1e-5) times the
            optimum plus 1e-6 times the norm), ``svd_lowrank`` for a randomised one.
        iterations: bound for the randomised solver.
        seed: of its generator.
    """
    # A power of two changes no digit, and keeps squares of 1e-20 or 1e20 inside float32.
    exponent = max(-126, min(127, math.frexp(float(delta.abs().max()))[1]))
    scaled = delta * math.ldexp(1.0, -exponent)
    wide = scaled.T if scaled.shape[0] > scaled.shape[1] else scaled
    cap = policy.cap((int(delta.shape[0]), int(delta.shape[1])))
    if algorithm == "svd_lowrank" and 2 * _width(cap, wide.shape[0]) < wide.shape[0]:
        found = _subspace(wide, policy, iterations, seed)
    else:
        found = _gram(wide, policy)
    left, s, right, values, capped, solver, rounds = found
    u, vh = (right.T, left.T) if wide is not scaled else (left, right)
    factor = math.ldexp(1.0, exponent)
    return TruncatedSvd(u.contiguous(), s * factor, vh.contiguous(), values * factor, capped, solver, rounds)


_Found = tuple[torch.Tensor, torch.Tensor, torch.Tensor, Values, bool, str, int]


def _gram(wide: torch.Tensor, policy: RankPolicy) -> _Found:
    """Exact solver for (k, l) with k <= l: eigenvectors of the (k, k) Gram matrix in float64."""
    host = wide.device.type == "mps"  # no float64 there
    matrix = wide.cpu() if host else wide
    shape = (int(matrix.shape[0]), int(matrix.shape[1]))
    try:
        eigenvalues, vectors = torch.linalg.eigh(gram_matrix(matrix))
    except RuntimeError:  # torch.linalg.LinAlgError is one
        return _lapack(wide, policy)
    values = eigenvalues.flip(0).clamp_(min=0).sqrt_().cpu().numpy()
    total = energy(matrix)
    deciding = values
    if _needs_lapack_values(policy):
        deciding = torch.linalg.svdvals(matrix.to(torch.float64)).cpu().numpy()
    rank, capped = policy.choose(deciding, shape, energy=total, value_sum=float(deciding.sum()))
    left = vectors.flip(1)[:, :rank].to(torch.float32).contiguous()
    right = left.T @ matrix
    lengths = torch.linalg.vector_norm(right, dim=1, dtype=torch.float64).cpu()
    if not _as_promised(residual_energy(matrix, left, right), total, values[:rank]):
        return _lapack(wide, policy)
    left, s, right = _normalised(left, lengths, right)
    return left.to(wide.device), s, right.to(wide.device), deciding, capped, "gram", 0


def _as_promised(lost: float, total: float, kept: Values) -> bool:
    """Whether the measured |delta - kept|^2 is within the promise; an eigensolver may lie without raising."""
    optimum = math.sqrt(max(0.0, total - float(np.square(kept).sum())))
    return math.sqrt(lost) <= (1 + _ABOVE_OPTIMUM) * optimum + _OF_NORM * math.sqrt(total)


def _lapack(wide: torch.Tensor, policy: RankPolicy) -> _Found:
    """Last resort: the thin SVD in float64 on the host."""
    matrix = wide.to("cpu", torch.float64)
    shape = (int(matrix.shape[0]), int(matrix.shape[1]))
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    values = s.numpy()
    rank, capped = policy.choose(values, shape, energy=float(s.square().sum()), value_sum=float(s.sum()))
    left, right = (part.to(wide.device, torch.float32) for part in (u[:, :rank], vh[:rank]))
    return left, s[:rank].clone(), right, values, capped, "lapack", 0


def _subspace(wide: torch.Tensor, policy: RankPolicy, iterations: int, seed: int) -> _Found:
    """Randomised solver for (k, l) with k <= l: at most `iterations` rounds of subspace iteration."""
    shape = (int(wide.shape[0]), int(wide.shape[1]))
    width = _width(policy.cap(shape), shape[0])
    # Drawn on the host, so that the same seed gives the same test matrix on every device.
    generator = torch.Generator().manual_seed(seed)
    test = torch.randn(shape[1], width, generator=generator, dtype=torch.float32).to(wide.device)
    total = energy(wide)
    basis = _orthonormal(wide @ test)
    captured, rounds = 0.0, 0
    for _ in range(iterations):
        product = wide @ _orthonormal(wide.T @ basis)
        basis = _orthonormal(product)
        rounds += 1
        previous, captured = captured, energy(product)
        if captured - previous <= _CONVERGED * max(total - captured, 0.0):
            break
    projected = basis.T @ wide
    eigenvalues, vectors = torch.linalg.eigh(gram_matrix(projected.cpu()))
    values = eigenvalues.flip(0).clamp_(min=0).sqrt_().numpy()
    value_sum = float(torch.linalg.svdvals(wide.to("cpu", torch.float64)).sum()) if policy.needs_all_values else 0.0
    rank, capped = policy.choose(values, shape, energy=total, value_sum=value_sum)
    turn = vectors.flip(1)[:, :rank].to(wide.device, torch.float32)
    right = turn.T @ projected
    lengths = torch.linalg.vector_norm(right, dim=1).cpu().to(torch.float64)
    left, s, right = _normalised(basis @ turn, lengths, right)
    return left, s, right, values, capped, "subspace", rounds


def residual_energy(delta: torch.Tensor, up: torch.Tensor, down: torch.Tensor, scale: float = 1.0) -> float:
    """|delta - scale * up @ down|^2, squared Frobenius norm, without ever holding the whole product.

    Formed as it stands rather than from the identity of the norms, which cancels for small residuals.
    """
    step = max(1, _CHUNK_BYTES // (4 * max(1, int(delta.shape[1]))))
    lost = 0.0
    for start in range(0, int(delta.shape[0]), step):
        rows = slice(start, start + step)
        lost += energy(torch.addmm(delta[rows], up[rows], down, alpha=-scale))
    return lost


def gram_matrix(wide: torch.Tensor) -> torch.Tensor:
    """Form wide @ wide.T in float64, (k, l) -> (k, k), a few columns at a time so that no float64 copy is held."""
    k, columns = int(wide.shape[0]), int(wide.shape[1])
    step = max(1, _CHUNK_BYTES // (8 * k))
    gram = torch.zeros(k, k, dtype=torch.float64, device=wide.device)
    for start in range(0, columns, step):
        piece = wide[:, start : start + step].to(torch.float64)
        gram.addmm_(piece, piece.T)
    return gram


def _needs_lapack_values(policy: RankPolicy) -> bool:
    small_ratio = policy.lora_type == "adaptive_ratio" and 0.0 < policy.adaptive_param < _SQUARING_LIMIT
    return policy.needs_all_values or small_ratio


def _width(cap: int, side: int) -> int:
    """Columns of the test matrix: the rank and an oversampling of at least 16, at most the side."""
    return min(side, cap + max(16, cap // 4))


def _orthonormal(tall: torch.Tensor) -> torch.Tensor:
    basis: torch.Tensor = torch.linalg.qr(tall)[0]
    return basis


def _normalised(
    left: torch.Tensor, lengths: torch.Tensor, right: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split (k, r) x (r, l) with row `lengths` of `right` into left, singular values, unit rows, descending."""
    order = torch.argsort(lengths, descending=True, stable=True)
    place = order.to(left.device)
    s = lengths[order]
    unit = right[place] / s.clamp(min=torch.finfo(torch.float32).tiny).to(right.device, torch.float32)[:, None]
    return left[:, place], s, unit
