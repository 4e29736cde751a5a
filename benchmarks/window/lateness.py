"""The part ``lateness``: how late the event loop is: idle, during a real extraction, and in a plain sketch."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
import torch
from PySide6.QtCore import QCoreApplication, Qt, QThread, QTimer
from rich.table import Table

from app.window.main_window import MainWindow
from app.work.controller import State
from benchmarks.window.workplace import Workplace, wait_until
from engine.settings import ExtractionSettings

INTERVAL_MS = 4
IDLE_SECONDS = 5.0
P99_TARGET_MS = 16.0
WORST_TARGET_MS = 100.0


@dataclass(frozen=True)
class LatenessRow:
    """Milliseconds by which the loop came later than a timer asked for."""

    what: str
    seconds: float
    median_ms: float
    p99_ms: float
    worst_ms: float
    loop_share: float


class LateTimer:
    """A precise timer that notes how late each of its calls is."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._tick)
        self._begun = self._last = time.perf_counter()

    def start(self) -> None:
        """Begin to count."""
        self.late.clear()
        self._begun = self._last = time.perf_counter()
        self._timer.start()

    def stop(self, what: str) -> LatenessRow:
        """The count so far."""
        self._timer.stop()
        late = np.array(self.late) * 1000
        seconds = time.perf_counter() - self._begun
        quantiles = np.quantile(late, (0.5, 0.99)) if late.size else (math.nan, math.nan)
        worst = float(late.max()) if late.size else math.nan
        return LatenessRow(
            what, seconds, float(quantiles[0]), float(quantiles[1]), worst, late.size * INTERVAL_MS / 1000 / seconds
        )

    def _tick(self) -> None:
        now = time.perf_counter()
        self.late.append(max(0.0, now - self._last - INTERVAL_MS / 1000))
        self._last = now


def lateness_rows(place: Workplace) -> list[LatenessRow]:
    """Idle, extracting, and a QThread with torch and a plot."""
    window = MainWindow()
    window.resize(1280, 800)
    window.model.show_extraction(ExtractionSettings(rank=64, resume=False))
    window.show()
    timer = LateTimer()
    rows = [_during(timer, "idle", _after(IDLE_SECONDS))]
    window.set_models(*place.pair)
    wait_until(lambda: window.controller.state is State.READY)
    for number in range(place.repeats):
        window.extract()
        rows.append(_during(timer, f"extraction {number + 1}", lambda: window.controller.state is State.DONE))
        wait_until(window.frame.bar.extract.isEnabled)
    window.close()
    rows.append(_during_sketch(timer))
    return rows


def _during(timer: LateTimer, what: str, over: Callable[[], bool]) -> LatenessRow:
    timer.start()
    wait_until(over)
    return timer.stop(what)


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


class _PlainWork(QThread):
    """Decompositions one after the other, and the times they took."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []
        self.over = threading.Event()

    def run(self) -> None:
        """Decompose until told to stop."""
        matrix = torch.randn(1280, 1280)
        while not self.over.is_set():
            started = time.perf_counter()
            torch.linalg.svd(matrix, full_matrices=False)
            self.times.append(time.perf_counter() - started)


def _during_sketch(timer: LateTimer) -> LatenessRow:
    """What anybody would write first: torch in a QThread, a plot that is redrawn four times a second."""
    plot = pg.PlotWidget()
    plot.resize(900, 400)
    curve = plot.plot()
    plot.show()
    work = _PlainWork()
    redraw = QTimer()
    redraw.timeout.connect(lambda: curve.setData(work.times))
    redraw.start(250)
    work.start()
    row = _during(timer, "plain sketch", _after(IDLE_SECONDS))
    work.over.set()
    work.wait()
    redraw.stop()
    plot.close()
    QCoreApplication.processEvents()
    return row


def lateness_table(rows: list[LatenessRow]) -> Table:
    """Median, 99th percentile and worst per situation."""
    title = f"Event loop lateness, ms (a timer every {INTERVAL_MS} ms)"
    table = Table(title=title, title_justify="left")
    for column in ("", "seconds", "median", "99th percentile", "worst", "target 16 and 100"):
        table.add_column(column, justify="left" if not column else "right")
    for row in rows:
        met = row.p99_ms < P99_TARGET_MS and row.worst_ms < WORST_TARGET_MS
        verdict = ("met" if met else "missed") if row.what.startswith("extraction") else ""
        table.add_row(
            row.what, f"{row.seconds:.1f}", f"{row.median_ms:.1f}", f"{row.p99_ms:.1f}", f"{row.worst_ms:.1f}", verdict
        )
    return table
