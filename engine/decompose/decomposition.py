"""The result of every solver, and the matrix they all work on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from engine.decompose.delta import energy
from engine.decompose.pieces import Pieces, in_pieces, residual_in_pieces
from engine.decompose.rank_rules import Values
from engine.decompose.workspace import CHUNK_BYTES
from engine.steps import check

MODERATE = 2.0**-40, 2.0**60  # squared norms whose squares, with seven digits below them, stay inside float32
ABOVE_OPTIMUM, OF_NORM = 1e-5, 1e-6  # what svd_linalg promises: error <= (1 + 1e-5) optimum + 1e-6 |delta|


@dataclass(frozen=True)
class TruncatedSvd:
    """The leading part of a delta's singular value decomposition: delta ~ u @ diag(s) @ vh.

    Attributes:
        u: (out, r) float32, orthonormal columns.
        s: singular values, (r,) float64 on the host, descending.
        vh: (r, in) float32, unit rows.
        values: singular values that were computed, at least `s`; on the host.
        residual_energy: |delta - u @ diag(s) @ vh|^2, squared Frobenius norm.
        largest_left: spectral norm of the same difference, estimated from above.
        capped: the adaptive rule asked for more than the cap.
        solver: ``krylov``, ``gram`` or ``lapack``.
        iterations: rounds of the iteration; 0 for the others.
    """

    u: torch.Tensor
    s: torch.Tensor
    vh: torch.Tensor
    values: Values
    residual_energy: float
    largest_left: float
    capped: bool
    solver: str
    iterations: int

    @property
    def rank(self) -> int:
        """Number of singular values kept."""
        return len(self.s)

    def leading(self, rank: int, *, capped: bool) -> TruncatedSvd:
        """The decomposition to a smaller rank: its leading part, as near to the optimum there as this one at its own.

        Ritz values lie below the eigenvalues, each of them. So what the leading part misses of the best one is at most
        what the whole misses, while `allowed_energy` grows with what the smaller rank has to leave over.

        Args:
            rank: at least 1.
            capped: see the attribute.
        """
        if rank >= self.rank:
            return self if capped == self.capped else replace(self, capped=capped)
        return replace(
            self,
            u=self.u[:, :rank].contiguous(),
            s=self.s[:rank].clone(),
            vh=self.vh[:rank].contiguous(),
            residual_energy=self.residual_energy + float(self.s[rank:].square().sum()),
            largest_left=max(self.largest_left, float(self.s[rank])),
            capped=capped,
        )


def allowed_energy(optimum: float, total: float) -> float:
    """How far a squared error may lie above the optimum by the promise.

    Args:
        optimum: smallest possible squared error.
        total: squared norm of the delta.
    """
    best = math.sqrt(max(0.0, optimum))
    slack = ABOVE_OPTIMUM * best + OF_NORM * math.sqrt(total)
    return slack * (2.0 * best + slack)


def within_promise(lost: float, missing: float, total: float, share: float = 1.0) -> bool:
    """Whether an error is as near to the optimum as promised; never true of NaN.

    Args:
        lost: squared error, |delta - kept|^2.
        missing: upper bound of how far that lies above the smallest possible squared error.
        total: squared norm of the delta.
        share: of the promise that may be used up, where `missing` is not exact.
    """
    return missing <= share * allowed_energy(lost - max(0.0, missing), total)


def moderate_exponent(total: float) -> int:
    """The power of two by which a delta of this squared norm is divided to be of moderate size."""
    return max(-126, min(127, math.frexp(math.sqrt(total))[1]))


def residual_energy(delta: torch.Tensor | Pieces, up: torch.Tensor, down: torch.Tensor, scale: float = 1.0) -> float:
    """|delta - scale * up @ down|^2, squared Frobenius norm, without ever holding the whole product.

    Formed as it stands rather than from the identity of the norms, which cancels for small residuals.
    """
    pieces = in_pieces(delta)
    if pieces is not None:
        return residual_in_pieces(pieces, up, down, scale)
    assert isinstance(delta, torch.Tensor)
    step = max(1, CHUNK_BYTES // (4 * max(1, int(delta.shape[1]))))
    lost = 0.0
    for start in range(0, int(delta.shape[0]), step):
        check()
        rows = slice(start, start + step)
        lost += energy(torch.addmm(delta[rows], up[rows], down, alpha=-scale))
    return lost


def normalised(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split (k, r) x (r, l) with orthonormal `left` into left, singular values, unit rows, descending."""
    lengths = torch.linalg.vector_norm(right, dim=1).cpu().to(torch.float64)
    order = torch.argsort(lengths, descending=True, stable=True)
    if not bool((order == torch.arange(len(order))).all()):
        place = order.to(left.device)
        left, right, lengths = left[:, place], right[place], lengths[order]
    scale = lengths.clamp(min=torch.finfo(torch.float32).tiny).to(right.device, torch.float32)
    return left, lengths, right / scale[:, None]
