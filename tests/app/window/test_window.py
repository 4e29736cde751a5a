from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import FakeEngine
from PySide6.QtCore import Qt, QThread, QTimer
from PySide6.QtWidgets import (
    QApplication,
)
from pytestqt.qtbot import QtBot
from window_steps import Pair, wait_for

from app.widgets.basics.notice_bar import NoticeBar
from app.window import closing, run_presenter
from app.window.main_window import MainWindow
from app.work.controller import State
from engine.errors import EngineError, ErrorCode
from engine.events import Planned
from engine.settings import ExtractionSettings, HardwareSettings


def run_to_end(qtbot: QtBot, window: MainWindow, pair: Pair) -> None:
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    qtbot.mouseClick(window.frame.bar.extract, Qt.MouseButton.LeftButton)
    wait_for(qtbot, window, State.DONE)


def start_and_hold(qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair) -> None:
    engine.hold_run.clear()
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    window.extract()
    qtbot.waitUntil(lambda: window.frame.run.layers_done() > 0)


def test_an_empty_window_says_what_to_do(window: MainWindow) -> None:
    assert "Choose two models" in window.frame.bar.headline.text()
    assert not window.frame.bar.extract.isEnabled()


def test_a_chosen_pair_is_described_and_planned(qtbot: QtBot, window: MainWindow, pair: Pair) -> None:
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    assert "Flux.1" in window.frame.models.finetuned.detail.text()
    assert "22.2 GB" in window.frame.models.original.detail.text()
    assert window.frame.models.pair.headline.text() == "12 layers will be extracted"
    assert window.frame.models.pair.left_out.text() == "2 left out"
    assert "fake_rank_8_00001_" in window.frame.bar.headline.text()
    assert window.frame.bar.extract.isEnabled()


def test_a_changed_option_changes_the_plan(qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair) -> None:
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    window.frame.options.form.editor("output_dtype").control.setCurrentIndex(1)  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: engine.plans[-1][0].output_dtype == "bf16")
    wait_for(qtbot, window, State.READY)
    assert len(engine.sessions) == 1, "the pair is not opened again for another plan"


def test_a_whole_extraction_through_the_widgets(qtbot: QtBot, window: MainWindow, pair: Pair) -> None:
    run_to_end(qtbot, window, pair)
    bar = window.frame.bar
    assert "fake_rank_8_00001_.safetensors" in bar.headline.text()
    assert "93.8 %" in bar.detail.text()
    assert "87.4 %" in bar.detail.text()
    assert bar.open_folder.isVisible()
    assert window.frame.run.layers.table.shown() == 12
    assert "peak 9.0 GB" in window.frame.run.panel.memory.detail.text()
    bar.copy_path.click()
    assert QApplication.clipboard().text().endswith("fake_rank_8_00001_.safetensors")


def test_the_run_is_not_on_the_gui_thread(qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair) -> None:
    import threading

    run_to_end(qtbot, window, pair)
    assert engine.run_threads[0] is not threading.main_thread()


