"""Block Krylov iteration with a certificate: the exact answer at the price of a few thin products.

From a random block the basis of span{A x, (A A^T) A x, ...} grows a block at a time, fully reorthogonalised; A^T times
the basis is kept beside it, so that the Rayleigh-Ritz step costs no product with A. After each block the bound of
`certificate` says how much energy the leading Ritz vectors can be missing; the iteration ends when that is within
the promise. Blocks are narrow: what counts for accuracy is the whole basis (Musco & Musco 2015,
https://arxiv.org/abs/1504.05477; Tropp & Webber 2023, https://arxiv.org/abs/2306.12418).

Products are float32, what is summed up from them float64. The Frobenius identity |A|^2 - sum(mu) misjudges a rest
below a fifth of the norm, so there the residual is formed as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engine.decompose.certificate import Array, missing_energy
from engine.decompose.decomposition import TruncatedSvd, normalised, residual_energy, within_promise
from engine.decompose.rank_rules import RankPolicy

_CPU_BLOCK, _ACCELERATOR_BLOCK = 32, 64
_LARGEST_SHARE = 0.75  # of the short side: a basis beyond it costs more than the Gram matrix
_SMALL_REST = 0.04  # of the energy: below it float32 products misjudge the rest
_ROUNDING = 1e-6  # of a product's size: what is left of it below that after orthogonalisation is rounding
_SHARE = 0.25  # of the promise that the certificate may use up; its own error and rounding get the rest
_MANY_ROUNDS, _NARROW = 5, 5  # from so many rounds on, a block of 5/8 of the rank reaches further than enough


def block_width(device: torch.device) -> int:
    """Columns per block: narrow where memory bandwidth limits the product, wider on accelerators."""
    return _CPU_BLOCK if device.type == "cpu" else _ACCELERATOR_BLOCK


def largest_basis(side: int) -> int:
    """Columns after which the iteration gives up, for a matrix with this short side."""
    return int(_LARGEST_SHARE * side)


def solve_krylov(
    wide: torch.Tensor, policy: RankPolicy, total: float, *, seed: int, rounds: int | None = None
) -> TruncatedSvd | None:
    """Decompose (k, l) with k <= l; None where the basis grew too large, for another solver to take over.

    Args:
        wide: float32, with values of moderate size: squares must neither vanish nor overflow.
        policy: decides the rank. Its rule must not need all singular values.
        total: squared Frobenius norm.
        seed: of the random block.
        rounds: at most so many blocks after the first; the answer is then the best found, certified or not.
    """
    shape = (int(wide.shape[0]), int(wide.shape[1]))
    width = min(shape[0], max(block_width(wide.device), _covering_width(policy.cap(shape), rounds)))
    # Drawn on the host, so that the same seed gives the same block on every device.
    generator = torch.Generator().manual_seed(seed)
    test = torch.randn(shape[1], width, generator=generator, dtype=torch.float32).to(wide.device)
    basis = _Basis(wide, torch.linalg.qr(wide @ test)[0], generator)
    del test
    done, due = 0, 0
    while True:
        coupling = basis.extend()
        done += 1
        last_round = rounds is not None and done >= rounds
        if basis.columns > largest_basis(shape[0]) and not last_round:
            return None
        if basis.known < due and not last_round:
            continue
        due = basis.known + max(width, basis.known // 6)
        state = basis.ritz(coupling)
        if state is None:
            return None
        verdict = _judge(state, policy, shape, total)
        if verdict.needed is not None and not last_round:
            due = max(basis.known + width, verdict.needed)
        if not (verdict.certified or last_round):
            continue
        squares, left, right = basis.leading(verdict.rank)
        lost = _residual(wide, left, right, total)
        if rounds is None and not within_promise(lost, verdict.missing, total, _SHARE):
            continue
        left, s, right = normalised(left, right)
        values = np.sqrt(np.maximum(squares, 0.0))
        return TruncatedSvd(left, s, right, values, lost, verdict.capped, "krylov", done)


@dataclass(frozen=True)
class _Ritz:
    """Ritz values of A A^T without the last block, descending; how far each may be off; the last block's largest."""

    values: Array
    missing: Array
    rest: float


@dataclass(frozen=True)
class _Verdict:
    """What a test of the iteration says. `needed` is a basis size before which another test is futile."""

    rank: int
    capped: bool
    certified: bool
    missing: float
    needed: int | None = None


def _judge(state: _Ritz, policy: RankPolicy, shape: tuple[int, int], total: float) -> _Verdict:
    """Decide the rank, and whether the answer at it is certain enough."""
    cap = policy.cap(shape)
    low = np.sqrt(np.maximum(state.values, 0.0))
    rank, capped = policy.choose(low, shape, energy=total)
    if len(low) < rank:
        return _Verdict(len(low), capped, False, np.inf, needed=rank)
    kept = float(state.values[:rank].sum())
    missing = float(state.missing[:rank].sum())
    certain = policy.decided(low, state.missing, shape, energy=total, rest=state.rest) or (capped and rank == cap)
    return _Verdict(rank, capped, certain and within_promise(total - kept, missing, total, _SHARE), missing)


def _residual(wide: torch.Tensor, left: torch.Tensor, right: torch.Tensor, total: float) -> float:
    """|A - left @ right|^2: by the identity of the norms where that is accurate, else formed as it stands."""
    kept = float(torch.linalg.vector_norm(right, dim=1).cpu().to(torch.float64).square().sum())
    if total - kept > _SMALL_REST * total:
        return total - kept
    return residual_energy(wide, left, right)


