"""The part ``start``: from the start of the process to the first painted pixel, and what was imported by then."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from benchmarks.window.workplace import Workplace

TARGET = 1.0
STARTED = "BENCHMARK_STARTED"

CHILD = """
import json, os, sys, time
from PySide6.QtCore import QCoreApplication, QEvent, QObject

class FirstPaint(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint and watched.isWidgetType() and watched.isWindow():
            watched.removeEventFilter(self)
            seconds = time.monotonic() - float(os.environ["BENCHMARK_STARTED"])
            print(json.dumps({"seconds": seconds, "torch": "torch" in sys.modules}), flush=True)
            QCoreApplication.exit(0)
        return False

import app.window.application
from app.storage.preferences import PreferenceStore
original = app.window.application.MainWindow
watcher = FirstPaint()

def watched_window(*arguments, **options):
    window = original(*arguments, **options)
    window.installEventFilter(watcher)
    return window

app.window.application.MainWindow = watched_window
status = app.window.application.run_window([], PreferenceStore(), listen=True)
os._exit(status)  # what is measured is the start
"""


@dataclass(frozen=True)
class StartRow:
    """One start of the program."""

    number: int
    seconds: float
    torch_imported: bool
    bare_qt_seconds: float


def start_rows(place: Workplace) -> list[StartRow]:
    """Start the window several times; the first start warms the disk and is not counted."""
    rows = []
    for number in range(place.repeats + 1):
        told = _start(CHILD, place.folder / "home")
        bare = _start(BARE, place.folder / "home")
        if number:
            rows.append(StartRow(number, told["seconds"], bool(told["torch"]), bare["seconds"]))
    return rows


BARE = """
import json, os, sys, time
from PySide6.QtWidgets import QApplication, QLabel

class Label(QLabel):
    def paintEvent(self, event):
        super().paintEvent(event)
        seconds = time.monotonic() - float(os.environ["BENCHMARK_STARTED"])
        print(json.dumps({"seconds": seconds, "torch": "torch" in sys.modules}), flush=True)
        os._exit(0)

application = QApplication(sys.argv)
label = Label("first pixel")
label.show()
application.exec()
"""


def _start(program: str, home: Path) -> dict[str, float]:
    environment = {**os.environ, "LORA_EXTRACTOR_HOME": str(home), STARTED: str(time.monotonic())}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def start_table(rows: list[StartRow]) -> Table:
    """Seconds of every start, and of a bare Qt label's."""
    table = Table(title="First pixel, seconds from the start of the process (warm disk)", title_justify="left")
    for title in ("start", "the window", "a bare Qt label", "ratio", "torch imported", "target 1.0 s"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            str(row.number),
            f"{row.seconds:.2f}",
            f"{row.bare_qt_seconds:.2f}",
            f"{row.seconds / row.bare_qt_seconds:.1f}",
            "yes" if row.torch_imported else "no",
            "met" if row.seconds < TARGET and not row.torch_imported else "missed",
        )
    if rows:
        median = statistics.median(row.seconds for row in rows)
        table.caption = f"median {median:.2f} s"
    return table
