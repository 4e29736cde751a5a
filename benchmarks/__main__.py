"""``python -m benchmarks``: whole extractions, files in to file out, ours and the references in turn, as ratios."""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil
import torch
from rich.console import Console
from rich.table import Table
from safetensors import safe_open
from torch import Tensor

from benchmarks.pairs import DELTAS, SHAPES, write_pair
from benchmarks.references import Decompose, extract_with, floor, full_svd, lowrank_svd, thin_svd
from engine.cancel import CancelToken
from engine.decompose.gram import gram_matrix
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd
from engine.events import Finished
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

REFERENCES: dict[str, Decompose] = {"full SVD": full_svd, "thin SVD": thin_svd, "svd_lowrank(7)": lowrank_svd}


T = TypeVar("T")
Factored = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Row:
    """One contender on one pair at one rank: seconds, excess error over the optimum (worst, mean), peak bytes."""

    model: str
    spectrum: str
    rank: int
    contender: str
    seconds: float
    worst_excess: float
    mean_excess: float
    peak_bytes: int


def main() -> int:
    """Run what is asked for, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--models", default="sdxl,flux", help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--spectra", default="realistic", help=f"of {', '.join(DELTAS)}")
    parser.add_argument("--ranks", default="16,32,64,128")
    parser.add_argument("--without", default="", help="references to leave out, by name")
    parser.add_argument("--json", type=Path, default=Path("benchmark.json"))
    chosen = parser.parse_args()
    ranks = [int(rank) for rank in chosen.ranks.split(",")]
    left_out = set(chosen.without.split(","))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        for model in chosen.models.split(","):
            for spectrum in chosen.spectra.split(","):
                rows += _run_pair(model, spectrum, ranks, left_out, Path(name))
    chosen.json.write_text(json.dumps({"machine": _machine(), "rows": [asdict(row) for row in rows]}, indent=1))
    _print(rows)
    return 0


def _run_pair(model: str, spectrum: str, ranks: list[int], left_out: set[str], folder: Path) -> list[Row]:
    tuned, base = _apart(partial(write_pair, model, spectrum, folder))
    deltas = _apart(partial(_deltas, tuned, base))
    optima = _apart(partial(_all_tails, deltas))
    rows = []

    def measure(contender: str, rank: int, work: Callable[[], Factored]) -> None:
        with _peak() as peak:
            started = time.perf_counter()
            factors = _apart(work)
            seconds = time.perf_counter() - started
        excess = _apart(partial(_all_excess, deltas, factors, optima, rank))
        row = Row(model, spectrum, rank, contender, seconds, max(excess), sum(excess) / len(excess), peak[0])
        print(f"{model} {spectrum} rank {rank}: {contender} {seconds:.2f} s", file=sys.stderr, flush=True)
        rows.append(row)

    _apart(partial(_ours, tuned, base, 8, "svd_linalg", folder))  # first use of every library
    measure("floor", 0, partial(_floor, tuned, base))
    for rank in ranks:
        for algorithm in ("svd_linalg", "svd_lowrank"):
            measure(f"ours, {algorithm}", rank, partial(_ours, tuned, base, rank, algorithm, folder))
            factors = _apart(partial(_all_factors, deltas, rank, algorithm))
            excess = _apart(partial(_all_excess, deltas, factors, optima, rank))
            rows[-1] = replace(rows[-1], worst_excess=max(excess), mean_excess=sum(excess) / len(excess))
        for title, decompose in REFERENCES.items():
            # A decomposition of everything takes the same time at every rank: it is run once.
            if title in left_out or (title != "svd_lowrank(7)" and rank != ranks[0]):
                continue
            measure(title, rank, partial(extract_with, decompose, tuned, base, rank, folder / "reference"))
    return rows


def _floor(tuned: Path, base: Path) -> Factored:
    floor(tuned, base)
    return {}


def _ours(tuned: Path, base: Path, rank: int, algorithm: str, folder: Path) -> Factored:
    settings = ExtractionSettings.model_validate({"rank": rank, "algorithm": algorithm, "filename_prefix": "ours"})
    with Session(tuned, base) as session:
        plan = session.plan(settings, HardwareSettings(device="cpu"), folder)
        for event in session.extract(plan, CancelToken()):
            if isinstance(event, Finished):
                event.result.outputs[0].path.unlink()
                event.result.outputs[0].report.unlink()
    return {}


def _all_factors(deltas: dict[str, Tensor], rank: int, algorithm: str) -> Factored:
    return {name: _factors(delta, rank, algorithm) for name, delta in deltas.items()}


def _factors(delta: Tensor, rank: int, algorithm: str) -> tuple[Tensor, Tensor]:
    policy = RankPolicy("standard", rank, 0.0)
    svd = truncated_svd(delta, policy, algorithm=algorithm)  # type: ignore[arg-type]
    return svd.u * svd.s.to(torch.float32), svd.vh


def _deltas(tuned: Path, base: Path) -> dict[str, Tensor]:
    with safe_open(tuned, "pt") as ours, safe_open(base, "pt") as theirs:
        names = list(theirs.keys())
        return {name: (ours.get_tensor(name).float() - theirs.get_tensor(name).float()).flatten(1) for name in names}


def _all_tails(deltas: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: _squared_tails(delta) for name, delta in deltas.items()}


def _squared_tails(delta: Tensor) -> Tensor:
    """Squared optimal error at every rank, float64, from LAPACK's eigenvalues of the float64 Gram matrix."""
    wide = delta.T if delta.shape[0] > delta.shape[1] else delta
    squares = torch.linalg.eigvalsh(gram_matrix(wide)).clamp(min=0)
    return torch.cat([squares.cumsum(0).flip(0), torch.zeros(1, dtype=torch.float64)])