def _covering_width(cap: int, rounds: int | None) -> int:
    """Columns of the block that make up for bounded rounds: few rounds must each cover the rank."""
    if rounds is None:
        return 0
    return cap + max(8, cap // 8) if rounds < _MANY_ROUNDS else _NARROW * cap // 8


class _Basis:
    """An orthonormal basis of the left space, A^T times it, and the Gram matrix of that."""

    def __init__(self, wide: torch.Tensor, first: torch.Tensor, generator: torch.Generator) -> None:
        self._wide = wide
        self._generator = generator
        width = int(first.shape[1])
        room = min(8 * width, int(wide.shape[0]) + width)
        self._q = wide.new_empty(wide.shape[0], room)
        self._z = wide.new_empty(wide.shape[1], room)
        self._t = torch.zeros(room, room, dtype=_exact_dtype(wide), device=wide.device)
        self._width = width
        self.columns = 0
        self.known = 0
        self._append(first)

    def extend(self) -> torch.Tensor:
        """Add the next block; returns its triangular factor, (b, b)."""
        self.known = self.columns
        q = self._q[:, : self.columns]
        # Orthonormal before the second product too: else squaring would drown values below 1e-3 s1 in rounding.
        last, half = torch.linalg.qr(self._z[:, self.columns - self._width : self.columns])
        product = self._wide @ last
        size = torch.linalg.vector_norm(product, dim=0).amax()
        for _ in range(2):  # once is not enough in float32
            product -= q @ (q.T @ product)
        block, coupling = torch.linalg.qr(product)
        if bool(coupling.diagonal().abs().amin() <= _ROUNDING * size):
            block, coupling = self._without_noise(product, size)
        block = torch.linalg.qr(block - q @ (q.T @ block))[0]
        self._append(block)
        factor: torch.Tensor = coupling @ half
        return factor

    def _without_noise(self, product: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Factor a block of which some directions are rounding only: those become random ones.

        So it is beyond the rank of a matrix of low rank, where the basis already holds all there is. Their
        coupling stays in the account: rounding or not, the certificate must see it.
        """
        left, values, turn = torch.linalg.svd(product, full_matrices=False)
        noise = values <= _ROUNDING * size
        fresh = torch.randn(product.shape, generator=self._generator, dtype=torch.float32).to(product.device)
        q = torch.cat([self._q[:, : self.columns], left * ~noise], dim=1)
        fresh -= q @ (q.T @ fresh)
        left = torch.where(noise, torch.linalg.qr(fresh)[0], left)
        return left, values[:, None] * turn

    def ritz(self, coupling: torch.Tensor) -> _Ritz | None:
        """Rayleigh-Ritz without the last block, judged by the last block; None where values are not finite."""
        t = self._t[: self.columns, : self.columns].cpu().to(torch.float64)
        factor = coupling.cpu().to(torch.float64).numpy()
        if not bool(torch.isfinite(t).all()):
            return None
        values, vectors = torch.linalg.eigh(t[: self.known, : self.known])
        rest = float(torch.linalg.eigvalsh(t[self.known :, self.known :])[-1])
        mu = values.flip(0).numpy()
        missing = missing_energy(mu, vectors.flip(1).numpy(), factor, rest)
        return _Ritz(mu, missing, rest)

    def leading(self, rank: int) -> tuple[Array, torch.Tensor, torch.Tensor]:
        """All Ritz values of the whole basis, the first `rank` Ritz vectors, (k, r), and A^T times them, (r, l)."""
        values, vectors = torch.linalg.eigh(self._t[: self.columns, : self.columns].cpu().to(torch.float64))
        turn = vectors.flip(1)[:, :rank].to(self._q.device, torch.float32)
        return values.flip(0).numpy(), self._q[:, : self.columns] @ turn, (self._z[:, : self.columns] @ turn).T

    def _append(self, block: torch.Tensor) -> None:
        start, end = self.columns, self.columns + self._width
        if end > self._q.shape[1]:
            self._grow()
        self._q[:, start:end] = block
        new = self._wide.T @ block
        self._z[:, start:end] = new
        overlap = _exact_product(self._z[:, :end], new)
        self._t[:end, start:end] = overlap
        self._t[start:end, :start] = overlap[:start].T
        self.columns = end

    def _grow(self) -> None:
        room = 2 * int(self._q.shape[1])
        for name in ("_q", "_z"):
            old = getattr(self, name)
            larger = old.new_empty(old.shape[0], room)
            larger[:, : self.columns] = old[:, : self.columns]
            setattr(self, name, larger)
        t = torch.zeros(room, room, dtype=self._t.dtype, device=self._t.device)
        t[: self.columns, : self.columns] = self._t[: self.columns, : self.columns]
        self._t = t


def _exact_dtype(like: torch.Tensor) -> torch.dtype:
    return torch.float32 if like.device.type == "mps" else torch.float64  # no float64 there


def _exact_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """left.T @ right summed in float64, a few rows at a time."""
    dtype = _exact_dtype(left)
    result = torch.zeros(left.shape[1], right.shape[1], dtype=dtype, device=left.device)
    step = 4096
    for start in range(0, int(left.shape[0]), step):
        result.addmm_(left[start : start + step].to(dtype).T, right[start : start + step].to(dtype))
    return result
