"""``cache``: what the journal costs a run, and what it saves the next ones, each in a session of its own."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from benchmarks.streaming.data import Pair
from benchmarks.streaming.measuring import GIB, Workplace, run
from benchmarks.streaming.tables import marked, mib, verdict
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store.store import DecompositionStore

AT_LEAST = 20.0
JUDGED_FROM = 2 * GIB
_FIRST = ExtractionSettings(rank=32)
_REPEATS = {
    "same rank, bf16": ExtractionSettings(rank=32, output_dtype="bf16"),
    "half the rank": ExtractionSettings(rank=16),
    "identical": _FIRST,
}
WITHOUT, JOURNALED = "first, no store", "first, journaled"


@dataclass(frozen=True)
class CacheRow:
    """One run, from opening the files to closing them.

    Attributes:
        ratio: seconds of the journaled first run over its own.
        store_bytes: size of the store after it.
        without_work: whether every layer was kept and nothing was read, as a re-export must.
        target: of `ratio`; only pairs of at least 2 GiB a side are judged.
    """

    which: str
    side_bytes: int
    seconds: float
    ratio: float
    layers: int
    layers_reused: int
    read_bytes: int
    store_bytes: int
    without_work: str
    target: str


@dataclass(frozen=True)
class _Timed:
    seconds: float
    result: ExtractionResult
    store_bytes: int


def cache_rows(place: Workplace) -> list[CacheRow]:
    """First runs without and with a store, then three runs that need no work."""
    pair = place.pair(place.share(0.5))
    folder = place.folder / "store"
    _timed(place, pair, _FIRST, None)  # first use of every library
    best: dict[str, _Timed] = {}
    for _ in range(place.repeats):
        _note(best, WITHOUT, _timed(place, pair, _FIRST, None))
        shutil.rmtree(folder, ignore_errors=True)
        _note(best, JOURNALED, _timed(place, pair, _FIRST, folder))
        for which, settings in _REPEATS.items():
            _note(best, which, _timed(place, pair, settings, folder))
    shutil.rmtree(folder)
    size = pair[0].stat().st_size
    return [_row(which, timed, best[JOURNALED], size) for which, timed in best.items()]


def _note(best: dict[str, _Timed], which: str, timed: _Timed) -> None:
    best[which] = min(best.get(which, timed), timed, key=lambda one: one.seconds)


def _timed(place: Workplace, pair: Pair, settings: ExtractionSettings, folder: Path | None) -> _Timed:
    store = None if folder is None else DecompositionStore(folder)
    hardware = HardwareSettings(device="cpu")
    started = time.perf_counter()
    with Session(*pair, store) as session:
        ran = run(session, settings, hardware, place.output)
    seconds = time.perf_counter() - started
    return _Timed(seconds, ran.result, 0 if store is None else store.size_bytes)


def _row(which: str, timed: _Timed, first: _Timed, size: int) -> CacheRow:
    ratio, result = first.seconds / timed.seconds, timed.result
    without_work = target = ""
    if which in _REPEATS:
        without_work = verdict(result.layers_reused == result.layers and result.read_bytes == 0)
        target = verdict(ratio >= AT_LEAST) if size >= JUDGED_FROM else "pair below 2 GiB"
    return CacheRow(
        which=which,
        side_bytes=size,
        seconds=timed.seconds,
        ratio=ratio,
        layers=result.layers,
        layers_reused=result.layers_reused,
        read_bytes=result.read_bytes,
        store_bytes=timed.store_bytes,
        without_work=without_work,
        target=target,
    )


def cache_table(rows: list[CacheRow]) -> Table:
    """All runs, and the targets."""
    seconds = {row.which: row.seconds for row in rows}
    overhead = seconds[JOURNALED] / seconds[WITHOUT] - 1
    table = Table(
        *("run", "s", "journaled / it", "layers kept", "read bytes", "store MiB", "no work", f">= {AT_LEAST:.0f}"),
        title=f"cache: {mib(rows[0].side_bytes)} MiB a side, rank 32, processor; the journal adds {overhead:+.1%}",
    )
    for row in rows:
        kept, times = f"{row.layers_reused} of {row.layers}", (f"{row.seconds:.3f}", f"{row.ratio:.1f}")
        sizes = f"{row.read_bytes:,}", mib(row.store_bytes)
        table.add_row(row.which, *times, kept, *sizes, marked(row.without_work), marked(row.target))
    return table
