"""The clock of the first paint is the process's own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app import first_paint
from app.first_paint import FirstPaint
from app.look.theme import Theme
from app.window.main_window import MainWindow

ROOT = Path(__file__).resolve().parents[2]
CODE = "import time; time.sleep(1); from app.first_paint import age_of_process; print(age_of_process())"


def test_the_age_of_a_process_is_what_its_parent_measured() -> None:
    started = time.monotonic()
    run = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 1.0 <= float(run.stdout) <= time.monotonic() - started + 0.02


def test_the_first_paint_is_noticed_once_and_closes_the_window(
    qtbot: QtBot, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PySide6.QtWidgets import QApplication

    ages = iter([1.25, 9.0])
    monkeypatch.setattr(first_paint, "age_of_process", lambda: next(ages))
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    watcher = FirstPaint(application)
    window = MainWindow(theme=theme)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: watcher.seconds is not None and not window.isVisible())
    application.removeEventFilter(watcher)
    assert watcher.seconds == 1.25
