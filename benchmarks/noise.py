"""``python -m benchmarks.noise``: rounding noise beside the truth, and what measuring it costs.

Weights N(0, 0.02) are stored, changed in float64, and rounded by torch, so that the errors are known. Beside the
estimate stand the plain one, u^2 / 12 over all numbers, and the wrong one, over changed numbers alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from engine.decompose.delta import subtract
from engine.decompose.noise_model import model_noise
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.rounding_noise import Grids, RoundingMeter, measure_rounding, ulp_of
from engine.decompose.truncated_svd import truncated_svd

_ACCURACY = [(torch.bfloat16, 0.01), (torch.bfloat16, 0.003), (torch.bfloat16, 0.001), (torch.float16, 0.003)]
_SIZES = [(640, 640), (1280, 1280), (3072, 3072), (3072, 12288)]
_RANK = 32


def main() -> None:
    """Measure and print both tables."""
    torch.set_num_threads(1)
    console = Console()
    shares = Table("dtype", "change", "unchanged", "truth", "estimate", "plain", "changed alone", title="noise share")
    for dtype, relative in _ACCURACY:
        shares.add_row(*_shares(dtype, relative))
    console.print(shares)
    costs = Table(
        "shape", "subtracting", "measuring", "modelling", f"rank {_RANK}", "share of all", title="bf16, one core"
    )
    for shape in _SIZES:
        costs.add_row(*_costs(shape))
    console.print(costs)


def made(
    shape: tuple[int, int], dtype: torch.dtype, relative: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The fine-tuned side and the original as stored, and the change in float64."""
    generator = torch.Generator().manual_seed(0)
    stored = (0.02 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)
    change = torch.randn(shape, generator=generator, dtype=torch.float64)
    change *= relative * stored.to(torch.float64).norm() / change.norm()
    return (stored.to(torch.float64) + change).to(dtype), stored, change


def _shares(dtype: torch.dtype, relative: float) -> list[str]:
    tuned, base, change = made((1024, 1024), dtype, relative)
    delta = tuned.to(torch.float64) - base.to(torch.float64)
    total, same = float(delta.square().sum()), delta == 0.0
    model = model_noise(measure_rounding(tuned, base, RoundingMeter((1024, 1024), Grids.SHARED)))
    assert model is not None, "all is finite"
    squares = ulp_of(tuned).to(torch.float64).square() / 12
    truth, plain, changed = (float(part.sum()) for part in ((delta - change).square(), squares, squares[~same]))
    energies = [truth, model.estimate.energy, plain, changed]
    name = str(dtype).removeprefix("torch.")
    return [
        name,
        f"{100 * relative:.1f} %",
        f"{100 * float(same.double().mean()):.0f} %",
        *(f"{100 * energy / total:.1f} %" for energy in energies),
    ]


def _costs(shape: tuple[int, int]) -> list[str]:
    tuned, base, _ = made(shape, torch.bfloat16, 0.003)
    sums = measure_rounding(tuned, base, RoundingMeter(shape, Grids.SHARED))
    delta = subtract(tuned, base)
    policy = RankPolicy("standard", _RANK, 0.0)
    seconds = [
        _best(lambda: subtract(tuned, base)),
        _best(lambda: measure_rounding(tuned, base, RoundingMeter(shape, Grids.SHARED))),
        _best(lambda: model_noise(sums)),
        _best(
            lambda: truncated_svd(
                delta.values, policy, algorithm="svd_linalg", iterations=0, seed=0, total=delta.energy
            ),
            times=1,
        ),
    ]
    share = (seconds[1] + seconds[2]) / sum(seconds)
    return [f"{shape[0]} x {shape[1]}", *(f"{1000 * value:.0f} ms" for value in seconds), f"{100 * share:.1f} %"]


def _best(work: Callable[[], object], times: int = 3) -> float:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


if __name__ == "__main__":
    main()
