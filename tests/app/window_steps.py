"""Steps that tests of the window share."""

from __future__ import annotations

from pathlib import Path

from pytestqt.qtbot import QtBot

from app.window.main_window import MainWindow
from app.work.controller import State
from app.work.requests import Extracted
from engine.results import ExtractionResult

Pair = tuple[Path, Path]


def wait_for(qtbot: QtBot, window: MainWindow, *states: State) -> None:
    qtbot.waitUntil(lambda: window.controller.state in states)


def note_results(window: MainWindow, results: list[ExtractionResult]) -> None:
    """Add the result of every run from now on to a list."""
    window.controller.run_event.connect(lambda event: isinstance(event, Extracted) and results.append(event.result))


def run_to_end(qtbot: QtBot, window: MainWindow, pair: Pair) -> None:
    """Extract, and wait until the next extraction could begin."""
    window.set_models(*pair)
    window.extract()
    wait_for(qtbot, window, State.DONE)
    qtbot.waitUntil(lambda: window.frame.bar.extract.isEnabled())
