"""How much energy a basis can still be missing: the bound that every iteration here is stopped by.

Let M = A A^T, Q an orthonormal basis with Ritz pairs (mu_i, y_i) of Q^T M Q, and D what M is on the complement:

    M = [[H, C^T],[C, D]],      |C y_i| = |M Q y_i - mu_i Q y_i|, the residual of Ritz pair i.

An eigenvalue of M above delta >= ||D|| exceeds its Ritz value by at most |C y_i|^2 / (mu_i - delta) to first order in
the residuals' squares: the quadratic residual bound (R. Mathias, Quadratic residual bounds for the Hermitian
eigenvalue problem, SIAM J. Matrix Anal. Appl. 19, 1998). As delta belongs to what the *whole* basis leaves over, not to
the next Ritz value, the bound does not need a gap at the rank: clusters and flat noise are certified too.

Where mu does not stand above delta, as beyond the rank of a matrix of low rank, Weyl's inequality still bounds the
eigenvalue by max(mu, delta) + |C y_i|.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def missing_energy(ritz: Array, residuals: Array, rest: float | Array) -> Array:
    """Bound for each Ritz value of A A^T: how far the true eigenvalue may lie above it.

    Args:
        ritz: Ritz values mu, (K,).
        residuals: squared norms of their residuals, or of parts of them, (K,) or (n, K).
        rest: delta, an upper bound of A A^T on the complement of the basis, or where each part lies, (n, 1).

    Returns:
        In the shape of `residuals`.
    """
    linear = np.maximum(0.0, rest - ritz) + np.sqrt(residuals)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        quadratic = np.where(ritz > rest, residuals / (ritz - rest), np.inf)
    return np.asarray(np.fmin(linear, quadratic))


def power_iteration_excess(ritz: Array, rank: int, iterations: int) -> float:
    """Energy that subspace iteration without oversampling, as ``torch.svd_lowrank(q=rank)``, is expected to miss.

    With start Omega its space leans towards direction j > rank by (s_j / s_i)^(2 n + 1) X_ji, X = Omega_2 Omega_1^-1,
    whose squares are typically above 1 (Halko, Martinsson & Tropp 2011, theorem 9.1). Counted with 1, over the
    directions given, this is an estimate from below.

    Args:
        ritz: Ritz values of A A^T, descending, at least `rank` of them.
        rank: columns that are iterated.
        iterations: n.
    """
    kept, left = ritz[:rank, None], ritz[None, rank:]
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        lean = np.where(kept > 0.0, (left / kept) ** (2 * iterations + 1), 0.0)
    return float((lean * (kept - left)).sum())