def _all_excess(deltas: dict[str, Tensor], factors: Factored, optima: dict[str, Tensor], rank: int) -> list[float]:
    return [_excess(deltas[name], *pair, optima[name], rank) for name, pair in factors.items()] or [math.nan]


def _apart(work: Callable[[], T]) -> T:
    """Run on a thread of its own: OpenMP keeps a pool per thread, and two living pools slow each other down."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()


def _excess(delta: Tensor, up: Tensor, down: Tensor, tails: Tensor, rank: int) -> float:
    """Error over the optimum, minus one."""
    lost = 0.0
    for start in range(0, delta.shape[0], 512):
        rows = slice(start, start + 512)
        lost += float((delta[rows].double() - up[rows].double() @ down.double()).square().sum())
    return math.sqrt(lost / float(tails[min(rank, len(tails) - 1)])) - 1.0


@contextmanager
def _peak() -> Iterator[list[int]]:
    """Largest growth of the resident memory while the block runs, in bytes; filled in at its end."""
    process, over = psutil.Process(), threading.Event()
    start, result = process.memory_info().rss, [0]

    def watch() -> None:
        while not over.wait(0.01):
            result[0] = max(result[0], process.memory_info().rss - start)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield result
    finally:
        over.set()
        thread.join()


def _machine() -> dict[str, str | int]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": psutil.cpu_count() or 0,
        "memory_gib": psutil.virtual_memory().total >> 30,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _print(rows: list[Row]) -> None:
    table = Table("pair", "rank", "contender", "seconds", "x ours", "worst excess", "mean excess", "peak MiB")
    for row in rows:
        ours = next(
            (
                other.seconds
                for other in rows
                if (other.model, other.spectrum, other.rank) == (row.model, row.spectrum, row.rank)
                and other.contender == ("ours, svd_lowrank" if "lowrank" in row.contender else "ours, svd_linalg")
            ),
            math.nan,
        )
        table.add_row(
            f"{row.model} {row.spectrum}",
            str(row.rank or ""),
            row.contender,
            f"{row.seconds:.2f}",
            f"{row.seconds / ours:.1f}",
            f"{row.worst_excess:.1e}",
            f"{row.mean_excess:.1e}",
            f"{row.peak_bytes / 2**20:.0f}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
