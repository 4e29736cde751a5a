"""The figures as tables: whole extractions, the core per shape, and the ratios that are aimed at."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.core import CoreRow

FLOOR, FULL, THIN, LOWRANK = "floor", "full SVD", "thin SVD", "svd_lowrank(7)"
LINALG, RANDOMISED = "ours, svd_linalg", "ours, svd_lowrank"
AT_ANY_RANK = (FULL, THIN)  # a decomposition of everything takes the same time at every rank: run once


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


def print_tables(rows: list[Row], core: list[CoreRow], console: Console) -> None:
    """Everything that was measured."""
    console.print(_whole(rows))
    if rows:
        console.print(_ratios(rows))
    if core:
        console.print(_core(core))
        console.print(_adaptive(core))


def _whole(rows: list[Row]) -> Table:
    table = Table("pair", "rank", "contender", "seconds", "worst excess", "mean excess", "peak MiB")
    for row in rows:
        table.add_row(
            f"{row.model} {row.spectrum}",
            str(row.rank or ""),
            row.contender,
            f"{row.seconds:.3f}",
            f"{row.worst_excess:.1e}",
            f"{row.mean_excess:.1e}",
            f"{row.peak_bytes / 2**20:.0f}",
        )
    return table


def _ratios(rows: list[Row]) -> Table:
    """Whole extractions: how many times as long the others take as ours."""
    table = Table("pair", "rank", "full / ours", "thin / ours", "svd_lowrank(7) / ours, svd_lowrank", "ours / floor")
    times = {(row.model, row.spectrum, row.rank, row.contender): row.seconds for row in rows}
    for model, spectrum, rank in dict.fromkeys((row.model, row.spectrum, row.rank) for row in rows if row.rank):

        def time(name: str, pair: tuple[str, str] = (model, spectrum), rank: int = rank) -> float:
            any_rank = [seconds for key, seconds in times.items() if key[:2] == pair and key[3] == name]
            fixed = any_rank[0] if name in (*AT_ANY_RANK, FLOOR) and any_rank else math.nan
            return times.get((*pair, rank, name), fixed)

        ours = time(LINALG)
        table.add_row(
            f"{model} {spectrum}",
            str(rank),
            f"{time(FULL) / ours:.1f}",
            f"{time(THIN) / ours:.1f}",
            f"{time(LOWRANK) / time(RANDOMISED):.2f}",
            f"{ours / time(FLOOR):.2f}",
        )
    return table


def _core(core: list[CoreRow]) -> Table:
    table = Table("pair", "shape", "layers", "contender", "rank", "ms", "excess")
    for row in core:
        shape = "x".join(map(str, row.shape))
        cells = (row.contender, str(row.rank), f"{1e3 * row.seconds:.1f}", f"{row.excess:.1e}")
        table.add_row(f"{row.model} {row.spectrum}", shape, str(row.layers), *cells)
    return table


def _adaptive(core: list[CoreRow]) -> Table:
    """Adaptive types against the standard type at the ranks they end with, and quantile against full, per pair."""
    table = Table("pair", "type", "its time / that of its reference, summed over the layers")
    for model, spectrum in dict.fromkeys((row.model, row.spectrum) for row in core):
        pair = [row for row in core if (row.model, row.spectrum) == (model, spectrum)]

        def total(name: str, pair: list[CoreRow] = pair) -> float:
            return sum(row.seconds * row.layers for row in pair if row.contender == name)

        for name in dict.fromkeys(row.contender for row in pair if row.contender.startswith("adaptive")):
            reference = FULL if name == "adaptive_quantile" else f"standard at the rank of {name}"
            if total(reference):
                table.add_row(f"{model} {spectrum}", f"{name} / {reference}", f"{total(name) / total(reference):.2f}")
    return table
