"""``memory``: a run within 1 GiB, on a pair many times as large and on its quarter, each in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rich.table import Table

from benchmarks.streaming.data import Pair
from benchmarks.streaming.measuring import GIB, MIB, Workplace, fresh, run, watched
from benchmarks.streaming.tables import given_way, marked, mib, verdict
from engine.presets import DEFAULT_PROFILE, HARDWARE_PROFILES
from engine.session import Session
from engine.settings import ExtractionSettings

BUDGET = GIB
OVER_BUDGET = 250 * MIB
OVER_QUARTER = 1.15
_HARDWARE = HARDWARE_PROFILES[DEFAULT_PROFILE].model_copy(update={"device": "cpu", "memory_budget": BUDGET})


@dataclass(frozen=True)
class MemoryRow:
    """One pair: memory in bytes, seconds, and both targets.

    Attributes:
        side_bytes: each of its two files.
        baseline: memory that belongs to no file, after the imports.
        growth: the most above it.
        engine_peak: the most that the run held by its own count.
        over_quarter: growth over that of the quarter-size pair.
    """

    side_bytes: int
    layers: int
    baseline: int
    growth: int
    engine_peak: int
    read_bytes: int
    seconds: float
    events: dict[str, int]
    over_quarter: float = 1.0
    within_budget: str = ""
    like_quarter: str = ""


def memory_rows(place: Workplace) -> list[MemoryRow]:
    """The quarter-size pair and the whole one."""
    rows = [fresh(_measured, place.pair(place.share(part)), place.output) for part in (0.25, 1.0)]
    ratios = [row.growth / rows[0].growth for row in rows]
    filling = 2 * rows[0].side_bytes >= BUDGET  # else it has too few blocks to keep for a comparison

    def target(ratio: float) -> str:
        return verdict(ratio <= OVER_QUARTER) if filling else "quarter fits in the budget"

    return [
        replace(
            row,
            over_quarter=ratio,
            within_budget=verdict(row.growth <= BUDGET + OVER_BUDGET),
            like_quarter="" if row is rows[0] else target(ratio),
        )
        for row, ratio in zip(rows, ratios, strict=True)
    ]


def _measured(pair: Pair, folder: Path) -> MemoryRow:
    with watched() as watch, Session(*pair) as session:
        ran = run(session, ExtractionSettings(rank=32), _HARDWARE, folder)
    return MemoryRow(
        side_bytes=pair[0].stat().st_size,
        layers=ran.result.layers,
        baseline=watch.baseline,
        growth=watch.growth,
        engine_peak=ran.result.peak_device_bytes,
        read_bytes=ran.result.read_bytes,
        seconds=ran.result.seconds,
        events=ran.events,
    )


def memory_table(rows: list[MemoryRow]) -> Table:
    """Both pairs, and the targets."""
    table = Table(
        *(
            "MiB a side",
            "layers",
            "after imports MiB",
            "growth MiB",
            "engine's peak MiB",
            "read MiB",
            "s",
        ),
        *("gave way", f"growth <= {mib(BUDGET + OVER_BUDGET)} MiB", "/ quarter", f"<= {OVER_QUARTER}"),
        title=f"memory: budget {mib(BUDGET)} MiB, {DEFAULT_PROFILE}, rank 32, processor",
    )
    for row in rows:
        sizes = (row.baseline, row.growth, row.engine_peak, row.read_bytes)
        figures = (mib(row.side_bytes), str(row.layers), *map(mib, sizes), f"{row.seconds:.2f}", given_way(row.events))
        table.add_row(*figures, marked(row.within_budget), f"{row.over_quarter:.2f}", marked(row.like_quarter))
    return table
