"""The part ``growth``: memory of the window's process over many extractions in a row."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import psutil
from PySide6.QtCore import QCoreApplication, QEvent
from rich.table import Table

from app.window.main_window import MainWindow
from app.work.controller import State
from benchmarks.window.workplace import Workplace, wait_until
from engine.settings import ExtractionSettings

RUNS = 20
FIRST_COUNTED = 3
TARGET = 0.05


@dataclass(frozen=True)
class GrowthRow:
    """Memory after one extraction, bytes; `objects` is the number of objects that Python's collector knows."""

    run: int
    rss_bytes: int
    objects: int


def growth_rows(place: Workplace) -> list[GrowthRow]:
    """Extract twenty times in one window."""
    window = MainWindow()
    window.resize(1280, 800)
    window.model.show_extraction(ExtractionSettings(rank=16, resume=False))
    window.show()
    window.set_models(*place.pair)
    wait_until(lambda: window.controller.state is State.READY)
    rows = []
    process = psutil.Process()
    for run in range(1, RUNS + 1):
        window.extract()
        wait_until(lambda: window.controller.state is State.DONE)
        wait_until(window.frame.bar.extract.isEnabled)
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
        rows.append(GrowthRow(run, process.memory_info().rss, len(gc.get_objects())))
    window.close()
    return rows


def growth(rows: list[GrowthRow]) -> float:
    """Growth from the third run to the last, as a share."""
    return rows[-1].rss_bytes / rows[FIRST_COUNTED - 1].rss_bytes - 1.0


def growth_table(rows: list[GrowthRow]) -> Table:
    """Memory after each of the runs."""
    table = Table(title=f"Resident memory of the window after each of {RUNS} extractions", title_justify="left")
    for column in ("extraction", "MiB", "Python objects"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(str(row.run), f"{row.rss_bytes / 2**20:.0f}", f"{row.objects:,}")
    if len(rows) >= FIRST_COUNTED:
        share = growth(rows)
        table.caption = f"3rd to last: {share:+.1%}; target at most 5 %: {'met' if share <= TARGET else 'missed'}"
    return table
