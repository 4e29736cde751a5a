"""``python -m benchmarks.solvers``: one decomposition against the cheapest reference that keeps the same promise.

Shapes from square to 1:100, an embedding and a language model's head scaled to this machine; spectra from a merged LoRA
and its rounding to exact clusters. References: `gram_reference`, the float64 Gram matrix and its eigenvectors, and
LAPACK's thin SVD in float64 where it ends in time. Seconds are medians of three, all in one process and on one thread.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from torch import Tensor

from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd

SHAPES = {
    "1:1": (1280, 1280),
    "1:2": (1024, 2048),
    "1:4": (1280, 5120),
    "1:8": (10240, 1280),
    "1:25": (400, 10000),
    "1:100": (40000, 400),
    "embedding": (60000, 768),
    "head": (38016, 896),  # of 152,064 x 3584, a quarter of each side
}
_TRUE_RANK, _CHANGE = 48, 0.05
_SMALL = 3e9  # elements times the short side up to which LAPACK's thin SVD is tried as well


def merged(shape: tuple[int, int]) -> Tensor:
    """A change of rank `_TRUE_RANK` between two models rounded to fp16, (out, in) float32."""
    generator = torch.Generator().manual_seed(1)
    base = (0.02 * torch.randn(shape, generator=generator)).to(torch.float16).float()
    change = torch.randn(shape[0], _TRUE_RANK, generator=generator)
    change = change @ torch.randn(_TRUE_RANK, shape[1], generator=generator)
    change *= _CHANGE * torch.linalg.norm(base) / torch.linalg.norm(change)
    delta: Tensor = (base + change).to(torch.float16).float() - base
    return delta


def with_values(shape: tuple[int, int], values: Tensor) -> Tensor:
    """A matrix with these singular values and random singular vectors."""
    generator = torch.Generator().manual_seed(2)
    short = min(shape)
    left, right = (torch.linalg.qr(torch.randn(side, short, generator=generator))[0] for side in (max(shape), short))
    tall: Tensor = (left * values) @ right.T
    return tall if shape[0] >= shape[1] else tall.T.contiguous()


def power_law(shape: tuple[int, int]) -> Tensor:
    """Singular values i^-0.45 exp(-i / 0.3 n)."""
    i = torch.arange(1, min(shape) + 1, dtype=torch.float32)
    return with_values(shape, i**-0.45 * torch.exp(-i / (0.3 * min(shape))))


def flat(shape: tuple[int, int]) -> Tensor:
    """Noise."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def clusters(shape: tuple[int, int]) -> Tensor:
    """Four values, each of many equal ones."""
    steps = torch.arange(min(shape)) * 4 // min(shape)
    return with_values(shape, 2.0 ** -steps.to(torch.float32))


SPECTRA: dict[str, tuple[Callable[[tuple[int, int]], Tensor], int]] = {
    # the delta, and the rank asked for
    "merged LoRA, rank below": (merged, 32),
    "merged LoRA, rank above": (merged, 96),
    "power law": (power_law, 64),
    "flat": (flat, 64),
    "exact clusters": (clusters, 64),
}


def gram_reference(delta: Tensor, rank: int) -> Tensor:
    """The leading left vectors' product with the delta by a float64 Gram matrix; returns all eigenvalues."""
    wide = (delta.T if delta.shape[0] > delta.shape[1] else delta).double()
    values, vectors = torch.linalg.eigh(wide @ wide.T)
    leading = vectors[:, -rank:]
    torch.mm(leading.T, wide)
    descending: Tensor = values.flip(0)
    return descending


def lapack_reference(delta: Tensor) -> None:
    """LAPACK's thin SVD in float64."""
    torch.linalg.svd(delta.double(), full_matrices=False)


def median_seconds(work: Callable[[], object]) -> float:
    """Of three runs."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def used_share(delta: Tensor, rank: int, eigenvalues: Tensor) -> tuple[float, str]:
    """The part of the promise that our answer uses up, by products in float64, and which solver gave it."""
    found = truncated_svd(delta, RankPolicy("standard", rank, 0.0), algorithm="svd_linalg")
    total, best = float(delta.double().square().sum()), math.sqrt(max(0.0, float(eigenvalues[rank:].sum())))
    error = float(torch.linalg.norm(delta.double() - (found.u.double() * found.s) @ found.vh.double()))
    return (error - best) / (1e-5 * best + 1e-6 * math.sqrt(total)), found.solver


def main() -> None:
    """Measure the table and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solvers", description=__doc__)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    console = Console(width=140)
    console.print(f"{'shape':24}{'spectrum':26}rank   ours s   Gram s  LAPACK s  ours/cheapest  promise used  by")
    for title in chosen.shapes.split(","):
        shape = SHAPES[title]
        for spectrum, (make, rank) in SPECTRA.items():
            delta = make(shape)
            policy = RankPolicy("standard", rank, 0.0)
            ours = median_seconds(lambda: truncated_svd(delta, policy, algorithm="svd_linalg"))  # noqa: B023
            gram = median_seconds(lambda: gram_reference(delta, rank))  # noqa: B023
            small = delta.numel() * min(shape) <= _SMALL
            lapack = median_seconds(lambda: lapack_reference(delta)) if small else math.inf  # noqa: B023
            used, solver = used_share(delta, rank, gram_reference(delta, rank))
            ratio = ours / min(gram, lapack)
            shown = f"{lapack:8.3f}" if small else "       -"
            console.print(
                f"{title + f' {shape[0]}x{shape[1]}':24}{spectrum:26}{rank:4} {ours:8.3f} {gram:8.3f}  {shown}"
                f" {ratio:14.2f} {used:13.3f}  {solver}"
            )


if __name__ == "__main__":
    main()
