"""``resident``: a second run of a session whose blocks all stayed, against the first."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from benchmarks.streaming.measuring import GIB, Ran, Workplace, run
from benchmarks.streaming.tables import given_way, marked, mib, verdict
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings


@dataclass(frozen=True)
class ResidentRow:
    """One run.

    Attributes:
        ratio: the first run's seconds over its own.
        unread: the target, not a byte read.
    """

    which: str
    seconds: float
    ratio: float
    read_bytes: int
    peak_bytes: int
    resident_bytes: int
    events: dict[str, int]
    unread: str


def resident_rows(place: Workplace) -> list[ResidentRow]:
    """The first run and the second."""
    layout = place.share(0.25)
    pair = place.pair(layout)
    hardware = HardwareSettings(
        device="cpu", blocks_in_gpu=40, vram_usage_mode="aggressive", memory_budget=4 * layout.nbytes + 4 * GIB
    )
    settings = ExtractionSettings(rank=32, resume=False)
    best: list[tuple[Ran, int]] = []
    for attempt in range(place.repeats + 1):
        with Session(*pair) as session:
            both = [(run(session, settings, hardware, place.output), session.resident_bytes) for _ in range(2)]
        if attempt:  # the first is the first use of every library
            known = best or both
            best = [min(pair_of, key=lambda one: one[0].result.seconds) for pair_of in zip(known, both, strict=True)]
    first = best[0][0].result.seconds
    return [
        ResidentRow(
            which=which,
            seconds=ran.result.seconds,
            ratio=first / ran.result.seconds,
            read_bytes=ran.result.read_bytes,
            peak_bytes=ran.result.peak_device_bytes,
            resident_bytes=resident,
            events=ran.events,
            unread="" if which == "first" else verdict(ran.result.read_bytes == 0),
        )
        for which, (ran, resident) in zip(("first", "second"), best, strict=True)
    ]


def resident_table(rows: list[ResidentRow]) -> Table:
    """Both runs."""
    table = Table(
        *(
            "run",
            "s",
            "first / it",
            "read bytes",
            "engine's peak MiB",
            "stays MiB",
            "gave way",
            "unread",
        ),
        title="resident: all blocks stay, rank 32, processor",
    )
    for row in rows:
        times = f"{row.seconds:.3f}", f"{row.ratio:.2f}"
        sizes = f"{row.read_bytes:,}", mib(row.peak_bytes), mib(row.resident_bytes)
        table.add_row(row.which, *times, *sizes, given_way(row.events), marked(row.unread))
    return table