def test_after_a_run_the_next_file_name_is_planned_and_can_be_extracted(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    run_to_end(qtbot, window, pair)
    qtbot.waitUntil(lambda: window.frame.bar.extract.isEnabled())
    window.extract()
    qtbot.waitUntil(lambda: engine.closed_runs == 2 and window.controller.state is State.DONE)
    assert "00002" in window.frame.bar.headline.text()


def test_extract_before_the_plan_is_there_starts_as_soon_as_it_is(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    window.set_models(*pair)
    window.extract()
    wait_for(qtbot, window, State.DONE)
    assert engine.runs == 1


def test_settings_are_locked_while_running(qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair) -> None:
    start_and_hold(qtbot, window, engine, pair)
    assert not window.frame.options.isEnabled()
    assert not window.frame.models.finetuned.browse.isEnabled()
    assert window.frame.bar.stop.isVisible()
    qtbot.waitUntil(lambda: "Layer" in window.frame.bar.headline.text())
    engine.let_go()
    wait_for(qtbot, window, State.DONE)
    assert window.frame.options.isEnabled()
    assert window.frame.models.finetuned.browse.isEnabled()


@pytest.mark.parametrize("answer", [True, False])
def test_stop_asks_first(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    monkeypatch.setattr(run_presenter, "ask_stop", lambda *_args, **_options: answer)
    start_and_hold(qtbot, window, engine, pair)
    window.frame.bar.stop.click()
    if answer:
        wait_for(qtbot, window, State.STOPPED)
        assert "Stopped" in window.frame.bar.headline.text()
    else:
        assert window.controller.state is State.RUNNING
        engine.let_go()
        wait_for(qtbot, window, State.DONE)


def test_closing_while_running_asks_stops_and_waits(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [False, True]
    monkeypatch.setattr(closing, "ask_stop", lambda *_args, **_options: answers.pop(0))
    start_and_hold(qtbot, window, engine, pair)
    assert not window.close()
    assert window.controller.state is State.RUNNING
    assert not window.close()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert engine.closed_runs == 1
    assert not window.controller.busy
    assert all(session.closed for session in engine.sessions)


def test_a_failed_run_says_what_happened_and_what_to_do(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    engine.run_error = EngineError(ErrorCode.DISK_FULL, file="/loras/x.safetensors")
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    window.extract()
    wait_for(qtbot, window, State.FAILED)
    bar = window.frame.bar
    assert "no space left" in bar.headline.text()
    assert "folder" in bar.detail.text()
    bar.copy_details.click()
    assert "disk_full" in QApplication.clipboard().text()


def test_an_unexpected_error_keeps_its_traceback_for_the_report(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    engine.run_error = ZeroDivisionError("oops")
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    window.extract()
    wait_for(qtbot, window, State.FAILED)
    window.frame.bar.copy_details.click()
    assert "ZeroDivisionError: oops" in QApplication.clipboard().text()


def test_a_bad_file_is_told_on_its_card(qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair) -> None:
    engine.inspect_error = engine.pair_error = EngineError(ErrorCode.FILE_EMPTY, file=pair[0])
    window.set_models(*pair)
    qtbot.waitUntil(lambda: "is empty" in window.frame.models.finetuned.detail.text())
    wait_for(qtbot, window, State.IDLE)
    assert not window.frame.bar.extract.isEnabled()
    assert "is empty" in window.frame.bar.headline.text()


def test_a_pair_that_does_not_match_is_told_on_the_pair_card(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    engine.pair_error = EngineError(ErrorCode.SAME_FILE, file=pair[0])
    window.set_models(*pair)
    qtbot.waitUntil(lambda: "No LoRA" in window.frame.models.pair.headline.text())
    assert "tuned.safetensors" in window.frame.models.pair.detail.text()


def test_the_answer_for_a_file_chosen_before_is_dropped(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, tmp_path: Path
) -> None:
    engine.hold_inspection.clear()
    window.set_models(pair[0], None)
    qtbot.waitUntil(lambda: engine.inspections == [pair[0]])
    newer = tmp_path / "newer.safetensors"
    window.set_models(newer, None)
    engine.let_go()
    qtbot.waitUntil(lambda: "Flux.1" in window.frame.models.finetuned.detail.text())
    assert window.frame.models.finetuned.name.text() == "newer.safetensors"
    assert engine.inspections == [pair[0], newer]


def test_a_card_cleared_meanwhile_stays_empty(qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair) -> None:
    engine.hold_inspection.clear()
    window.set_models(*pair)
    qtbot.waitUntil(lambda: len(engine.inspections) == 1)
    window.set_models(None, None)
    engine.let_go()
    qtbot.wait(50)
    assert window.frame.models.finetuned.path is None
    assert "Choose two models" in window.frame.bar.headline.text()
    assert engine.sessions == []


def test_the_last_session_comes_back(
    qtbot: QtBot, make_window: Callable[..., MainWindow], pair: Pair, tmp_path: Path
) -> None:
    first = make_window()
    first.set_models(*pair)
    first.frame.options.show_settings(ExtractionSettings(rank=64, lora_type="adaptive_fro", adaptive_param=0.9))
    first.frame.hardware.profiles.choose("Safe (8 GB)")
    first.frame.hardware.show_settings(HardwareSettings(batch_size=3))
    first.theme.set_choice("dark")
    first.model.set_output_dir(tmp_path / "loras")
    wait_for(qtbot, first, State.READY)
    qtbot.waitUntil(lambda: len(first.model.session.recent_original) == 1)
    first.close()
    second = make_window()
    assert second.frame.models.models() == pair
    assert second.frame.options.settings() == ExtractionSettings(rank=64, lora_type="adaptive_fro", adaptive_param=0.9)
    assert second.frame.hardware.settings() == HardwareSettings(batch_size=3)
    assert second.frame.hardware.profiles.name == "Safe (8 GB)"
    assert second.theme.choice == "dark"
    assert second.model.request.output_dir == tmp_path / "loras"
    assert second.model.session.recent_finetuned == [str(pair[0])]


def test_a_damaged_session_is_told_in_the_log(make_window: Callable[..., MainWindow], home: Path) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "session.json").write_text("{")
    assert "was damaged" in make_window().frame.run.log.as_text()


def test_the_suggestion_follows_the_device(window: MainWindow) -> None:
    planned = Planned(1, (), "x", 1, "cuda:0", "RTX", 24 * 1024**3, 1, 1, 0)
    window.frame.hardware.show_planned_device(planned)
    assert window.frame.hardware.use_suggestion.text() == "Maximum speed (24 GB+)"
    window.frame.hardware.use_suggestion.click()
    assert window.frame.hardware.profiles.name == "Maximum speed (24 GB+)"
    assert "suits the RTX" in window.frame.hardware.suggestion.text()


def test_many_runs_leave_no_thread_behind(qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair) -> None:
    run_to_end(qtbot, window, pair)
    for number in (2, 3):
        qtbot.waitUntil(lambda: window.frame.bar.extract.isEnabled())
        window.extract()
        qtbot.waitUntil(lambda n=number: engine.closed_runs == n and not window.controller.busy)  # type: ignore[misc]
    assert not window.controller.busy
    assert not any(thread.isRunning() for thread in window.controller.findChildren(QThread))


def test_the_question_whether_to_stop_goes_away_when_the_run_ends(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    start_and_hold(qtbot, window, engine, pair)
    QTimer.singleShot(50, engine.let_go)
    window.ask_stop()  # returns once the question is gone
    wait_for(qtbot, window, State.DONE)


def test_a_broken_session_is_told_above_everything(home: Path, make_window: Callable[..., MainWindow]) -> None:
    file = home / "config" / "session.json"
    file.parent.mkdir(parents=True)
    file.write_text("{broken")
    window = make_window()
    (bar,) = window.findChildren(NoticeBar)
    assert bar.isVisible()
    assert "session.json was damaged" in bar.text.text()
    bar.dismiss.click()
    assert not bar.isVisible()


def test_closing_goes_through_when_the_run_ends_while_it_is_asked_about(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    start_and_hold(qtbot, window, engine, pair)
    QTimer.singleShot(50, engine.let_go)
    window.close()  # asks, and returns once the question is gone
    qtbot.waitUntil(lambda: not window.isVisible())
