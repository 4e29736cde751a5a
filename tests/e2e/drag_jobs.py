"""Shows a queue of four jobs on the X server that is there, and has the mouse drag the first one behind the third.

Run as a program of its own: ``python drag_jobs.py FILE``. The order of the jobs afterwards goes into FILE.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QPoint
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.storage.job_queue import new_job
from app.window.frame import Tab
from app.window.main_window import MainWindow
from engine.settings import ExtractionSettings, HardwareSettings

SETTLED_MS, PATIENCE, STEPS = 700, 60.0, 8


def point(jobs_view: object, row: int, lower: int) -> QPoint:
    area = jobs_view.visualRect(jobs_view.model().index(row, 0))  # type: ignore[attr-defined]
    return jobs_view.viewport().mapToGlobal(QPoint(90, area.center().y() + lower))  # type: ignore[attr-defined, no-any-return]


def main() -> None:
    application = QApplication(sys.argv)
    window = MainWindow()
    window.show()
    window.welcome_control.end()
    queue = window.frame.queue
    for name in "abcd":
        models = Path(f"/models/{name}.safetensors"), Path("/models/base.safetensors")
        queue.add_job(replace(new_job(*models, ExtractionSettings(), HardwareSettings(), Path("/loras")), id=name))
    window.frame.tabs.show_tab(Tab.QUEUE)
    QTest.qWait(SETTLED_MS)
    start, end = point(queue.jobs, 0, 0), point(queue.jobs, 2, 8)
    command = f"mousemove {start.x()} {start.y()} sleep 0.1 mousedown 1 sleep 0.1"
    for step in range(1, STEPS + 1):
        place = start + (end - start) * step / STEPS
        command += f" mousemove {place.x()} {place.y()} sleep 0.1"
    mouse = subprocess.Popen(["xdotool", *command.split(), "sleep", "0.2", "mouseup", "1"])
    stop = time.monotonic() + PATIENCE
    while mouse.poll() is None and time.monotonic() < stop:
        QTest.qWait(50)
    QTest.qWait(SETTLED_MS)
    order = [queue.model.job(row).id for row in range(4)]
    Path(sys.argv[1]).write_text(json.dumps(order))
    del application
    os._exit(0)  # what the window began in the background ends with the process


if __name__ == "__main__":
    main()
