"""Matrices with a known character, as deltas have them, for the tests of the decomposition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

Shape = tuple[int, int]


def _with_values(shape: Shape, values: np.ndarray, seed: int) -> np.ndarray:
    """A matrix with these singular values and random singular vectors, float64."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((shape[0], len(values))))
    right, _ = np.linalg.qr(rng.standard_normal((shape[1], len(values))))
    return (left * values) @ right.T


def _fast_decay(shape: Shape, seed: int) -> np.ndarray:
    return _with_values(shape, 0.7 ** np.arange(min(shape)), seed)


def _power_law(shape: Shape, seed: int) -> np.ndarray:
    return _with_values(shape, 1.0 / np.arange(1, min(shape) + 1), seed)


def _flat_noise(shape: Shape, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def _cluster_around_rank_8(shape: Shape, seed: int) -> np.ndarray:
    """Values 6 to 10 differ by less than float32 can tell."""
    values = 1.0 / np.arange(1, min(shape) + 1) ** 2
    values[5:10] = values[7 : 7 + 1].mean() if len(values) > 7 else values[-1:].mean()
    values[5:10] *= 1 + 1e-8 * np.arange(len(values[5:10]))[::-1]
    return _with_values(shape, np.sort(values)[::-1], seed)


def _exact_low_rank(shape: Shape, seed: int) -> np.ndarray:
    return _with_values(shape, np.linspace(2.0, 1.0, min(4, *shape)), seed)


def _rank_deficient(shape: Shape, seed: int) -> np.ndarray:
    """Half of the rows and columns are zero, and rows repeat."""
    matrix = np.random.default_rng(seed).standard_normal(shape)
    matrix[::2] = 0.0
    matrix[:, 1::3] = 0.0
    matrix[-1] = matrix[min(1, shape[0] - 1)]
    matrix[0, 0] = 1.0
    return matrix


def _bf16_noise_over_low_rank(shape: Shape, seed: int) -> np.ndarray:
    """What two bfloat16 models differ by: a low-rank change, and the rounding of both sides."""
    rng = np.random.default_rng(seed)
    base = torch.from_numpy(0.05 * rng.standard_normal(shape))
    change = torch.from_numpy(0.02 * _exact_low_rank(shape, seed + 1))
    return ((base + change).to(torch.bfloat16).double() - base.to(torch.bfloat16).double()).numpy() + 1e-30


def _merged_lora(shape: Shape, seed: int) -> np.ndarray:
    """Two fp16 models that differ by a change of rank 24 or less, and by rounding far below it."""
    rng = np.random.default_rng(seed)
    base = torch.from_numpy(0.02 * rng.standard_normal(shape)).half().double()
    rank = min(24, *shape)
    change = torch.from_numpy(_with_values(shape, np.exp(-0.1 * np.arange(rank)), seed + 1))
    change *= 0.05 * base.norm() / change.norm()
    return ((base + change).half().double() - base).numpy() + 1e-30


def _outlier_rows_and_columns(shape: Shape, seed: int) -> np.ndarray:
    matrix = 1e-3 * np.random.default_rng(seed).standard_normal(shape)
    matrix[shape[0] // 2] *= 1e4
    matrix[:, shape[1] // 3] *= 1e4
    return matrix


SPECTRA: dict[str, Callable[[Shape, int], np.ndarray]] = {
    "fast decay": _fast_decay,
    "power law": _power_law,
    "flat noise": _flat_noise,
    "cluster": _cluster_around_rank_8,
    "exact low rank": _exact_low_rank,
    "rank deficient": _rank_deficient,
    "bf16 noise": _bf16_noise_over_low_rank,
    "merged LoRA": _merged_lora,
    "outliers": _outlier_rows_and_columns,
}


def delta_of(spectrum: str, shape: Shape, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    """A float32 delta of one of the `SPECTRA`."""
    return torch.from_numpy((scale * SPECTRA[spectrum](shape, seed)).astype(np.float32))


def lapack_values(delta: torch.Tensor) -> np.ndarray:
    """Singular values of the float32 delta, by LAPACK in float64."""
    return np.linalg.svd(delta.double().numpy(), compute_uv=False)


def optimum(delta: torch.Tensor, rank: int) -> float:
    """The smallest Frobenius error that any matrix of this rank can have (Eckart-Young)."""
    return float(np.sqrt(np.sum(lapack_values(delta)[rank:] ** 2)))


def product_error(delta: torch.Tensor, left: torch.Tensor, s: torch.Tensor, right: torch.Tensor) -> float:
    """|delta - left diag(s) right| in float64."""
    return float(torch.linalg.norm(delta.double() - (left.double() * s.double()) @ right.double()))
