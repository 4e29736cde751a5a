"""``python -m benchmarks.fp8``: what factors in fp8 keep of a change, beside fp16 in as many bytes, and what they take.

The deltas are those of `benchmarks.pairs`, one of each shape. What is kept is measured from the stored bytes in
float64, and is a mean weighted by |delta|^2. *plain* rounds both factors; *once* fits the second one to the first; the
others fit both so many times more. Times are of the decomposition and the fit together, and of the fit alone.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.measuring import machine, timed
from benchmarks.pairs import DELTAS, SHAPES
from engine.decompose.fp8_factors import FP8, SWEEPS, Fp8Factors, fit_fp8, fp8_at
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd

_SWEEPS = tuple(sorted({0, 1, 2, SWEEPS, 6}))


@dataclass
class Fp8Row:
    """One rank over all deltas: energy kept by fp16 at half the rank and at the rank, by fp8, and seconds."""

    spectrum: str
    rank: int
    fp16_half_rank: float = 0.0
    fp16: float = 0.0
    plain: float = 0.0
    fitted: tuple[float, ...] = ()
    below_normal: float = 0.0
    seconds: float = 0.0
    fit_seconds: float = 0.0


def fp8_row(spectrum: str, rank: int, deltas: list[Tensor]) -> Fp8Row:
    """Measure a rank."""
    row, total, values = Fp8Row(spectrum, rank), 0.0, 0
    policy = RankPolicy("standard", rank, 0.0)
    lost: dict[str | int, float] = dict.fromkeys(("half", "fp16", "plain", *_SWEEPS), 0.0)
    for delta in deltas:
        exact = delta.to(torch.float64)
        svd, seconds, _ = timed(partial(truncated_svd, delta, policy, algorithm="svd_linalg"))
        root = svd.s.sqrt().to(torch.float32)
        up, down = svd.u * root, root[:, None] * svd.vh
        half = svd.rank // 2
        lost["half"] += _lost(exact, up[:, :half].to(torch.float16), down[:half].to(torch.float16))
        lost["fp16"] += _lost(exact, up.to(torch.float16), down.to(torch.float16))
        fitted, fit_seconds, _ = timed(partial(fit_fp8, up, down))
        assert fitted is not None, "these have no numbers out of range"
        lost["plain"] += _lost(exact, *_plain(up, down, fitted), 4.0**-fitted.power)
        for sweeps in _SWEEPS:
            found = fp8_at(up, down, fitted.power, sweeps=sweeps)
            lost[sweeps] += _lost(exact, found.up, found.down, 4.0**-found.power)
        row.below_normal += fitted.below * (up.numel() + down.numel())
        row.seconds, row.fit_seconds = row.seconds + seconds + fit_seconds, row.fit_seconds + fit_seconds
        total, values = total + float(exact.square().sum()), values + up.numel() + down.numel()
    kept = {name: 1.0 - energy / total for name, energy in lost.items()}
    row.fp16_half_rank, row.fp16, row.plain = kept["half"], kept["fp16"], kept["plain"]
    row.fitted, row.below_normal = tuple(kept[sweeps] for sweeps in _SWEEPS), row.below_normal / values
    return row


def _plain(up: Tensor, down: Tensor, like: Fp8Factors) -> tuple[Tensor, Tensor]:
    """Both factors rounded, at the same scale."""
    return (
        (up * math.ldexp(1.0, like.power + like.shift)).to(FP8),
        (down * math.ldexp(1.0, like.power - like.shift)).to(FP8),
    )


def _lost(delta: Tensor, up: Tensor, down: Tensor, scale: float = 1.0) -> float:
    left = up.to(torch.float32).to(torch.float64)
    return float((delta - scale * (left @ down.to(torch.float32).to(torch.float64))).square().sum())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fp8")
    parser.add_argument("--model", choices=list(SHAPES), default="sdxl")
    parser.add_argument("--spectrum", choices=list(DELTAS), nargs="+", default=["realistic"])
    parser.add_argument("--ranks", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shapes = dict.fromkeys((shape[0], math.prod(shape[1:])) for shape in SHAPES[arguments.model].values())
    rows = []
    for spectrum in arguments.spectrum:
        generator = torch.Generator().manual_seed(0)
        deltas = [0.05 * DELTAS[spectrum](shape, generator) for shape in shapes]
        rows += [fp8_row(spectrum, rank, deltas) for rank in arguments.ranks]
    fits = [f"fp8, {sweeps} more" if sweeps else "fp8, once" for sweeps in _SWEEPS]
    table = Table("deltas", "rank", "fp16, half the rank", "fp16", "fp8, plain", *fits, "below 2^-6", "fit, seconds")
    for row in rows:
        kept = (row.fp16_half_rank, row.fp16, row.plain, *row.fitted)
        seconds = f"{row.fit_seconds:.2f} of {row.seconds:.2f}"
        cells = (*(f"{share:.5f}" for share in kept), f"{row.below_normal:.3f}", seconds)
        table.add_row(row.spectrum, str(row.rank), *cells)
    Console(width=180).print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=1))


if __name__ == "__main__":
    main()
