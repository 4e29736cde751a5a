"""``prefetch``: how much of the reading hides behind the computing, where both take the same time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from unittest.mock import patch

from rich.table import Table

from benchmarks.streaming.data import Pair
from benchmarks.streaming.measuring import Ran, Workplace, run
from benchmarks.streaming.tables import marked, verdict
from engine.checkpoints import StoredTensor
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

MOST = 1.15
Read = Callable[[StoredTensor, memoryview], None]
_SETTINGS = ExtractionSettings(rank=32)
_ALONE = HardwareSettings(device="cpu", vram_usage_mode="conservative", batch_size=1, prefetch_ahead=0)


@dataclass(frozen=True)
class PrefetchRow:
    """One setting of `prefetch_ahead`: wall seconds of the run, and of reading and computing alone.

    Attributes:
        compute_beside: seconds of computing in this run, beside the reading; more than alone on busy cores.
        ratio: wall seconds over the slower of the two alone.
    """

    prefetch_ahead: int
    layers: int
    compute_alone: float
    read_alone: float
    compute_beside: float
    wall: float
    waited_share: float
    ratio: float
    target: str


def prefetch_rows(place: Workplace) -> list[PrefetchRow]:
    """With and without reading ahead, at the same throttled reader."""
    pair = place.pair(place.equal)
    runs = [_run(place, pair, _ALONE, 0.0) for _ in range(place.repeats + 1)]  # one to warm up
    alone = min(sum(row.seconds.compute for row in ran.result.rows) for ran in runs)
    per_byte = alone / runs[0].result.read_bytes
    rows = []
    for ahead in (2, 0):
        hardware = HardwareSettings(device="cpu", batch_size=1, prefetch_ahead=ahead)
        result = min(
            (_run(place, pair, hardware, per_byte).result for _ in range(place.repeats)), key=lambda one: one.seconds
        )
        read = sum(row.seconds.read for row in result.rows)
        ratio = result.seconds / max(alone, read)
        target = verdict(ratio <= MOST) if ahead else ""
        rows.append(
            PrefetchRow(
                prefetch_ahead=ahead,
                layers=result.layers,
                compute_alone=alone,
                read_alone=read,
                compute_beside=sum(row.seconds.compute for row in result.rows),
                wall=result.seconds,
                waited_share=result.waited_share,
                ratio=ratio,
                target=target,
            )
        )
    return rows


def _run(place: Workplace, pair: Pair, hardware: HardwareSettings, per_byte: float) -> Ran:
    with Session(*pair) as session, ExitStack() as stack:
        for checkpoint in (session.finetuned, session.original):
            slow = throttled(checkpoint.read_into, per_byte)
            stack.enter_context(patch.object(checkpoint, "read_into", slow))
        return run(session, _SETTINGS, hardware, place.output)


def throttled(read_into: Read, per_byte: float) -> Read:
    """A reader that takes at least so many seconds for each byte."""

    def slow(part: StoredTensor, buffer: memoryview) -> None:
        until = time.perf_counter() + per_byte * len(buffer)
        read_into(part, buffer)
        time.sleep(max(0.0, until - time.perf_counter()))

    return slow


def prefetch_table(rows: list[PrefetchRow]) -> Table:
    """Both settings, and the target."""
    table = Table(
        *(
            "read ahead",
            "layers",
            "compute alone s",
            "read s",
            "compute beside it s",
            "wall s",
            "waited",
            "wall / slower",
            f"<= {MOST}",
        ),
        title="prefetch: a reader as slow as the computing, one layer at a time, rank 32, processor",
    )
    for row in rows:
        seconds = (f"{value:.3f}" for value in (row.compute_alone, row.read_alone, row.compute_beside, row.wall))
        share, ratio = f"{row.waited_share:.0%}", f"{row.ratio:.2f}"
        table.add_row(str(row.prefetch_ahead), str(row.layers), *seconds, share, ratio, marked(row.target))
    return table
