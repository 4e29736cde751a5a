"""What is possible while nothing works, and while a run, a verification or the queue does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes import GB, FakeEngine
from pytestqt.qtbot import QtBot
from window_steps import Pair, run_to_end, wait_for

from app.storage.job_queue import JobState, new_job
from app.window import closing
from app.window.main_window import MainWindow
from app.work import run_thread
from app.work.controller import State
from engine.settings import ExtractionSettings, HardwareSettings

Begin = Callable[[QtBot, MainWindow, FakeEngine], None]


def nothing(_qtbot: QtBot, _window: MainWindow, _engine: FakeEngine) -> None:
    """The pair is planned."""


def extraction(qtbot: QtBot, window: MainWindow, _engine: FakeEngine) -> None:
    window.extract()
    qtbot.waitUntil(lambda: window.frame.run.layers_done() == 6)


def stopping(qtbot: QtBot, window: MainWindow, engine: FakeEngine) -> None:
    extraction(qtbot, window, engine)
    window.controller.stop()
    assert window.controller.state is State.STOPPING


def verification(qtbot: QtBot, window: MainWindow, engine: FakeEngine) -> None:
    window.verify_control.verify(Path("lora.safetensors"))
    qtbot.waitUntil(lambda: engine.verifications_held > 0)  # before that it would still hear that it is stopped


def held_up_verification(qtbot: QtBot, window: MainWindow, engine: FakeEngine) -> None:
    engine.stalled = True
    verification(qtbot, window, engine)
    window.verify_control.stop()
    qtbot.waitUntil(lambda: window.controller.held_up)


def queue_that_plans(_qtbot: QtBot, window: MainWindow, _engine: FakeEngine) -> None:
    window.queue_control.run_all()
    assert window.controller.state is State.PLANNING


def queue_that_runs(qtbot: QtBot, window: MainWindow, _engine: FakeEngine) -> None:
    window.queue_control.run_all()
    qtbot.waitUntil(lambda: window.frame.run.layers_done() == 6)


@dataclass(frozen=True)
class Possible:
    """What holds at a time.

    Attributes:
        request: can be changed: its cards, its forms, and the commands that plan or begin something.
        files: of a drop or of a second start are taken.
        closing: "at once"; "asks for the run" or "asks for the queue"; "stops" without a question.
    """

    request: bool
    files: bool
    closing: str
    queue: bool = False


TABLE: dict[Begin, Possible] = {
    nothing: Possible(request=True, files=True, closing="at once"),
    extraction: Possible(request=False, files=False, closing="asks for the run"),
    stopping: Possible(request=False, files=False, closing="asks for the run"),
    verification: Possible(request=False, files=False, closing="stops"),
    held_up_verification: Possible(request=False, files=True, closing="at once"),
    queue_that_plans: Possible(request=False, files=False, closing="asks for the queue", queue=True),
    queue_that_runs: Possible(request=False, files=False, closing="asks for the queue", queue=True),
}


@pytest.fixture
def ready(qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planned pair, a waiting job, and an engine that holds what begins."""
    monkeypatch.setattr(run_thread, "GIVE_UP_MS", 1)
    job = new_job(*pair, ExtractionSettings(), HardwareSettings(), window.model.request.output_dir)
    window.frame.queue.add_job(job)
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    engine.hold_run.clear()
    engine.hold_verification.clear()


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("begin", TABLE, ids=lambda begin: begin.__name__)
def test_what_can_be_changed_and_begun(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, tmp_path: Path, begin: Begin
) -> None:
    begin(qtbot, window, engine)
    expected, frame, menus = TABLE[begin], window.frame, window.menus
    assert window.model.locked == (not expected.request)
    assert window.model.queue_running == expected.queue
    free = {
        "options": frame.options.isEnabled(),
        "hardware": frame.hardware.isEnabled(),
        "free memory": menus.free_memory.isEnabled(),
        "demo": menus.demo.isEnabled(),
        "reset": menus.reset_options.isEnabled(),
        "start over": menus.start_over.isEnabled(),
        "start the queue": window._runner.can_start(),
        "button of the queue": frame.queue.run.isEnabled(),
        **{
            name: menus.actions[name].isEnabled()  # type: ignore[index]
            for name in ("extract", "verify", "run_queue", "swap", "open_finetuned", "open_original", "output_folder")
        },
    }
    assert free == dict.fromkeys(free, expected.request)
    assert menus.actions["stop"].isEnabled() == (not expected.request)
    assert menus.actions["add_to_queue"].isEnabled(), "always"
    assert frame.queue.run.isVisibleTo(frame.queue) == (not expected.queue)
    assert frame.queue.stop.isVisibleTo(frame.queue) == expected.queue
    plans = len(engine.plans)
    window.plan_control.replan()
    assert (window.controller.state is State.PLANNING) == (expected.request or begin is queue_that_plans)
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other")
    before = window.model.request.models
    window.take_files([other, before[1]])  # type: ignore[list-item]
    assert (window.model.request.models != before) == expected.files
    if not expected.request and begin is not queue_that_plans:
        assert len(engine.plans) == plans


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("begin", TABLE, ids=lambda begin: begin.__name__)
def test_what_starts_while_something_works(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(qtbot, window, engine)
    freed: list[bool] = []
    monkeypatch.setattr(window.controller._background, "free_memory", lambda: freed.append(True))
    state, runs, verified = window.controller.state, engine.runs, list(engine.verified)
    window.device_control.kept_memory._timer.timeout.emit()
    assert bool(freed) == TABLE[begin].request, "the idle time is over"
    if begin is nothing:
        return
    window.extract()
    window.queue_control.run_all()
    window.verify_control.verify(Path("another.safetensors"))
    assert window.controller.state is state
    runs = 1 if begin is queue_that_plans else runs  # that of the planned job
    qtbot.waitUntil(lambda: engine.runs == runs)
    qtbot.wait(50)
    assert (engine.runs, engine.verified) == (runs, verified)


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("begin", TABLE, ids=lambda begin: begin.__name__)
def test_what_closing_does(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(qtbot, window, engine)
    asked: list[str] = []

    def ask(*_args: Any, queue: bool, **_options: Any) -> bool:
        asked.append("asks for the queue" if queue else "asks for the run")
        return False

    monkeypatch.setattr(closing, "ask_stop", ask)
    closes = window.closing.ready()
    what = asked or ["at once" if closes else "stops"]
    assert what == [TABLE[begin].closing]
    assert closes == (what == ["at once"])
    if what == ["stops"]:
        qtbot.waitUntil(lambda: not window.isVisible())


@pytest.mark.usefixtures("ready")
def test_the_lock_lasts_from_the_first_to_the_last_job(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    job = new_job(*pair, ExtractionSettings(rank=16), HardwareSettings(), window.model.request.output_dir)
    window.frame.queue.add_job(job)
    engine.let_go()
    changes: list[bool] = []
    between: list[tuple[bool, bool, bool]] = []
    window.model.locked_changed.connect(changes.append)

    def note(state: State) -> None:
        if state is State.DONE:
            model = window.model
            between.append((model.locked, model.queue_running, window._runner.can_start()))
            window.controller.free_memory()

    window.controller.state_changed.connect(note)
    window.queue_control.run_all()
    qtbot.waitUntil(lambda: len(between) == 2 and not window.model.locked)
    assert between == [(True, True, False)] * 2
    assert changes == [True, False]
    assert engine.free_threads == []
    assert [job.state for job in window._queue.jobs] == [JobState.DONE] * 2


def test_idle_time_is_counted_after_a_queue_that_no_plan_follows(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    engine.resident_after_run = GB
    run_to_end(qtbot, window, pair)
    timer = window.device_control.kept_memory._timer
    qtbot.waitUntil(timer.isActive)
    job = new_job(*pair, ExtractionSettings(rank=16), HardwareSettings(), window.model.request.output_dir)
    window.frame.queue.add_job(job)
    hardware = window.model.request.hardware
    window.model.note_settings(None, hardware, ("Rank",))
    window.model.settle()
    engine.hold_run.clear()
    window.queue_control.run_all()
    qtbot.waitUntil(lambda: window.controller.state is State.RUNNING)
    assert not timer.isActive()
    engine.let_go()
    qtbot.waitUntil(lambda: not window.model.locked)
    qtbot.waitUntil(timer.isActive)
