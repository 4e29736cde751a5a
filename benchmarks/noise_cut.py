"""How far the largest values of two drawings of rounding noise lie apart, and what drawing it costs.

Run as ``python -m benchmarks.noise_cut``.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import torch

from engine.decompose.drawn_noise import noise_cut
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.rounding_noise import ulp_of
from engine.decompose.truncated_svd import truncated_svd

_SHAPES = ((16, 16), (48, 32), (64, 640), (320, 320), (512, 768))
_DRAWINGS = 200
_TIMED = ((1024, 1024), (2048, 2048))
_RANK = 32


def _weight(shape: tuple[int, int], seed: int, *, spread: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.exp(torch.rand(shape[0], 1, generator=generator) * spread)
    columns = torch.exp(torch.rand(1, shape[1], generator=generator) * spread)
    return (torch.randn(shape, generator=generator) * 0.02 * rows * columns).to(torch.bfloat16)


def _rows(steps: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    return steps[start:stop]


def _steps(weight: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    return ulp_of(weight[start:stop])


def _spread(shape: tuple[int, int], drawings: int) -> tuple[float, float, float]:
    """Largest value of real rounding errors over the cut: mean, the 99th of a hundred, and the largest."""
    found = []
    for seed in range(drawings):
        weight = _weight(shape, seed, spread=3.4 * (seed % 2))
        steps = ulp_of(weight)
        fine = weight.to(torch.float64) + steps * (
            torch.rand(shape, generator=torch.Generator().manual_seed(-seed - 1)) - 0.5
        )
        errors = (fine.to(torch.bfloat16).to(torch.float64) - fine).numpy()
        cut = noise_cut(shape, partial(_rows, steps), seed=seed, both=False, hold=True)
        found.append(float(np.linalg.norm(errors, 2)) / cut)
    return float(np.mean(found)), float(np.quantile(found, 0.99)), max(found)


def main() -> None:
    """Print both tables."""
    print("shape        mean of errors' largest value / cut  99 %  largest")
    for shape in _SHAPES:
        mean, most, largest = _spread(shape, _DRAWINGS if max(shape) < 700 else 40)
        print(f"{shape[0]} x {shape[1]:<6} {mean:.3f}  {most:.3f}  {largest:.3f}")
    print("shape          standard at 32   drawing the noise")
    for shape in _TIMED:
        weight = _weight(shape, 1, spread=3.4)
        steps = ulp_of(weight)
        delta = steps * torch.randn(shape, generator=torch.Generator().manual_seed(2))
        started = time.perf_counter()
        truncated_svd(delta, RankPolicy("standard", _RANK, 0.0), algorithm="svd_linalg")
        solved = time.perf_counter()
        noise_cut(shape, partial(_steps, weight), seed=1, both=False, hold=True)
        drawn = time.perf_counter()
        print(f"{shape[0]} x {shape[1]}  {solved - started:.2f} s  {drawn - solved:.2f} s")


if __name__ == "__main__":
    main()
