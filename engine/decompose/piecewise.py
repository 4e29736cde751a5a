"""The best rank-r part of a matrix that is gone over in pieces: the float64 Gram matrix of its short side.

Two passes: one sums the Gram matrix, one forms the factor of the long side and what is left over. Where squaring loses
too many digits, or the promise is not kept, the triangle R of a float64 QR decomposition, made piece by piece too,
takes the place of the Gram matrix: its singular values are those of the matrix, to float64's rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from engine.decompose import lapack
from engine.decompose.decomposition import MODERATE, TruncatedSvd, moderate_exponent, within_promise
from engine.decompose.delta import energy
from engine.decompose.pieces import Pieces, ScaledPieces
from engine.decompose.products import add_gram, fill_below
from engine.decompose.rank_rules import RankPolicy, Values
from engine.decompose.workspace import piecewise_bytes, triangle_bytes

SQUARED_NOISE = 1.5e-8  # square root of float64's rounding: what a zero singular value may come out as, over s1


def svd_of_pieces(
    pieces: Pieces, policy: RankPolicy, total: float | None, *, reserve: Callable[[int], None] | None = None
) -> TruncatedSvd:
    """Decompose a matrix as far as the policy keeps of it, to the promise of ``svd_linalg``.

    Args:
        pieces: (out, in), finite and not all zero, on the host.
        policy: decides the rank.
        total: its squared Frobenius norm, where it is known.
        reserve: told the bytes that are needed beyond `piecewise_bytes`, before they are taken; may raise.
    """
    total = sum(energy(piece) for _, piece in pieces) if total is None else total
    if not MODERATE[0] <= total <= MODERATE[1]:
        exponent = moderate_exponent(total)
        factor = math.ldexp(1.0, exponent)
        scaled = ScaledPieces(pieces, math.ldexp(1.0, -exponent))
        total = sum(energy(piece) for _, piece in scaled)
        found = svd_of_pieces(scaled, policy.scaled(math.ldexp(1.0, -exponent)), total, reserve=reserve)
        return replace(
            found,
            s=found.s * factor,
            values=found.values * factor,
            residual_energy=found.residual_energy * factor * factor,
            largest_left=found.largest_left * factor,
        )
    return _by_gram(pieces, policy, total) or _by_triangle(pieces, policy, total, reserve)


def gram_of_pieces(pieces: Pieces) -> torch.Tensor:
    """The product of a matrix's short side with itself in float64, (k, k), both triangles filled."""
    k = pieces.short
    gram = torch.zeros(k, k, dtype=torch.float64)
    for _, piece in pieces:
        add_gram(gram, (piece.T if pieces.tall else piece).to(torch.float64))
    fill_below(gram)
    return gram


def _by_gram(pieces: Pieces, policy: RankPolicy, total: float) -> TruncatedSvd | None:
    """By the eigenvectors of the Gram matrix; None where they are not accurate enough."""
    try:
        eigenvalues, vectors = lapack.eigh(gram_of_pieces(pieces), in_place=True)
    except LinAlgError:
        return None
    values: Values = eigenvalues.flip(0).clamp_(min=0).sqrt_().numpy()
    if policy.resolves_below(SQUARED_NOISE, values, pieces.shape):
        return None
    rank, capped = policy.choose(values, pieces.shape, energy=total, value_sum=float(values.sum()))
    short = vectors[:, -rank:].flip(1).to(torch.float32)
    del vectors, eigenvalues
    found = _with_long_side(pieces, short, values, capped, "gram")
    optimum = float(np.square(values[rank:]).sum())
    return found if within_promise(found.residual_energy, found.residual_energy - optimum, total) else None


def _by_triangle(
    pieces: Pieces, policy: RankPolicy, total: float, reserve: Callable[[int], None] | None
) -> TruncatedSvd:
    """By the singular value decomposition of R, where the matrix is Q R, in float64."""
    if reserve is not None:
        more = triangle_bytes(pieces.shape, policy.cap(pieces.shape))
        reserve(max(0, more - piecewise_bytes(pieces.shape, policy.cap(pieces.shape))))
    triangle = torch.zeros(0, pieces.short, dtype=torch.float64)
    for _, piece in pieces:
        rows = (piece if pieces.tall else piece.T).to(torch.float64)
        triangle = lapack.triangle(torch.cat([triangle, rows]))
    _, s, vh = lapack.svd(triangle)
    values: Values = s.numpy()
    rank, capped = policy.choose(values, pieces.shape, energy=total, value_sum=float(values.sum()))
    short = vh[:rank].T.to(torch.float32).contiguous()
    del triangle, vh
    return _with_long_side(pieces, short, values, capped, "lapack")


def _with_long_side(pieces: Pieces, short: torch.Tensor, values: Values, capped: bool, solver: str) -> TruncatedSvd:
    """The decomposition to orthonormal columns on the short side, (k, r): the matrix times them, piece by piece."""
    rank = int(short.shape[1])
    shape = (pieces.long, rank) if pieces.tall else (rank, pieces.long)
    long = torch.empty(shape, dtype=torch.float32)
    squares, lost = torch.zeros(rank, dtype=torch.float64), 0.0
    for place, piece in pieces:
        if pieces.tall:
            part = torch.mm(piece, short, out=long[place])
            lost += energy(torch.addmm(piece, part, short.T, alpha=-1.0))
            squares += part.to(torch.float64).square_().sum(0)
        else:
            part = short.T @ piece
            lost += energy(torch.addmm(piece, short, part, alpha=-1.0))
            squares += part.to(torch.float64).square_().sum(1)
            long[:, place] = part
    s = squares.sqrt_()
    order = torch.argsort(s, descending=True, stable=True)
    scale = s[order].clamp(min=torch.finfo(torch.float32).tiny).to(torch.float32)
    s, short = s[order], short[:, order]
    moved = not bool((order == torch.arange(rank)).all())
    for start in range(0, pieces.long, 1 << 12):  # a few at a time: no second copy of the long side
        part = long[start : start + (1 << 12)] if pieces.tall else long[:, start : start + (1 << 12)]
        if moved:
            part.copy_(part[:, order] if pieces.tall else part[order])
        part.div_(scale if pieces.tall else scale[:, None])
    u, vh = (long, short.T.contiguous()) if pieces.tall else (short.contiguous(), long)
    after = float(values[rank]) if rank < len(values) else 0.0
    return TruncatedSvd(u, s, vh, values, lost, after, capped, solver, 0)
