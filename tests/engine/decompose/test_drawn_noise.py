"""The cut of ``adaptive_noise``: what rounding alone may give the largest singular value of a layer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.decompose.drawn_noise import noise_cut
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.rounding_noise import ulp_of
from engine.decompose.truncated_svd import truncated_svd

_SHAPE = (320, 480)


def _weight(seed: int, shape: tuple[int, int] = _SHAPE) -> torch.Tensor:
    """Rows and columns spread over 1 : 30."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (torch.exp(torch.rand(size, generator=generator) * math.log(30.0)) for size in shape)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * rows[:, None] * columns * 0.001


def _cut(tuned: torch.Tensor, *, both: bool = False, hold: bool = True, seed: int = 5) -> float:
    shape = (int(tuned.shape[0]), int(tuned.shape[1]))
    return noise_cut(shape, lambda start, stop: ulp_of(tuned[start:stop]), seed=seed, both=both, hold=hold)


def _count(delta: torch.Tensor, cut: float) -> int:
    return int(np.count_nonzero(np.linalg.svd(delta.double().numpy(), compute_uv=False) > cut))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("base", ["same", "float32"])
@pytest.mark.parametrize("algorithm", ["svd_linalg", "svd_lowrank"])
def test_the_rank_of_a_change_is_found(dtype: torch.dtype, base: str, algorithm: str) -> None:
    weight = _weight(1)
    original = weight.to(dtype if base == "same" else torch.float32)
    cut = _cut(original.to(dtype))
    generator = torch.Generator().manual_seed(2)
    left, right = (torch.linalg.qr(torch.randn(size, 12, generator=generator).double())[0] for size in _SHAPE)
    s = torch.linspace(12.0, 1.5, 12, dtype=torch.float64) * cut
    tuned = (original.double() + (left * s) @ right.T).to(dtype)
    delta = tuned.float() - original.float()
    policy = RankPolicy("adaptive_noise", 64, 0.0, noise_cut=_cut(tuned))
    found = truncated_svd(delta, policy, algorithm=algorithm)  # type: ignore[arg-type]
    assert found.rank == 12
    assert not found.capped


def test_rounding_itself_stays_below() -> None:
    found = 0
    for seed in range(100):
        weight = _weight(seed, (64, 96))
        tuned = weight.to(torch.bfloat16)
        found += _count(tuned.double() - weight, _cut(tuned, seed=seed)) > 0
    assert found <= 1


def test_rounding_of_both_sides_stays_below() -> None:
    first, second = _weight(3), _weight(4)
    errors = (first.bfloat16().double() - first) - (second.abs().bfloat16().double() - second.abs())
    assert _count(errors, _cut(first.bfloat16(), both=True)) == 0


def test_on_even_noise_the_cut_is_near_the_edge_and_below_the_hard_threshold_of_gavish_and_donoho() -> None:
    rows, columns = shape = (1024, 1536)
    step = 0.01
    cut = noise_cut(shape, lambda start, stop: torch.full((stop - start, columns), step), seed=1, both=False, hold=True)
    sigma, beta = step / math.sqrt(12.0), rows / columns
    edge = sigma * (math.sqrt(rows) + math.sqrt(columns))
    hard = math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + math.sqrt(beta**2 + 14 * beta + 1)))
    assert edge < cut < 1.15 * edge
    assert cut == pytest.approx(hard * math.sqrt(columns) * sigma, rel=0.1)


def test_the_edge_of_even_noise_is_too_low_where_rows_are_uneven() -> None:
    generator = torch.Generator().manual_seed(6)
    weight = torch.randn(_SHAPE, generator=generator).double() * torch.exp(torch.randn(320, 1, generator=generator))
    tuned = weight.bfloat16()
    sigma = math.sqrt(float(ulp_of(tuned).double().square().mean()) / 12.0)
    edge = sigma * (math.sqrt(320) + math.sqrt(480))
    errors = tuned.double() - weight
    assert _count(errors, edge) > 0
    assert _count(errors, _cut(tuned)) == 0


def test_the_same_cut_comes_whether_the_noise_is_held_or_drawn_again() -> None:
    tuned = _weight(7, (700, 900)).bfloat16()
    assert _cut(tuned, hold=True) == _cut(tuned, hold=False)


def test_a_scaled_matrix_is_cut_at_the_same_rank() -> None:
    generator = torch.Generator().manual_seed(8)
    left, right = (torch.linalg.qr(torch.randn(300, 5, generator=generator))[0] for _ in range(2))
    delta = (left * torch.tensor([5.0, 4.0, 3.0, 2.0, 0.5])) @ right.T * 1e-18
    policy = RankPolicy("adaptive_noise", 32, 0.0, noise_cut=1e-18)
    assert truncated_svd(delta, policy, algorithm="svd_linalg").rank == 4
