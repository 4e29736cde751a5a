"""What a run leaves on the device for the next one, and how other programs get that memory back."""

import threading
from pathlib import Path

import pytest
from fakes import GB, FakeEngine
from pytestqt.qtbot import QtBot
from window_steps import Pair, run_to_end, wait_for

from app.window.main_window import MainWindow
from app.work.controller import State
from app.work.idle_memory import KeptMemory


@pytest.fixture(autouse=True)
def something_stays(engine: FakeEngine) -> None:
    engine.resident_after_run = int(1.2 * GB)


def test_the_button_says_how_much_is_kept_and_is_there_only_while_something_is(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    button = window.frame.hardware.free
    assert not button.isVisible()
    run_to_end(qtbot, window, pair)
    assert button.isVisible()
    assert button.isEnabled()
    assert button.text() == button.accessibleName() == "Free memory (1.2 GB)"
    assert "five idle minutes" in button.toolTip()
    assert window.frame.hardware.freed_in.text() == "by itself in 5 min"
    button.click()
    qtbot.waitUntil(lambda: not button.isVisible())
    assert engine.sessions[0].resident_bytes == 0
    assert "Freed 1.2 GB" in window.frame.run.log.as_text()


def test_freeing_is_not_on_the_gui_thread_and_leaves_the_result_shown(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    run_to_end(qtbot, window, pair)
    headline = window.frame.bar.headline.text()
    window.frame.hardware.free.click()
    qtbot.waitUntil(lambda: len(engine.free_threads) == 1)
    qtbot.waitUntil(lambda: window.controller.current is not None)
    assert engine.free_threads[0] is not threading.main_thread()
    assert window.frame.bar.headline.text() == headline
    assert window.controller.state is State.DONE


def test_memory_cannot_be_freed_while_a_run_uses_it(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    run_to_end(qtbot, window, pair)
    engine.hold_run.clear()
    window.extract()
    assert not window.frame.hardware.free.isEnabled()
    window.controller.free_memory()
    engine.let_go()
    wait_for(qtbot, window, State.DONE)
    assert engine.free_threads == []


def test_a_run_that_is_wanted_while_memory_is_being_freed_begins_after_it(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_to_end(qtbot, window, pair)
    session, freeing, freed = engine.sessions[0], threading.Event(), threading.Event()
    runs_when_freed: list[int] = []

    def slowly() -> int:
        freeing.set()
        freed.wait(5)
        runs_when_freed.append(engine.runs)
        session.resident_bytes = 0
        return 1

    monkeypatch.setattr(session, "free_memory", slowly)
    window.frame.hardware.free.click()
    assert freeing.wait(5)
    window.extract()
    qtbot.wait(50)
    freed.set()
    qtbot.waitUntil(lambda: engine.closed_runs == 2 and not window.controller.busy)
    assert runs_when_freed == [1]


def test_memory_is_freed_after_some_idle_time(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeptMemory, "IDLE_MS", 30)
    run_to_end(qtbot, window, pair)
    qtbot.waitUntil(lambda: engine.sessions[0].resident_bytes == 0)
    qtbot.waitUntil(lambda: not window.frame.hardware.free.isVisible())
    qtbot.wait(100)
    assert len(engine.free_threads) == 1, "nothing is left to free, so it is not done again"


def test_five_minutes_are_waited() -> None:
    assert KeptMemory.IDLE_MS == 300_000


def test_the_idle_time_begins_anew_with_every_plan_and_ends_with_a_run(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    run_to_end(qtbot, window, pair)
    timer = window.device_control.kept_memory._timer
    assert timer.isActive()
    timer.start(10_000)
    window.plan_control.replan()
    wait_for(qtbot, window, State.READY)
    assert timer.interval() == KeptMemory.IDLE_MS
    engine.hold_run.clear()
    window.extract()
    assert not timer.isActive()
    engine.let_go()
    wait_for(qtbot, window, State.DONE)
    qtbot.waitUntil(timer.isActive)


def test_nothing_is_waited_for_where_nothing_is_kept(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    assert not window.device_control.kept_memory._timer.isActive()


@pytest.mark.parametrize("other", [True, False])
def test_a_changed_or_removed_model_frees_what_was_kept_for_the_pair(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, tmp_path: Path, other: bool
) -> None:
    run_to_end(qtbot, window, pair)
    third = tmp_path / "third.safetensors"
    third.write_bytes(b"third")
    window.set_models(third if other else None, pair[1])
    qtbot.waitUntil(lambda: engine.sessions[0].closed)
    qtbot.waitUntil(lambda: not window.frame.hardware.free.isVisible())


def test_closing_the_window_closes_the_pair(qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair) -> None:
    run_to_end(qtbot, window, pair)
    window.close()
    assert engine.sessions[0].closed


def test_memory_that_cannot_be_freed_is_told_and_can_be_tried_again(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    run_to_end(qtbot, window, pair)
    engine.free_error = RuntimeError("the driver is gone")
    window.frame.hardware.free.click()
    qtbot.waitUntil(lambda: "could not be freed" in window.frame.run.log.as_text())
    qtbot.waitUntil(window.frame.hardware.free.isEnabled)
    assert window.frame.hardware.free.isVisible()
