"""How much a Krylov basis can still be missing: the bound that stops the iteration, and nothing else.

Let M = A A^T and Q an orthonormal basis with Ritz pairs (mu_i, y_i) of Q^T M Q. In the basis [Q, Q_rest]

    M = [[H, C^T], [C, D]],      C y_i = residual of the Ritz vector i.

An eigenvalue of M above delta >= ||D|| exceeds its Ritz value by at most |C y_i|^2 / (mu_i - delta) to first order in
the residuals' squares: the quadratic residual bound (R. Mathias, Quadratic residual bounds for the Hermitian
eigenvalue problem, SIAM J. Matrix Anal. Appl. 19, 1998). As delta belongs to what the *whole* basis leaves over, not to
the next Ritz value, the bound does not need a gap at the rank: clusters and flat noise are certified too. In a block
Krylov basis only the last block has a residual, so C y_i is its triangular factor times the last rows of y_i.

Where mu does not stand above delta, as beyond the rank of a matrix of low rank, Weyl's inequality still bounds the
eigenvalue by max(mu, delta) + |C y_i|.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DELTA_SAFETY = 1.25  # ||D|| is measured on the next block's span, which holds nearly all of it


def missing_energy(ritz: Array, vectors: Array, coupling: Array, rest: float) -> Array:
    """Bound for each Ritz value of A A^T: how far the true eigenvalue may lie above it.

    Args:
        ritz: Ritz values mu, descending, (K,).
        vectors: their vectors in the basis, (K, K), columns.
        coupling: triangular factor of the next block, (b, b): A A^T Q_last = Q (...) + Q_next @ coupling.
        rest: largest eigenvalue of A A^T on the span of the next block.

    Returns:
        (K,).
    """
    last = coupling.shape[1]
    residual = np.square(coupling @ vectors[-last:]).sum(axis=0)
    delta = DELTA_SAFETY * rest
    linear = np.maximum(0.0, delta - ritz) + np.sqrt(residual)
    with np.errstate(divide="ignore", invalid="ignore"):
        quadratic = np.where(ritz > delta, residual / (ritz - delta), np.inf)
    return np.asarray(np.minimum(linear, quadratic))
