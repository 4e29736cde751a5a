"""Exact solvers that see the whole spectrum: the smaller Gram matrix in float64, and LAPACK as last resort.

Squaring halves the digits, and float64 has twice those of the float32 delta: singular values below 1.5e-8 s1 drown,
which is under the delta's own rounding. Every result is checked against the promise of `within_promise`.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from engine.decompose import lapack
from engine.decompose.decomposition import TruncatedSvd, normalised, residual_energy, within_promise
from engine.decompose.pieces import in_pieces
from engine.decompose.piecewise import SQUARED_NOISE, svd_of_pieces
from engine.decompose.products import add_gram, fill_below, product
from engine.decompose.rank_rules import RankPolicy, Values
from engine.decompose.workspace import CHUNK_BYTES
from engine.steps import check


def gram_matrix(wide: torch.Tensor) -> torch.Tensor:
    """Form wide @ wide.T in float64, (k, l) -> (k, k).

    A few columns at a time, so that no float64 copy is held, and only the blocks on and above the diagonal.
    """
    k, columns = int(wide.shape[0]), int(wide.shape[1])
    step = max(1, CHUNK_BYTES // (8 * k))
    gram = torch.zeros(k, k, dtype=torch.float64, device=wide.device)
    for start in range(0, columns, step):
        check()
        add_gram(gram, wide[:, start : start + step].to(torch.float64))
    fill_below(gram)
    return gram


def solve_gram(wide: torch.Tensor, policy: RankPolicy, total: float) -> TruncatedSvd:
    """Decompose (k, l) with k <= l by the eigenvectors of its (k, k) Gram matrix; LAPACK where that fails."""
    pieces = in_pieces(wide.T if wide.stride(0) == 1 else wide)  # as the delta lies in memory
    if pieces is not None:
        found = svd_of_pieces(pieces, policy, total)
        return replace(found, u=found.vh.T, vh=found.u.T) if pieces.tall else found
    matrix = wide.cpu() if wide.device.type == "mps" else wide  # no float64 there
    shape = (int(matrix.shape[0]), int(matrix.shape[1]))
    try:
        eigenvalues, vectors = lapack.eigh(gram_matrix(matrix), in_place=True)
    except LinAlgError:
        return solve_lapack(wide, policy)
    values: Values = eigenvalues.flip(0).clamp_(min=0).sqrt_().cpu().numpy()
    if policy.resolves_below(SQUARED_NOISE, values, shape):
        return solve_lapack(wide, policy)
    rank, capped = policy.choose(values, shape, energy=total, value_sum=float(values.sum()))
    left = vectors[:, -rank:].flip(1).to(torch.float32).contiguous()
    del eigenvalues, vectors
    right = product(left.T, matrix)
    lost = residual_energy(matrix, left, right)
    if not within_promise(lost, lost - float(np.square(values[rank:]).sum()), total):
        return solve_lapack(wide, policy)
    left, s, right = normalised(left, right)
    device = wide.device
    return TruncatedSvd(left.to(device), s, right.to(device), values, lost, _after(values, rank), capped, "gram", 0)


def solve_lapack(wide: torch.Tensor, policy: RankPolicy) -> TruncatedSvd:
    """Last resort: the thin SVD in float64 on the host."""
    matrix = wide.cpu().to(torch.float64)
    shape = (int(matrix.shape[0]), int(matrix.shape[1]))
    u, s, vh = lapack.svd(matrix)
    values = s.numpy()
    rank, capped = policy.choose(values, shape, energy=float(s.square().sum()), value_sum=float(s.sum()))
    left, right = (part.to(wide.device, torch.float32) for part in (u[:, :rank], vh[:rank]))
    lost = float(s[rank:].square().sum())
    return TruncatedSvd(left, s[:rank].clone(), right, values, lost, _after(values, rank), capped, "lapack", 0)


def _after(values: Values, rank: int) -> float:
    """The first singular value that is not kept."""
    return float(values[rank]) if rank < len(values) else 0.0


def all_values(wide: torch.Tensor, policy: RankPolicy) -> Values:
    """All singular values of (k, l), descending, as accurately as the policy needs them."""
    matrix = wide.cpu() if wide.device.type == "mps" else wide
    shape = (int(matrix.shape[0]), int(matrix.shape[1]))
    with suppress(LinAlgError):
        eigenvalues = lapack.eigvalsh(gram_matrix(matrix))
        values: Values = eigenvalues.flip(0).clamp_(min=0).sqrt_().cpu().numpy()
        if math.isfinite(float(values.sum())) and not policy.resolves_below(SQUARED_NOISE, values, shape):
            return values
    return np.asarray(lapack.svdvals(matrix.cpu().to(torch.float64)).numpy())
