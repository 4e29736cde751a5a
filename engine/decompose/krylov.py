"""The block Krylov basis of A A^T on the short side, grown by products in low precision, and Rayleigh-Ritz in it.

Musco & Musco 2015, https://arxiv.org/abs/1504.05477; Tropp & Webber 2023, https://arxiv.org/abs/2306.12418. The delta
is held in bfloat16 where the processor multiplies that faster than float32; blocks, orthogonalisation and the small
eigenproblem stay in float32. Blocks are narrow, since what counts for accuracy is the whole basis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from engine.decompose import lapack
from engine.decompose.certificate import Array, missing_energy
from engine.decompose.products import exact_product, fast_dtype, gram_product
from engine.decompose.workspace import CHUNK_BYTES
from engine.steps import check

_TAIL = 1.6  # the norm on the complement is at most the last block's plus so many couplings, see `KrylovBasis.ritz`
_DITHER = 1e-6  # of a block's size: directions to go on with where nothing else is left
_SMALL_OVERLAP = 1e-4  # with the basis: taking it out leaves the block orthonormal to its square
_EPSILON = {torch.bfloat16: 2.0**-9, torch.float32: 2.0**-20}  # relative error of a product that is iterated
_STILL_FALLING = 0.9  # of the gain before: a pace from which the rest can be summed up
_FLOOR = 0.05  # of the squared rounding: as much of the largest value turns up where nothing is
_EXACT_GAIN = 0.25  # what is left of the rounding, in energy, where the first rounds are exact


@dataclass(frozen=True)
class Ritz:
    """Rayleigh-Ritz of M in the basis.

    Attributes:
        values: Ritz values, (n,), descending.
        vectors: in the basis, (n, n) float32 on the host, columns.
        residuals: squared norms of their residuals, (n,).
        rest: norm of M on the complement of the basis, estimated from above.
        noise: what rounding adds to `residuals`, (n,).
        floor: what rounding adds to `rest`.
    """

    values: Array
    vectors: torch.Tensor
    residuals: Array
    rest: float
    noise: Array
    floor: float

    def hidden(self, rank: int) -> float:
        """Energy that the leading `rank` are expected to miss by rounding alone."""
        return float(missing_energy(self.values[:rank], self.noise[:rank], self.rest).sum())

    def beyond_rounding(self, rank: int) -> float:
        """Bound of what the leading `rank` miss, without what is rounding and will not go away by iterating."""
        residuals = np.maximum(0.0, self.residuals[:rank] - self.noise[:rank])
        return float(missing_energy(self.values[:rank], residuals, max(0.0, self.rest - self.floor)).sum())


class KrylovBasis:
    """An orthonormal basis of span{M G, M^2 G, ...}, and M in it. Its vectors are rows, which multiplies faster."""

    def __init__(
        self, wide: torch.Tensor, width: int, room: int, *, seed: int, total: float, exact_rounds: int
    ) -> None:
        self._wide, self._low = wide, wide.to(fast_dtype(wide.device.type))
        self._total, self._known = total, 0
        self._exact_rounds = exact_rounds
        # Drawn on the host, so that the same seed gives the same block on every device.
        start = torch.randn(width, wide.shape[0], generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
        self._start = start.to(wide.device)
        self._q = wide.new_empty(room, wide.shape[0])
        self._t = wide.new_zeros(room, room)
        self._width = width
        self._device_waits = wide.device.type != "cpu"  # there a look at a number costs more than a factorisation
        self.columns = 0
        self.rounds = -1
        self._begin(total)

    def _begin(self, total: float) -> None:
        """Make the first block from the start; `total` is the squared norm of what is iterated with."""
        self._floor = _DITHER * total
        block = self._start - (self._start @ self.basis.T) @ self.basis
        product = self._low_product(_factored(block)[0])
        self._block, self._coupling = _factored(product - (product @ self.basis.T) @ self.basis)

    def deflate(self, turn: torch.Tensor) -> None:
        """Begin again on what the leading Ritz vectors leave over, so that its products are rounded at its own size.

        Products in low precision lose what lies more than about 2^-9 below the largest singular value. The leading
        vectors take one step with A A^T in float32, which leaves of their error what it was times the ratio of the
        eigenvalues, join the new basis as its first rows, and are subtracted from the delta before it is rounded.

        Args:
            turn: of the leading Ritz vectors, (columns, d) float32.
        """
        leading = self._product(self.vectors(turn).T)
        leading = _factored(leading)[0]
        images = exact_product(leading, self._wide.T)  # (d, l)
        values, rotation = torch.linalg.eigh(gram_product(images, images, exact=True).cpu())
        rotation = rotation.flip(1).to(leading.device, torch.float32)
        leading, images = rotation.T @ leading, rotation.T @ images
        self._known = len(leading)
        step = max(1, CHUNK_BYTES // (4 * self.side))
        for start in range(0, int(self._wide.shape[1]), step):
            check()
            piece = slice(start, start + step)
            self._low[:, piece] = torch.addmm(self._wide[:, piece], leading.T, images[:, piece], alpha=-1.0)
        self._q[: self._known] = leading
        self._t.zero_()
        self._t[: self._known, : self._known] = torch.diag(values.flip(0)).to(self._t)
        self.columns = self._known
        self._begin(max(0.0, self._total - float(values.sum())))

    @property
    def rounds_off(self) -> bool:
        """Whether products are of lower precision than the delta, so that `deflate` gains anything."""
        return self._low.dtype is not self._wide.dtype

    @property
    def side(self) -> int:
        """Length of the vectors."""
        return int(self._q.shape[1])

    def extend(self) -> None:
        """Take the next block into the basis and make the one after it."""
        check()
        start, end = self.columns, self.columns + self._width
        if end > len(self._q):
            self._grow()
        self._q[start:end] = self._block
        q = self._q[:end]
        self.columns, self.rounds = end, self.rounds + 1
        following = (self._product if self.rounds < self._exact_rounds else self._low_product)(self._block)
        size = torch.linalg.vector_norm(following, dim=1).amax().clamp(min=self._floor)
        overlap = following @ q.T
        following.addmm_(overlap, q, alpha=-1.0)
        following.add_(self._start.roll(end, 1) * (size * (_DITHER / math.sqrt(self.side))))
        self._block, self._coupling = _factored(following)
        # Once more after scaling: what is left of the basis in a small remainder has grown with it.
        remainder = self._block @ q.T
        self._block.addmm_(remainder, q, alpha=-1.0)
        if self._device_waits or float(remainder.abs().amax()) > _SMALL_OVERLAP:
            self._block = _factored(self._block)[0]
        overlap[:, : self._known] = 0.0  # an invariant space: what shows there is rounding
        self._t[:end, start:end] = overlap.T
        self._t[start:end, :start] = overlap[:, :start]

    def ritz(self) -> Ritz | None:
        """Rayleigh-Ritz in the basis; None where values are not finite.

        M on the complement is the block tridiagonal matrix of the rounds to come. Its norm is at most that of the
        last block met plus twice the coupling, if these only fall from here on. They do fall: on twelve realistic and
        flat deltas of the benchmark the norm was 0.05 to 1.55 couplings above the last block's.
        """
        t = self._t[: self.columns, : self.columns].cpu()
        coupling = self._coupling.cpu()
        if not bool(torch.isfinite(t).all()):
            return None
        values, vectors = lapack.eigh(t)
        values, vectors = values.flip(0), vectors.flip(1)
        last = t[self.columns - self._width :, self.columns - self._width :]
        rest = float(torch.linalg.eigvalsh(last)[-1]) + _TAIL * float(torch.linalg.matrix_norm(coupling, 2))
        residuals = (coupling @ vectors[-self._width :]).to(torch.float64).square().sum(dim=0).numpy()
        mu = values.to(torch.float64).clamp(min=0.0).numpy()
        squared = _EPSILON[self._low.dtype] ** 2 * (_EXACT_GAIN if self._exact_rounds else 1.0)
        iterated = np.where(np.arange(len(mu)) < self._known, 0.0, mu)
        noise: Array = squared * iterated * (iterated + 4.0 * float(iterated.sum()) / self.side)
        floor = _FLOOR * _EPSILON[self._low.dtype] ** 2 * float(iterated.max())
        return Ritz(mu, vectors, residuals, rest, noise, floor)

    def outlook(self, rank: int) -> float:
        """Energy that further blocks would still add to the leading `rank` Ritz values, by the pace of the last two.

        Infinite where that tells nothing: too few blocks, or no pace any more, as where rounding has the say.
        """
        sizes = [self.columns - back * self._width for back in range(3)]
        if sizes[-1] < rank:
            return math.inf
        t = self._t[: self.columns, : self.columns].cpu().to(torch.float64)
        kept = [float(torch.linalg.eigvalsh(t[:size, :size])[-rank:].sum()) for size in sizes]
        last, before = kept[0] - kept[1], kept[1] - kept[2]
        return last * last / (before - last) if 0.0 < last < _STILL_FALLING * before else math.inf

    @property
    def basis(self) -> torch.Tensor:
        """The basis, (columns, k), in rows."""
        return self._q[: self.columns]

    def vectors(self, turn: torch.Tensor) -> torch.Tensor:
        """Combine the basis: (columns, w) -> (k, w)."""
        return self.basis.T @ turn.to(self._q.device)

    def _product(self, block: torch.Tensor) -> torch.Tensor:
        """M times the rows of a block, in float32."""
        return exact_product(exact_product(block, self._wide.T), self._wide)

    def _low_product(self, block: torch.Tensor) -> torch.Tensor:
        """M times the rows of a block, in low precision."""
        return ((block.to(self._low.dtype) @ self._low) @ self._low.T).to(torch.float32)

    def _grow(self) -> None:
        room = min(len(self._q) + max(4 * self._width, len(self._q) // 2), self.side + self._width)
        q, t = self._q.new_empty(room, self.side), self._t.new_zeros(room, room)
        q[: self.columns] = self._q[: self.columns]
        t[: self.columns, : self.columns] = self._t[: self.columns, : self.columns]
        self._q, self._t = q, t


def _factored(block: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal rows of the span of a block's rows, and R with block.T = rows.T @ R."""
    q, r = lapack.qr(block.T)
    return q.T, r
