"""``python -m benchmarks``: whole extractions and the decomposition alone, ours and the references, as ratios."""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from benchmarks import language_model
from benchmarks.core import QUANTILE, CoreRow, core_rows
from benchmarks.measuring import Factored, apart, deltas_of, excess, machine, squared_tails, timed
from benchmarks.pairs import DELTAS, SHAPES, UNCHANGED, write_pair
from benchmarks.references import Decompose, extract_with, floor, full_svd, lowrank_svd, thin_svd
from benchmarks.tables import AT_ANY_RANK, FLOOR, FULL, LINALG, LOWRANK, RANDOMISED, THIN, Row, print_tables
from engine.cancel import CancelToken
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd
from engine.events import Finished
from engine.session import Session
from engine.settings import Algorithm, ExtractionSettings, HardwareSettings, LoraType

REFERENCES: dict[str, Decompose] = {FULL: full_svd, THIN: thin_svd, LOWRANK: lowrank_svd}
QUANTILE_TITLE = f"ours, adaptive_quantile {QUANTILE}"
OURS: dict[str, Algorithm] = {LINALG: "svd_linalg", RANDOMISED: "svd_lowrank"}


def main() -> int:
    """Run what is asked for, print tables, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--models", default="sdxl,flux", help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--spectra", default="realistic,flat", help=f"of {', '.join(DELTAS)}")
    parser.add_argument("--ranks", default="16,32,64,128")
    parser.add_argument("--without", default="", help="references to leave out, by name")
    parser.add_argument("--core", action="store_true", help="the decomposition alone, per shape, as well")
    parser.add_argument("--device", default="cpu", help="for whole extractions: cpu, cuda:0, ...")
    parser.add_argument("--json", type=Path, default=Path("benchmark.json"))
    chosen = parser.parse_args()
    ranks = [int(rank) for rank in chosen.ranks.split(",")]
    references = {name: work for name, work in REFERENCES.items() if name not in chosen.without.split(",")}
    rows: list[Row] = []
    core: list[CoreRow] = []
    with tempfile.TemporaryDirectory() as name:
        for model in chosen.models.split(","):
            for spectrum in chosen.spectra.split(","):
                pair = apart(partial(write_pair, model, spectrum, Path(name)))
                deltas = {key: delta for key, delta in apart(partial(deltas_of, *pair)).items() if _counts(key, delta)}
                rows += _whole(model, spectrum, pair, deltas, ranks, references, Path(name), chosen.device)
                if chosen.core:
                    core += core_rows(model, spectrum, deltas, ranks, references)
    results = {"rows": [asdict(row) for row in rows], "core": [asdict(row) for row in core]}
    chosen.json.write_text(json.dumps({"machine": machine(), **results}, indent=1))
    print_tables(rows, core, Console(width=140))
    return 0


def _counts(key: str, delta: Tensor) -> bool:
    return delta.dim() == 2 and not any(name in key for name in UNCHANGED)


def _whole(
    model: str,
    spectrum: str,
    pair: tuple[Path, Path],
    deltas: dict[str, Tensor],
    ranks: list[int],
    references: dict[str, Decompose],
    folder: Path,
    device: str,
) -> list[Row]:
    """Whole extractions on a device, files in to file out."""
    optima = apart(lambda: {name: squared_tails(delta) for name, delta in deltas.items()})
    rows: list[Row] = []

    def judge(factors: Factored, rank: int) -> list[float]:
        kept = {name: factors[name] for name in deltas if name in factors}
        return [excess(deltas[name], *both, optima[name], rank) for name, both in kept.items()] or [math.nan]

    def measure(contender: str, rank: int, work: Callable[[], Factored]) -> None:
        factors, seconds, peak = timed(work)
        errors = apart(lambda: judge(factors, rank))
        rows.append(Row(model, spectrum, rank, contender, seconds, max(errors), sum(errors) / len(errors), peak))
        print(f"{model} {spectrum} rank {rank}: {contender} {seconds:.3f} s", file=sys.stderr, flush=True)

    apart(partial(_ours, *pair, 8, "svd_linalg", folder, device))  # first use of every library
    measure(FLOOR, 0, partial(_floor, *pair, device))
    measure(QUANTILE_TITLE, 0, partial(_ours, *pair, 256, "svd_linalg", folder, device, "adaptive_quantile", QUANTILE))
    for rank in ranks:
        for contender, algorithm in OURS.items():
            measure(contender, rank, partial(_ours, *pair, rank, algorithm, folder, device))
            errors = judge(apart(partial(_factors, deltas, rank, algorithm, device)), rank)
            rows[-1] = replace(rows[-1], worst_excess=max(errors), mean_excess=sum(errors) / len(errors))
        for title, decompose in references.items():
            if title not in AT_ANY_RANK or rank == ranks[0]:
                measure(title, rank, partial(extract_with, decompose, *pair, rank, folder / "reference", device))
        if model == "llm" and rank == ranks[0] and language_model.available():
            ours, theirs = (language_model.as_folder(path, folder / f"{path.stem}-folder") for path in pair)
            measure(
                "mergekit", rank, partial(language_model.extract_with_mergekit, ours, theirs, rank, folder / "peft")
            )
    return rows


def _floor(tuned: Path, base: Path, device: str) -> Factored:
    floor(tuned, base, device)
    return {}


def _ours(
    tuned: Path,
    base: Path,
    rank: int,
    algorithm: Algorithm,
    folder: Path,
    device: str,
    lora_type: LoraType = "standard",
    p: float = 0.0,
) -> Factored:
    settings = ExtractionSettings(
        rank=rank, algorithm=algorithm, lora_type=lora_type, adaptive_param=p, filename_prefix="ours"
    )
    with Session(tuned, base) as session:
        plan = session.plan(settings, HardwareSettings(device=device), folder)
        for event in session.extract(plan, CancelToken()):
            if isinstance(event, Finished):
                event.result.outputs[0].path.unlink()
                event.result.outputs[0].report.unlink()
    return {}


def _factors(deltas: dict[str, Tensor], rank: int, algorithm: Algorithm, device: str) -> Factored:
    policy, factors = RankPolicy("standard", rank, 0.0), {}
    for name, delta in deltas.items():
        svd = truncated_svd(delta.to(device), policy, algorithm=algorithm)
        factors[name] = svd.u.cpu() * svd.s.to(torch.float32), svd.vh.cpu()
    return factors


if __name__ == "__main__":
    sys.exit(main())
