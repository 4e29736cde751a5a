"""The state that the presenters share, and presenters that work with it alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import FakeEngine
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot
from window_steps import Pair, wait_for

from app.storage.job_queue import new_job
from app.storage.session import SessionState
from app.text.log_lines import Level
from app.widgets.bar.bottom_bar import BottomBar
from app.widgets.models.pair_card import PairCard
from app.widgets.settings.lora_panel import OptionsPanel
from app.window.main_window import MainWindow
from app.window.model import Request, WindowModel
from app.window.plan_presenter import PlanViews, WindowPlan
from app.work.controller import Controller, State
from engine.settings import ExtractionSettings, HardwareSettings

ADAPTIVE = ExtractionSettings(rank=64, lora_type="adaptive_fro", adaptive_param=0.9)


def announced(window: MainWindow) -> list[Request]:
    """The requests that are announced from now on."""
    found: list[Request] = []
    window.model.request_changed.connect(lambda: found.append(window.model.request))
    return found


def test_the_request_is_what_the_cards_and_forms_show(window: MainWindow, pair: Pair, tmp_path: Path) -> None:
    frame = window.frame
    frame.models.original.chosen.emit(pair[1])
    frame.options.show_settings(ADAPTIVE)
    frame.hardware.show_values({"batch_size": 3})
    window.model.set_output_dir(tmp_path)
    assert window.model.request == Request(
        output_dir=tmp_path,
        models=(None, pair[1]),
        extraction=ADAPTIVE,
        hardware=frame.hardware.settings(),
    )
    assert window.model.request.hardware is not None
    assert window.model.request.hardware.batch_size == 3


def test_a_field_that_cannot_be_used_leaves_no_settings_and_is_named(window: MainWindow) -> None:
    window.frame.hardware.show_values({"memory_budget": 1})
    form = window.frame.hardware.form
    form.editor("memory_budget").control.setText("much")  # type: ignore[attr-defined]
    form.editor("memory_budget").changed.emit()
    request = window.model.request
    assert request.hardware is None
    assert request.extraction is not None
    assert request.troubles == window.frame.hardware.troubles() != ()


def test_what_a_presenter_asks_for_is_shown_and_becomes_the_request(window: MainWindow, pair: Pair) -> None:
    window.model.show_extraction(ADAPTIVE)
    window.model.show_hardware({"batch_size": 5})
    window.model.set_models(*pair)
    assert window.frame.options.settings() == window.model.request.extraction == ADAPTIVE
    assert window.frame.hardware.form.values()["batch_size"] == 5
    assert window.frame.models.models() == window.model.request.models == pair


def test_several_edits_in_a_row_are_announced_once(qtbot: QtBot, window: MainWindow) -> None:
    found = announced(window)
    for rank in (2, 4, 16):
        window.frame.options.show_settings(ExtractionSettings(rank=rank))
    assert found == []
    qtbot.waitUntil(lambda: bool(found))
    qtbot.wait(300)
    assert [request.extraction for request in found] == [ExtractionSettings(rank=16)]


def test_edits_can_be_announced_at_once_and_then_only_once(qtbot: QtBot, window: MainWindow) -> None:
    found = announced(window)
    window.model.settle()
    assert found == [], "there was nothing to announce"
    window.frame.options.show_settings(ADAPTIVE)
    window.model.settle()
    assert [request.extraction for request in found] == [ADAPTIVE]
    qtbot.wait(300)
    assert len(found) == 1


def test_a_model_that_is_chosen_again_is_looked_at_again(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    for times in (1, 2):
        window.frame.models.finetuned.chosen.emit(pair[0])
        qtbot.waitUntil(lambda times=times: engine.inspections.count(pair[0]) == times)  # type: ignore[misc]


def extraction(window: MainWindow, _pair: Pair) -> None:
    window.extract()


def verification(window: MainWindow, pair: Pair) -> None:
    window.verify_control.verify(pair[0])


def queue(window: MainWindow, pair: Pair) -> None:
    job = new_job(*pair, ExtractionSettings(), HardwareSettings(), window.model.request.output_dir)
    window.frame.queue.add_job(job)
    window.queue_control.run_all()


@pytest.mark.parametrize("begin", [extraction, verification, queue])
def test_the_request_is_locked_as_long_as_something_works(
    qtbot: QtBot,
    window: MainWindow,
    engine: FakeEngine,
    pair: Pair,
    begin: Callable[[MainWindow, Pair], None],
) -> None:
    changes: list[bool] = []
    window.model.locked_changed.connect(changes.append)
    engine.hold_run.clear()
    engine.hold_verification.clear()
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    assert not window.model.locked
    begin(window, pair)
    assert window.model.locked
    assert changes == [True]
    qtbot.waitUntil(lambda: bool(engine.run_plans or engine.verified))  # the queue plans its job before that
    assert window.model.working
    assert window.model.queue_running == (begin is queue)
    plans = len(engine.plans)
    window.plan_control.replan()
    qtbot.wait(100)
    assert len(engine.plans) == plans, "nothing is planned meanwhile"
    engine.let_go()
    qtbot.waitUntil(lambda: not window.model.locked)
    assert changes == [True, False]
    assert not window.model.working


def test_the_end_of_the_queue_plans_what_the_window_shows(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    window.model.show_extraction(ExtractionSettings(rank=64))
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    queue(window, pair)
    qtbot.waitUntil(lambda: not window.model.locked)
    wait_for(qtbot, window, State.READY)
    assert engine.run_plans[-1].settings.rank == ExtractionSettings().rank
    assert engine.plans[-1][0].rank == 64


def test_a_line_for_the_log_is_in_the_log(window: MainWindow) -> None:
    window.model.write(Level.WARNING, "a line")
    assert window.frame.run.log.newest(1)[0].endswith("a line")


def test_a_presenter_works_without_the_main_window(
    qtbot: QtBot, engine: FakeEngine, pair: Pair, tmp_path: Path
) -> None:
    owner = QWidget()
    qtbot.addWidget(owner)
    controller = Controller(engine, owner)
    model = WindowModel(controller, SessionState(output_dir=str(tmp_path)), owner)
    views = PlanViews(PairCard(), BottomBar(), OptionsPanel())
    qtbot.addWidget(views.pair)
    qtbot.addWidget(views.bar)
    qtbot.addWidget(views.options)
    presenter = WindowPlan(owner, model, controller, views)
    offered: list[bool] = []
    presenter.extract_offered.connect(offered.append)
    try:
        model.set_models(pair[0], None)
        assert "original model" in views.bar.headline.text()
        assert not offered[-1]
        model.note_settings(ExtractionSettings(), HardwareSettings(), ())
        model.set_models(*pair)
        qtbot.waitUntil(lambda: offered[-1])
        assert "fake_rank_8_00001_" in views.bar.headline.text()
        assert views.pair.headline.text() == "12 layers will be extracted"
        assert engine.plans[-1][2] == tmp_path
    finally:
        controller.shut_down()
