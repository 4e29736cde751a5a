"""What changed factors lose of a delta, from small products of the factors wherever those are exact enough."""

from __future__ import annotations

import math

import torch

from engine.decompose.decomposition import TruncatedSvd, residual_energy
from engine.decompose.pieces import Pieces
from engine.steps import check

_NEGLIGIBLE = 1e-7  # of the delta's energy: errors of the error that nobody can see
_FEW_ROWS = 32  # whose error may settle that clamping costs too much


class ExactFactors:
    """A delta and its best factors, against which changed factors are judged.

    With E what the best factors leave of the delta, E is orthogonal to them, exactly on the left and as far as they
    have converged on the right, where only a change that is no rounding would show it. So

        |delta - P Q|^2 = |E|^2 + |up down - P Q|^2 - 2 <E, (P - up)(Q - down)>

    The columns of `up` and the rows of `down` are orthogonal with squared norms s, so that with dP = P - up and
    dQ = Q - down the second term is, but for terms with both dP and dQ,

        sum_i s_i |dQ_i|^2 + sum_i s_i |dP_i|^2 + 2 <up^T dP, dQ down^T>

    which takes two small products. The terms with both are at most |dP| |dQ| (2 |up dQ| + 2 |dP down| + |dP| |dQ|);
    where that is not negligible two more small products give them. The third term is at most 2 |E|_2 |dP| |dQ|, with
    the spectral norm of E; where that is not negligible the residual is formed as it stands.
    """

    def __init__(
        self, delta: torch.Tensor | Pieces | None, up: torch.Tensor, down: torch.Tensor, svd: TruncatedSvd, total: float
    ) -> None:
        self.delta, self.up, self.down, self.total = delta, up, down, total
        self.residual, self.largest_left = svd.residual_energy, svd.largest_left
        self._s = svd.s

    def lost(self, up: torch.Tensor, down: torch.Tensor, scale: float = 1.0, *, measured: bool = False) -> float:
        """|delta - scale * up @ down|^2, to 1e-7 of |delta|^2; at most that much where no delta is at hand.

        Args:
            up: (out, r) float32.
            down: (r, in) float32.
            scale: of their product.
            measured: form the product in any case.
        """
        if self.delta is None:
            added, doubt = self.added(up, down, scale)
            return min(self.total, self.residual + added + doubt)
        if not measured and 2 * up.shape[1] <= min(self.delta.shape):  # beyond that no cheaper than the residual itself
            added, doubt = self.added(up, down, scale)
            if doubt <= _NEGLIGIBLE * self.total:
                return self.residual + added
        return residual_energy(self.delta, up, down, scale)

    def lost_by(self, up: torch.Tensor, down: torch.Tensor, limit: float) -> float:
        """What changing the factors adds to the squared error; anything above `limit` where that is surely more."""
        added, doubt = self.added(up, down)
        if self.delta is None:
            return added + doubt
        if added - doubt <= limit:  # worth the whole product to be sure
            return residual_energy(self.delta, up, down) - self.residual
        return added

    def surely_adds(self, energy: float, up: torch.Tensor, down: torch.Tensor) -> bool:
        """Whether a look at the rows that changed most shows already that changing the factors adds more energy."""
        d_up, d_down = up - self.up, down - self.down
        per_row = torch.linalg.vector_norm(d_up, dim=1)
        both = float(torch.linalg.vector_norm(per_row)) * float(torch.linalg.vector_norm(d_down))
        rows = per_row.topk(min(_FEW_ROWS, len(per_row))).indices
        change = torch.addmm(d_up[rows] @ down, self.up[rows], d_down)
        return float(torch.linalg.vector_norm(change)) ** 2 > energy + 2.0 * self.largest_left * both

    def added(self, up: torch.Tensor, down: torch.Tensor, scale: float = 1.0) -> tuple[float, float]:
        """What changing the factors adds to the squared error, and a bound of how far that is off."""
        # Balanced: a power of two on each side changes no digit, and neither difference is drowned by the other.
        check()
        root = math.sqrt(scale)
        d_up, d_down = (up * root).sub_(self.up), (down * root).sub_(self.down)
        rows, columns = _squares(d_down, 1), _squares(d_up, 0)
        first, second = float(self._s @ rows), float(self._s @ columns)
        both = math.sqrt(float(rows.sum()) * float(columns.sum()))
        doubt = 2.0 * self.largest_left * both
        mixed = both * (2.0 * (math.sqrt(first) + math.sqrt(second)) + both)
        if mixed <= _NEGLIGIBLE * self.total:
            cross, doubt = d_down @ self.down.T, doubt + mixed
        else:
            right = self.down + d_down
            cross = d_down @ right.T
            second = float(((d_up.T @ d_up) * (right @ right.T)).sum())
        cross = (self.up.T @ d_up) * cross
        return max(0.0, first + second + 2.0 * float(cross.sum())), doubt


def _squares(tensor: torch.Tensor, dim: int) -> torch.Tensor:
    """Squared norms along a dimension, float64 on the host."""
    norms: torch.Tensor = torch.linalg.vector_norm(tensor, dim=dim)
    return norms.cpu().to(torch.float64).square()
