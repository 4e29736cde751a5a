"""Before the start the window says whether the two models belong together, and whether they are the wrong way round."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from fakes import FakeEngine
from pair_samples import COPY, RELATED
from pytestqt.qtbot import QtBot
from window_steps import Pair, wait_for

from app.window.main_window import MainWindow
from app.work.controller import State
from engine.planning.pair_order import OrderEvidence, OrderReason, PairOrder
from engine.results import LargeChange
from engine.settings import ExtractionSettings

WARNING = "\u26a0"
UNRELATED = "These two are probably not a model and its original"
STRANGERS = replace(RELATED, relative_change=1.4, large=LargeChange(90, 96))
SWAPPED = PairOrder(
    (
        OrderEvidence(OrderReason.NAMES, "likely", True, "my_tune", "sdxl_base"),
        OrderEvidence(OrderReason.FILE_DATES, "weak", True, "my_tune", "sdxl_base"),
    )
)


def sampled(qtbot: QtBot, window: MainWindow, pair: Pair) -> None:
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    qtbot.waitUntil(lambda: window.controller.sample is not None)


def test_hardly_a_change_is_said_before_the_start(
    qtbot: QtBot, engine: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    engine.sample = COPY
    sampled(qtbot, window, pair)
    card, bar = window.frame.models.pair, window.frame.bar
    assert card.headline.text() == f"{WARNING} No difference found"
    assert (card.property("caution"), card.remark.property("tone")) == (True, "warning")
    assert "there is probably nothing to extract" in card.remark.text()
    assert "changed by" not in card.detail.text()
    assert bar.headline.text() == f"{WARNING} No difference found between the two models"
    assert bar.headline.property("tone") == "warning"
    assert bar.extract.isEnabled()
    assert "there is probably nothing to extract" in window.frame.run.log.as_text()


def test_a_model_and_its_original_have_their_change_said_and_no_warning(
    qtbot: QtBot, engine: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    engine.sample = RELATED
    sampled(qtbot, window, pair)
    card = window.frame.models.pair
    assert card.detail.text().endswith("changed by about 1.2 %")
    assert card.headline.text() == "12 layers will be extracted"
    assert "some rows of 96 of 304 layers, 3.0 MB of both models" in card.toolTip()
    assert not card.remark.isVisible()
    assert not card.swap.isVisible()
    assert WARNING not in window.frame.bar.headline.text()
    assert set(engine.sample_threads).isdisjoint({threading.main_thread()})


def test_two_models_that_do_not_belong_together_are_red_and_can_be_extracted(
    qtbot: QtBot, engine: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    engine.order, engine.sample = SWAPPED, STRANGERS
    sampled(qtbot, window, pair)
    card, bar = window.frame.models.pair, window.frame.bar
    assert card.headline.text() == f"{WARNING} Probably unrelated"
    assert {card.headline.property("tone"), card.remark.property("tone"), bar.headline.property("tone")} == {"bad"}
    assert (card.property("trouble"), card.property("caution")) == (True, False)
    assert card.remark.text().startswith(f"{WARNING} {UNRELATED}: 90 of 96 layers looked at")
    assert bar.headline.text() == f"{WARNING} {UNRELATED}"
    assert UNRELATED in card.accessibleDescription()
    assert card.swap.isVisible()
    assert "wrong way round" in card.swap.toolTip()
    assert "wrong way round" in card.toolTip()
    assert bar.extract.isEnabled()


def test_a_pair_is_looked_at_once_until_other_layers_are_chosen(
    qtbot: QtBot, engine: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    engine.sample = RELATED
    sampled(qtbot, window, pair)
    controller = window.controller
    request = window.model.request
    for settings in (ExtractionSettings(rank=4), ExtractionSettings(rank=5)):
        controller.prepare(request.models, settings, request.hardware, request.output_dir)
        wait_for(qtbot, window, State.READY)
        assert controller.sample == RELATED
    assert len(engine.samples) == 1
    controller.prepare(request.models, ExtractionSettings(include=("*attn*",)), request.hardware, request.output_dir)
    qtbot.waitUntil(lambda: len(engine.samples) == 2 and controller.sample is not None)


def test_what_is_being_looked_at_is_left_when_another_model_is_picked(
    qtbot: QtBot, engine: FakeEngine, window: MainWindow, pair: Pair, tmp_path: Path
) -> None:
    engine.sample = STRANGERS
    engine.hold_sample.clear()
    window.set_models(*pair)
    qtbot.waitUntil(lambda: len(engine.samples) == 1)
    other = tmp_path / "another.safetensors"
    other.write_bytes(pair[0].read_bytes())
    window.set_models(other, pair[1])
    qtbot.waitUntil(lambda: len(engine.samples) == 2)  # so the first one was given up
    assert window.controller.sample is None
    engine.sample = RELATED
    engine.hold_sample.set()
    qtbot.waitUntil(lambda: window.controller.sample is not None)
    assert window.frame.models.pair.headline.text() == "12 layers will be extracted"
    assert UNRELATED not in window.frame.run.log.as_text()


def test_a_pair_that_cannot_be_looked_at_can_still_be_extracted(
    qtbot: QtBot, engine: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    engine.sample_error = OSError("gone")
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    qtbot.waitUntil(lambda: len(engine.samples) == 1)
    assert window.frame.models.pair.headline.text() == "12 layers will be extracted"
    assert window.frame.bar.extract.isEnabled()


def test_a_pair_the_wrong_way_round_is_swapped_by_one_button_and_never_by_itself(
    qtbot: QtBot, engine: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    engine.order, engine.sample = SWAPPED, RELATED
    sampled(qtbot, window, pair)
    card, models = window.frame.models.pair, window.frame.models
    assert models.models() == pair
    assert card.headline.text() == f"{WARNING} Wrong way round?"
    assert "my_tune is named like a model made from sdxl_base" in card.remark.text().replace("\u200b", "")
    assert "The file of my_tune is newer." in card.toolTip()
    assert window.frame.bar.headline.text() == f"{WARNING} These two may be the wrong way round"
    assert card.swap.isVisible()
    engine.order = PairOrder()
    card.swap.click()
    qtbot.waitUntil(lambda: card.headline.text() == "12 layers will be extracted")
    assert models.models() == pair[::-1]
    assert not card.swap.isVisible()


def test_nothing_is_swapped_while_a_run_goes_on(
    qtbot: QtBot, engine: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    engine.order = SWAPPED
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    engine.hold_run.clear()
    window.extract()
    wait_for(qtbot, window, State.RUNNING)
    assert not window.frame.models.pair.swap.isEnabled()
    engine.let_go()
    wait_for(qtbot, window, State.DONE)
    qtbot.waitUntil(window.frame.models.pair.swap.isEnabled)
