"""The demo in the window, from the command to the dialog, with the real pair and the real comparison."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import argparse
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from app.cli import demo
from app.demo.pair import PICTURE
from app.storage import paths
from app.widgets.help.demo_dialog import DemoDialog
from app.window.main_window import MainWindow
from engine.cancel import CancelToken
from engine.errors import Cancelled

PATIENCE = 120.0


class Visitor:
    """Looks at the window while the demo runs, and leaves when it has seen enough."""

    def __init__(self, act: Callable[[MainWindow, DemoDialog], bool]) -> None:
        self._act = act
        self._end = time.monotonic() + PATIENCE
        self.satisfied = False
        self.timer = QTimer()
        self.timer.timeout.connect(self.look)
        self.timer.start(20)

    def look(self) -> None:
        windows = QApplication.topLevelWidgets()
        for window in (item for item in windows if isinstance(item, MainWindow) and item.isVisible()):
            dialog = window.findChild(DemoDialog)
            # A run whose thread is still ending counts as running: closing then would ask, and wait for an answer.
            if dialog is not None and not window.controller.busy and self._act(window, dialog):
                self.satisfied = True
                self.timer.stop()
                window.close()
                return
        if time.monotonic() > self._end:
            self.timer.stop()
            QApplication.exit(1)


@pytest.fixture(autouse=True)
def screen(monkeypatch: pytest.MonkeyPatch, qapp: QApplication) -> None:
    monkeypatch.setattr(demo, "has_screen", lambda: True)
    for owner in (sys, threading):  # the window takes over the hooks; this puts them back
        monkeypatch.setattr(owner, "excepthook", owner.excepthook)


@pytest.fixture
def session_file() -> Path:
    file = paths.config_dir() / "session.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"version": 1, "theme": "dark", "finetuned": "/models/mine.safetensors"}')
    return file


def run_demo(folder: Path, cancel: CancelToken | None = None) -> Any:
    parsed = argparse.Namespace(output_dir=folder, terminal=False, json=False)
    return demo.run_demo(parsed, cancel or CancelToken())


def test_the_demo_ends_with_the_picture_and_the_three_losses_and_leaves_the_session_alone(
    tmp_path: Path, session_file: Path
) -> None:
    before = session_file.read_bytes()
    losses: dict[str, float] = {}
    headlines: list[str] = []

    def act(_window: MainWindow, dialog: DemoDialog) -> bool:
        if not dialog.isVisible() or not dialog.picture.loaded():
            return False
        for row in range(dialog.losses.rowCount()):
            title, loss = dialog.losses.item(row, 0), dialog.losses.item(row, 1)
            losses[title.text()] = float(loss.text())
        headlines.append(dialog.headline.text())
        return True

    visitor = Visitor(act)
    assert run_demo(tmp_path / "out") is None
    assert visitor.satisfied
    assert QImage(str(tmp_path / "out" / PICTURE)).width() > 400
    assert len(list((tmp_path / "out").glob("demo_lora*.safetensors"))) == 1
    assert list(losses) == ["Original", "Fine-tuned", "Original + LoRA"]
    assert losses["Original + LoRA"] < losses["Original"]
    assert "recovers 9" in headlines[0]
    assert session_file.read_bytes() == before
    assert list(session_file.parent.iterdir()) == [session_file]


def test_the_window_can_be_closed_while_the_models_are_compared(tmp_path: Path) -> None:
    visitor = Visitor(lambda _window, dialog: dialog.isVisible() and not dialog.progress.isHidden())
    assert run_demo(tmp_path) is None
    assert visitor.satisfied


def test_a_comparison_that_fails_is_told_and_the_window_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.window import demo_window

    def fail(_lora: Path, _picture: Path, _check: Callable[[], None]) -> dict[str, Any]:
        raise OSError("no place for a picture")

    monkeypatch.setattr(demo_window, "show", fail)
    visitor = Visitor(lambda _window, dialog: "no place for a picture" in dialog.detail.text())
    assert run_demo(tmp_path) is None
    assert visitor.satisfied


def test_an_interrupt_on_the_terminal_ends_the_demo(tmp_path: Path) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        run_demo(tmp_path, cancel)
