"""Subspace iteration in float32 with oversampling: what ``svd_lowrank`` does where a sketch cannot be trusted.

Halko, Martinsson & Tropp 2011, algorithm 4.4, https://arxiv.org/abs/0909.4061. Orthonormal between any two products, so
that values far below the largest survive. With more columns than the rank it is never worse than
``torch.svd_lowrank(q=rank)`` at as many iterations, but for the luck of the draw.
"""

from __future__ import annotations

import torch

from engine.decompose import lapack
from engine.decompose.products import product
from engine.decompose.workspace import oversampled


def iterate(wide: torch.Tensor, cap: int, iterations: int, *, seed: int) -> torch.Tensor:
    """An orthonormal basis, (k, w), of a space near the leading `cap` left singular vectors of (k, l).

    Args:
        wide: float32.
        cap: the largest rank wanted.
        iterations: products with A A^T after the first with A.
        seed: of the start.
    """
    width = min(int(wide.shape[0]), oversampled(cap))
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(wide.shape[1], width, generator=generator, dtype=torch.float32).to(wide.device)
    left: torch.Tensor = lapack.qr(product(wide, start))[0]
    for _ in range(iterations):
        right = lapack.qr(product(wide.T, left))[0]
        left = lapack.qr(product(wide, right))[0]
    return left
