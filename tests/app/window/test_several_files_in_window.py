"""Several files of one run, from the typed ranks to the result, the queue, the session and the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from window_steps import Pair, run_to_end, wait_for

from app.storage.job_queue import JobState, QueueStore, new_job
from app.storage.session import SessionState, SessionStore
from app.text.command_line import command_line
from app.widgets.queue.texts import job_tooltip, outcome, output_words, settings_words
from app.window.main_window import MainWindow
from app.work.controller import State
from app.work.requests import PlanRequest
from engine.errors import EngineError, ErrorCode
from engine.settings import ExtractionSettings, HardwareSettings

ALSO = (ExtractionSettings(rank=16), ExtractionSettings(rank=8))
FIRST = ExtractionSettings(rank=32)


def type_ranks(window: MainWindow, text: str) -> None:
    further = window.frame.options.further
    further.ranks.setText(text)
    further.ranks.textEdited.emit(text)


def ranks(files: tuple[ExtractionSettings, ...]) -> list[int]:
    return [item.rank for item in files]


def test_typed_ranks_reach_the_plan_and_are_announced(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    window.set_models(*pair)
    type_ranks(window, "16, 32")
    qtbot.waitUntil(lambda: bool(engine.also) and ranks(engine.also[-1]) == [16, 8])
    assert engine.plans[-1][0].rank == 32
    wait_for(qtbot, window, State.READY)
    bar = window.frame.bar
    assert bar.headline.text() == "Will write fake_rank_32_00001_.safetensors and 2 more"
    assert bar.detail.text().startswith("at most 930 MB together")
    assert "fake_rank_8_00001_.safetensors" in bar.detail.toolTip()
    assert "3 files: at most 930 MB" in window.frame.models.pair.detail.text()


def test_the_result_lists_every_file_and_each_can_be_verified(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    type_ranks(window, "32")
    run_to_end(qtbot, window, pair)
    bar, files = window.frame.bar, window.frame.run.result.files
    assert bar.headline.text() == "\u2713 fake_rank_32_00001_.safetensors and 1 more"
    assert "keep 83.8 % to 93.8 % of the change" in bar.detail.text()
    assert "fake_rank_8_00001_.safetensors: 310 MB, keeps 83.8 % of the change" in bar.detail.toolTip()
    assert not files.isHidden()
    assert window.frame.run.result.quality.detail.text().startswith("rank 32 \u00b7 ComfyUI: ")
    bar.copy_path.click()
    assert len(QApplication.clipboard().text().splitlines()) == 2
    assert "and 1 more" in window.frame.run.log.as_text()
    second = next(action for action in bar.verify.menu().actions() if "rank_8" in action.text())
    second.trigger()
    qtbot.waitUntil(lambda: len(engine.verified) == 1 and not window.controller.busy)
    assert engine.verified[0].name == "fake_rank_8_00001_.safetensors"
    assert "1 of 2 verified" in bar.detail.text()
    assert files._rows[engine.verified[0]].found.text() == "\u2713 verified"


def test_the_layers_of_each_file_can_be_shown(qtbot: QtBot, window: MainWindow, pair: Pair) -> None:
    type_ranks(window, "32")
    run_to_end(qtbot, window, pair)
    view = window.frame.run
    first, second = view.result.files._rows.values()
    assert not first.shown.isEnabled()
    second.shown.click()
    assert {row.rank for row in view._rows._rows} == {8}
    assert view.result.quality.detail.text().startswith("rank 8 \u00b7 ComfyUI: 83.8 %")
    assert view.result.explore.exploration is not None
    assert view.result.explore.exploration.settings.rank == 8
    assert (first.shown.isEnabled(), second.shown.isEnabled()) == (True, False)
    first.shown.click()
    assert {row.rank for row in view._rows._rows} == {32}


def test_one_file_shows_no_list_and_no_menu(qtbot: QtBot, window: MainWindow, pair: Pair) -> None:
    run_to_end(qtbot, window, pair)
    assert window.frame.run.result.files.isHidden()
    assert window.frame.bar.verify.menu() is None
    assert window.frame.bar.headline.text() == "\u2713 fake_rank_8_00001_.safetensors"


def test_writing_another_rank_afterwards_writes_that_one_alone(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    type_ranks(window, "32")
    run_to_end(qtbot, window, pair)
    window.run_control.write(ExtractionSettings(rank=4))
    qtbot.waitUntil(lambda: engine.runs == 2 and window.frame.bar.extract.isEnabled())
    assert len(engine.run_plans[-1].outputs) == 1
    assert window.frame.options.files() == (ExtractionSettings(rank=4),)


def test_a_job_keeps_its_further_files_and_shows_what_it_wrote(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    window.set_models(*pair)
    type_ranks(window, "32")
    window.model.settle()
    window.queue_control.add_current()
    type_ranks(window, "")
    window.queue_control.run_all()
    qtbot.waitUntil(lambda: engine.runs == 1 and not window.model.queue_running)
    (job,) = QueueStore().load()
    assert job.state is JobState.DONE
    assert ranks(job.files) == [32, 8]
    assert job.result is not None
    assert [file.name for file in job.result.files] == [f"fake_rank_{rank}_00001_.safetensors" for rank in (32, 8)]
    assert settings_words(job) == "Rank 32, 8 \u00b7 fp16"
    assert output_words(job) == "fake_rank_32_00001_.safetensors and 1 more"
    assert outcome(job, None).first == "Keep 83.8 % to 93.8 % of the change"
    assert outcome(job, None).second.startswith("2 files \u00b7 620 MB")
    assert job_tooltip(job).count("Wrote: ") == 2
    window.queue_control._load(job)
    assert ranks(window.frame.options.files()) == [32, 8]


def test_a_job_says_what_it_is_for_where_that_is_not_the_usual() -> None:
    usual = new_job(Path("a"), Path("b"), FIRST, HardwareSettings(), Path("out"))
    assert settings_words(usual) == "Rank 32 \u00b7 fp16"
    forge = replace(usual, also=(FIRST.model_copy(update={"program": "forge"}),))
    assert settings_words(forge) == "Rank 32 \u00b7 fp16 \u00b7 for ComfyUI, Forge"
    sized = replace(usual, extraction=ExtractionSettings(target_size=150_000_000))
    assert settings_words(sized) == "Up to 150 MB \u00b7 fp16"


def test_a_queue_of_the_last_version_is_still_read(home: Path) -> None:
    QueueStore().save((new_job(Path("a"), Path("b"), FIRST, HardwareSettings(), Path("out")),))
    file = home / "config" / "queue.json"
    data = json.loads(file.read_text())
    for job in data["jobs"]:
        del job["also"]
        for name in ("program", "target_size", "size_by", "alpha", "strength"):
            job["extraction"].pop(name, None)
    file.write_text(json.dumps(data))
    (job,) = QueueStore().load()
    assert job.files == (FIRST,)


def test_further_files_come_back_at_the_next_start(make_window: Any, qtbot: QtBot) -> None:
    window = make_window()
    type_ranks(window, "16, 32")
    window.session_control.save()
    again = make_window()
    assert ranks(again.frame.options.files()) == [32, 16, 8]


def test_a_session_of_the_last_version_is_still_read() -> None:
    state = SessionState.model_validate({"version": 1, "extraction": {"rank": 64, "key_format": "kohya"}})
    assert state.extraction_settings() == ExtractionSettings(rank=64, key_format="kohya")
    assert state.further_settings() == ()


def test_a_broken_further_file_of_a_session_costs_nothing_else(home: Path) -> None:
    SessionStore().save(SessionState(extraction={"rank": 8}, also=[{"rank": 64, "output_dtype": "none"}]))
    state = SessionStore().load()
    assert state.extraction_settings().rank == 8
    assert ranks(state.further_settings()) == [64]


def test_a_stopped_run_goes_on_only_with_the_same_files() -> None:
    request = PlanRequest(1, Path("a"), Path("b"), FIRST, HardwareSettings(), Path("out"), ALSO)
    assert request.same_work(replace(request, number=2))
    assert not request.same_work(replace(request, also=ALSO[:1]))


def test_the_command_of_several_files_asks_for_each(pair: Pair, tmp_path: Path) -> None:
    kohya = FIRST.model_copy(update={"key_format": "kohya", "output_dtype": "fp16"})
    forge = FIRST.model_copy(update={"program": "forge"})
    line = command_line(pair, FIRST, HardwareSettings(), tmp_path, (kohya, forge), windows=False)
    assert len(line.splitlines()) == 1
    for option in ("--key-format=comfyui", "--key-format=kohya", "--for=forge", "--rank=32"):
        assert line.count(option) == 1, option


def test_files_that_no_single_command_can_ask_for_have_a_command_each(pair: Pair, tmp_path: Path) -> None:
    other = FIRST.model_copy(update={"output_dtype": "bf16"})
    lines = command_line(pair, FIRST, HardwareSettings(), tmp_path, (other,), windows=False).splitlines()
    assert len(lines) == 2
    assert "--output-dtype=bf16" in lines[1]


def test_the_command_of_sizes_asks_for_each_and_for_no_rank(pair: Pair, tmp_path: Path) -> None:
    first, second = (ExtractionSettings(target_size=size) for size in (300_000_000, 150_000_000))
    line = command_line(pair, first, HardwareSettings(), tmp_path, (second,), windows=False)
    assert "--rank" not in line
    assert ("--target-size=300000000" in line, "--target-size=150000000" in line) == (True, True)


@pytest.mark.parametrize("code", [ErrorCode.PROGRAM_UNSUITABLE, ErrorCode.FORMAT_UNSUITABLE])
def test_a_program_that_does_not_suit_is_not_blamed_on_the_models(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, code: ErrorCode
) -> None:
    facts = {"program": "A1111", "format": "Kohya", "family": "Wan", "available": ["ComfyUI", "diffusers"]}
    engine.plan_error = EngineError(code, reason="family", **facts)
    window.set_models(*pair)
    qtbot.waitUntil(lambda: "Wan" in window.frame.bar.headline.text())
    assert window.frame.models.pair.headline.text() == "12 layers match"
    assert "ComfyUI, diffusers" in window.frame.bar.detail.text()
    assert not window.frame.bar.extract.isEnabled()
