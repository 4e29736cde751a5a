"""What the window says after a run: the result stays at hand, nothing stale is shown, counts agree."""

from pathlib import Path

import pytest
from fakes import FakeEngine
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from window_steps import Pair, run_to_end, wait_for

from app.look.theme import Theme
from app.text.window_text import breakable, short_error_text, window_error_text
from app.widgets.layers.layer_model import LayerModel
from app.widgets.tabs.run_tab import RunPanel
from app.window import run_presenter
from app.window.main_window import MainWindow
from app.work.controller import State
from engine.errors import EngineError, ErrorCode
from engine.events import MemorySample, Planned
from engine.settings import ExtractionSettings


def test_the_last_result_stays_at_hand_until_the_next_run(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    run_to_end(qtbot, window, pair)
    bar = window.frame.bar
    assert not bar.last.isVisible(), "the result itself is shown"
    window.frame.options.show_settings(ExtractionSettings(rank=64))
    window.model.settle()
    wait_for(qtbot, window, State.READY)
    assert "rank_64" in bar.headline.text()
    assert bar.last.isVisible()
    assert bar.last.name.text() == "Last: fake_rank_8_00001_.safetensors"
    folders: list[Path] = []
    bar.open_folder_clicked.disconnect()
    bar.open_folder_clicked.connect(folders.append)
    bar.last.open_folder.click()
    assert folders == [window.model.request.output_dir]
    bar.last.copy_path.click()
    assert QApplication.clipboard().text().endswith("fake_rank_8_00001_.safetensors")
    engine.hold_run.clear()
    window.extract()
    assert not bar.last.isVisible()
    engine.let_go()
    wait_for(qtbot, window, State.DONE)


def test_a_run_that_fails_before_it_starts_shows_nothing_of_the_last_one(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_to_end(qtbot, window, pair)
    error = EngineError(ErrorCode.DEVICE_UNAVAILABLE, device="cuda:0", available=["cpu"])

    def refuse(*_args: object) -> None:
        raise error

    monkeypatch.setattr(engine, "events", refuse)
    window.extract()
    wait_for(qtbot, window, State.FAILED)
    panel = window.frame.run.panel
    assert panel.memory.detail.text() == panel.batches.detail.text() == panel.layers.detail.text() == ""
    assert window.frame.run.layers.table.shown() == 0
    assert not panel.memory.plot.isVisible()
    assert "There is no device cuda:0 here." in window.frame.bar.headline.text()
    assert "Available: cpu." in window.frame.bar.detail.text()
    assert not window.frame.bar.last.isVisible()


def test_a_stopped_run_counts_the_layers_that_the_table_shows(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_presenter, "ask_stop", lambda *_args, **_options: True)
    engine.hold_run.clear()
    window.set_models(*pair)
    window.extract()
    qtbot.waitUntil(lambda: window.frame.run.layers_done() == 6)
    window.ask_stop()
    wait_for(qtbot, window, State.STOPPED)
    assert "6 of 12" in window.frame.bar.headline.text()
    assert window.frame.run.panel.layers.detail.text() == "6 of 12"


@pytest.mark.parametrize(("device", "curve"), [("cpu", False), ("cuda:0", True)])
def test_the_whole_device_is_drawn_only_where_it_is_more_than_this_run(
    qtbot: QtBot, theme: Theme, device: str, curve: bool
) -> None:
    panel = RunPanel(theme, LayerModel())
    qtbot.addWidget(panel)
    panel.show()
    panel.take(Planned(1, (), "x", 1, device, "Here", 10**9, 1, 1, 0))
    panel.take(MemorySample(0.5, 10**8, 3 * 10**8, 10**9, 0))
    assert panel.memory.whole_device.isVisible() == curve
    assert panel.memory.plot._curves["device"].isVisible() == curve
    assert ("in use" in panel.memory.detail.text()) == curve
    assert ("100 MB of 1.0 GB" in panel.memory.detail.text()) == (not curve)


def test_a_typed_name_that_leads_away_is_shown_as_it_was_typed() -> None:
    error = EngineError(ErrorCode.OUTPUT_ESCAPES, file="../x", reason="leaves")
    assert "../x" in short_error_text(error)[0]


@pytest.mark.parametrize("code", list(ErrorCode))
def test_no_remedy_in_the_window_names_an_option_of_the_command_line(code: ErrorCode) -> None:
    data = {"available": ["cpu"], "matched": 1, "layers": 3, "value": 1.0, "needed": 1, "free": 1}
    names = "other example other_example why dtype device scheme container encoding format family program lora_type"
    words = dict.fromkeys(names.split(), "x")
    numbers = {"actual": 1, "expected": 2, "size": 1, "least": 2, "name": "x", "reason": "leaves"}
    text = window_error_text(EngineError(code, file="a", tensor="b", **data, **words, **numbers))
    assert "--" not in " ".join(text)


def test_long_names_may_break_after_a_dot_and_short_ones_stay_as_they_are() -> None:
    name = "diffusion_model.double_blocks.17.img_attn.qkv.weight"
    assert breakable(name) != name
    assert breakable(name).replace("\u200b", "") == name
    assert breakable("base.safetensors is empty") == "base.safetensors is empty"
