"""Where little of two models can be compared, the window says so before the start and beside every share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeEngine, layer_result
from pytestqt.qtbot import QtBot
from window_steps import Pair, run_to_end, wait_for

from app.storage.job_queue import JobState, QueueStore, begun, done, new_job
from app.widgets.queue.texts import job_tooltip, outcome
from app.window.frame import Tab
from app.window.main_window import MainWindow
from app.work.controller import State
from engine.events import Notice, NoticeCode
from engine.results import Coverage, ExtractionResult, OutputFile
from engine.settings import ExtractionSettings, HardwareSettings

WARNING = "\u26a0"
UNRELATED = "These two are probably not a model and its original"
LITTLE = Coverage(compared=12, parameters=100, unmatched=24, missing=24, blocks=6, unmatched_blocks=("b.0", "b.1"))
SOME = Coverage(compared=95, parameters=97, new_rows=12, unmatched=3)
CLAUSE = (
    "overs only 12.0 % of the parameters and keeps 93.8 % of their change; "
    "24 weights (2 whole blocks) are not in the file"
)


@pytest.fixture
def fragment(engine: FakeEngine) -> FakeEngine:
    """Few of the weights match."""
    engine.coverage = LITTLE
    return engine


@pytest.fixture
def unrelated(engine: FakeEngine) -> FakeEngine:
    """All layers changed beyond recognition."""
    rows = tuple(replace(layer_result(f"diffusion_model.blocks.{n}.a.weight"), relative_change=1.4) for n in range(12))
    engine.result = {"rows": rows}
    return engine


def planned(qtbot: QtBot, window: MainWindow, pair: Pair) -> None:
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    qtbot.waitUntil(lambda: window.controller.current is not None)


def test_before_the_start_card_and_bar_warn(qtbot: QtBot, fragment: FakeEngine, window: MainWindow, pair: Pair) -> None:
    planned(qtbot, window, pair)
    card, bar = window.frame.models.pair, window.frame.bar
    assert card.headline.text() == f"{WARNING} Only 12.0 % can be compared"
    assert card.left_out.text() == "12 layers will be extracted, 2 left out"
    assert card.property("caution")
    assert card.remark.property("tone") == "warning"
    assert "2 of 6 blocks do not match" in card.toolTip()
    assert "Only 12.0 % can be compared" in card.accessibleDescription()
    assert bar.headline.text() == f"{WARNING} Only 12.0 % of the parameters can be compared"
    assert bar.headline.property("tone") == "warning"
    assert "Will write " in bar.detail.text()


def test_the_card_says_that_most_can_only_be_rounding_beside_what_is_not_in_the_file(
    qtbot: QtBot, engine: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    engine.coverage = SOME
    data = {"layers": 9, "of": 12, "finetuned": "fp8", "original": "bf16", "most": True, "rounded": "original"}
    engine.notices = (Notice(NoticeCode.COMPARED_ROUNDED, "a.weight", data),)
    planned(qtbot, window, pair)
    remark = window.frame.models.pair.remark.text()
    assert "12 new rows and 3 weights are not in the file." in remark
    assert "Most of the difference can only be rounding." in remark


def test_the_warning_goes_with_the_pair(
    qtbot: QtBot, fragment: FakeEngine, window: MainWindow, pair: Pair, tmp_path: Path
) -> None:
    planned(qtbot, window, pair)
    fragment.coverage = Coverage()
    other = tmp_path / "another.safetensors"
    other.write_bytes(pair[0].read_bytes())
    planned(qtbot, window, (other, pair[1]))
    qtbot.waitUntil(lambda: window.frame.models.pair.headline.text() == "12 layers will be extracted")
    assert not window.frame.models.pair.property("caution")
    assert WARNING not in window.frame.bar.headline.text()


def test_every_view_of_the_result_says_what_its_share_speaks_of(
    qtbot: QtBot, fragment: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    run_to_end(qtbot, window, pair)
    bar, quality = window.frame.bar, window.frame.run.result.quality
    assert bar.headline.text().startswith(WARNING)
    assert bar.detail.text().startswith(f"c{CLAUSE}")
    assert bar.extra.text().startswith(f"{WARNING} Do these two models belong together")
    assert quality.title.text() == f"{WARNING} Only 12.0 % of the parameters were compared"
    assert quality.of_what.text() == f"C{CLAUSE}."
    assert quality.detail.text().endswith("of what was compared")
    log = window.frame.run.log.as_text()
    assert "Only 12.0 % of the parameters can be compared." in log
    assert f"It c{CLAUSE}" in log
    assert "93.8 % of the change" not in log


def test_good_words_stay_where_enough_is_compared_with_what_is_missing_beside_them(
    qtbot: QtBot, engine: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    engine.coverage = SOME
    run_to_end(qtbot, window, pair)
    bar, quality = window.frame.bar, window.frame.run.result.quality
    assert bar.headline.text().startswith("\u2713")
    assert "; 12 new rows and 3 weights are not in the file" in bar.detail.text()
    assert quality.title.text() == "\u2713 Keeps most of the change"
    assert "(97.9 % of the parameters); 12 new rows and 3 weights" in quality.of_what.text()
    assert window.frame.models.pair.remark.text().startswith(f"{WARNING} 12 new rows and 3 weights")


def test_where_all_is_compared_no_word_is_added(
    qtbot: QtBot, engine: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    run_to_end(qtbot, window, pair)
    assert not window.frame.run.result.quality.of_what.isVisible()
    assert "parameters" not in window.frame.bar.detail.text()


def test_an_unrelated_original_is_said_on_the_result_and_from_then_on_on_the_card(
    qtbot: QtBot, unrelated: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    run_to_end(qtbot, window, pair)
    words = f"{UNRELATED}: 12 of 12 layers changed by more than half of their weight."
    bar, quality, card = window.frame.bar, window.frame.run.result.quality, window.frame.models.pair
    assert bar.headline.text().startswith(WARNING)
    assert bar.extra.text() == f"{WARNING} {words}"
    assert quality.title.text() == f"{WARNING} {UNRELATED}"
    assert quality.of_what.text() == "12 of 12 layers changed by more than half of their weight."
    assert {bar.headline.property("tone"), bar.extra.property("tone"), quality.title.property("tone")} == {"bad"}
    qtbot.waitUntil(lambda: card.headline.text() == f"{WARNING} Probably unrelated")
    assert card.headline.property("tone") == card.remark.property("tone") == "bad"
    assert card.property("trouble")
    assert words in card.toolTip()
    assert card.left_out.text() == "12 layers will be extracted, 2 left out"


def test_the_next_run_is_offered_with_the_warning_of_the_last_lora_below(
    qtbot: QtBot, fragment: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    run_to_end(qtbot, window, pair)
    last = window.frame.bar.last
    assert last.name.text().startswith(f"{WARNING} Last: ")
    assert f"c{CLAUSE}" in last.name.text()
    assert last.name.property("tone") == "warning"


def test_a_job_of_such_a_pair_is_marked_before_its_turn(
    qtbot: QtBot, fragment: FakeEngine, window: MainWindow, pair: Pair
) -> None:
    planned(qtbot, window, pair)
    window.frame.queue.add.click()
    job = window.frame.queue.model.job(0)
    said = outcome(job, None)
    assert (said.first, said.tone) == (f"{WARNING} Only 12.0 % of the parameters can be compared", "warning")
    assert "2 of 6 blocks do not match" in job_tooltip(job)
    assert window.frame.tabs.shown_tab() is Tab.QUEUE


def result(coverage: Coverage, relative_change: float = 0.01) -> ExtractionResult:
    output = OutputFile(
        Path("/l/a.safetensors"), Path("/l/a.json"), "8", "comfyui", 310_000_000, 0.938, 0.874, coverage
    )
    row = replace(layer_result("diffusion_model.a.weight"), relative_change=relative_change)
    return ExtractionResult((output,), (row,), (), 41.0, 1, 1)


@pytest.mark.parametrize(
    ("found", "words", "tone"),
    [
        (result(Coverage()), "Keeps 93.8 %, weakest layer 87.4 %", ""),
        (result(LITTLE), f"{WARNING} C{CLAUSE}.", "warning"),
        (result(Coverage(), 1.4), f"{WARNING} {UNRELATED}: 1 of 1 layers changed by more than half", "bad"),
    ],
)
def test_a_finished_job_says_the_same_and_still_does_after_a_restart(
    found: ExtractionResult, words: str, tone: str, tmp_path: Path
) -> None:
    job = new_job(Path("a"), Path("b"), ExtractionSettings(), HardwareSettings(), Path("/l"), found.coverage)
    store = QueueStore(tmp_path / "queue.json")
    store.save((done(begun(job), found),))
    (again,) = QueueStore(tmp_path / "queue.json").load()
    said = outcome(again, None)
    assert said.first.startswith(words)
    assert said.tone == tone
    assert again.state is JobState.DONE
    assert again.coverage == found.coverage


def test_a_notification_has_the_sentence(
    qtbot: QtBot, fragment: FakeEngine, window: MainWindow, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    notify: Callable[..., None] = lambda _self, _title, text, **_options: told.append(text)  # noqa: E731
    monkeypatch.setattr("app.system.notifications.Notifier.notify", notify)
    run_to_end(qtbot, window, pair)
    assert any(f"c{CLAUSE}" in text for text in told)
