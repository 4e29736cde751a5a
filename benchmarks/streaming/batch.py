"""``batch``: the memory of one more layer at a time, on equal layers, each size in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.table import Table

from benchmarks.streaming.data import Pair
from benchmarks.streaming.measuring import GIB, Workplace, fresh, run, watched
from benchmarks.streaming.tables import mib
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

MOST = 8
SEED_CLAIMS = 0.15


@dataclass(frozen=True)
class BatchRow:
    """One batch size: memory in bytes, and what each layer beyond the first adds, as a part of one layer's memory.

    Attributes:
        engine_peak: the most that the run held by its own count.
        growth: of the process.
        engine_more: of `engine_peak`, per further layer.
        growth_more: of `growth`, per further layer.
        on_previous: `engine_peak` over that of one layer less, minus one.
    """

    prefetch_ahead: int
    batch_size: int
    seconds: float
    engine_peak: int
    growth: int
    engine_more: float = 0.0
    growth_more: float = 0.0
    on_previous: float = 0.0


def batch_rows(place: Workplace) -> list[BatchRow]:
    """Every size, without reading ahead and with two blocks of it."""
    pair = place.pair(place.equal)
    rows: list[BatchRow] = []
    for ahead in (0, 2):
        first = last = None
        for size in range(1, MOST + 1):
            row = fresh(_measured, pair, place.output, size, ahead)
            if first is not None and last is not None:
                row = replace(
                    row,
                    engine_more=(row.engine_peak / first.engine_peak - 1) / (size - 1),
                    growth_more=(row.growth / first.growth - 1) / (size - 1),
                    on_previous=row.engine_peak / last.engine_peak - 1,
                )
            first, last = first or row, row
            rows.append(row)
    return rows


def _measured(pair: Pair, folder: Path, size: int, ahead: int) -> BatchRow:
    torch.set_num_threads(MOST)  # which is the most layers a processor works on at once
    hardware = HardwareSettings(device="cpu", batch_size=size, prefetch_ahead=ahead, memory_budget=8 * GIB)
    hardware = hardware.model_copy(update={"blocks_in_gpu": 0})
    with watched() as watch, Session(*pair) as session:
        ran = run(session, ExtractionSettings(rank=32), hardware, folder)
    return BatchRow(ahead, size, ran.result.seconds, ran.result.peak_device_bytes, watch.growth)


def batch_table(rows: list[BatchRow]) -> Table:
    """All sizes; the seed's documentation says about 15 % per further layer."""
    table = Table(
        *("read ahead", "batch", "s", "engine's peak MiB", "process MiB"),
        *("engine per further layer", "process per further layer", "engine, on one less", "the seed says"),
        title=f"batch: layers of 1024 x 1024, rank 32, {MOST} threads whatever the cores, so that seconds do not count",
    )
    for row in rows:
        shares = (row.engine_more, row.growth_more, row.on_previous)
        more = [f"{value:+.0%}" for value in shares] if row.batch_size > 1 else ["", "", ""]
        sizes = map(mib, (row.engine_peak, row.growth))
        claim = f"about {SEED_CLAIMS:.0%}" if row.batch_size > 1 else ""
        table.add_row(str(row.prefetch_ahead), str(row.batch_size), f"{row.seconds:.3f}", *sizes, *more, claim)
    return table
