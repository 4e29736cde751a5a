"""What the bar at the bottom says and offers: after a run, while a LoRA is verified, after a stop, at any width."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import GB, fake_verification, layer_result
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.text.verification import ClaimedQuality
from app.widgets.bar.bottom_bar import BottomBar
from engine.errors import EngineError, ErrorCode
from engine.events import Progress
from engine.results import ExtractionResult, OutputFile

LORA = Path("/loras/my_lora_rank_32_fp16_balanced_b10_bs4_00001_.safetensors")
OTHER = Path("/loras/other.safetensors")
CLAIMED = ClaimedQuality(0.938, 0.874)


def a_result(path: Path = LORA) -> ExtractionResult:
    kept = {"double_blocks.0.a": 0.99, "double_blocks.1.b": 0.874, "double_blocks.2.c": 0.9, "double_blocks.3.d": 1.0}
    rows = tuple(layer_result(f"diffusion_model.{name}.weight", share) for name, share in kept.items())
    output = OutputFile(path, path.with_suffix(".json"), "32", "comfyui", 310_000_000, 0.938, 0.874)
    return ExtractionResult((output,), rows, (), 41.0, 9 * GB, 3 * GB)


@pytest.fixture
def bar(qtbot: QtBot, theme: Theme) -> BottomBar:
    made = BottomBar()
    qtbot.addWidget(made)
    made.resize(1280, 60)
    made.show()
    return made


def ready(bar: BottomBar) -> None:
    bar.show_ready("next.safetensors", 310_000_000, Path("/loras"))


def test_the_card_has_name_size_time_quality_and_the_layers_that_lost_most(bar: BottomBar) -> None:
    bar.show_result(a_result())
    assert bar.headline.text() == f"\u2713 {LORA.name}"
    assert bar.detail.text() == "310 MB \u00b7 41 s \u00b7 keeps 93.8 % of the change, 87.4 % in the weakest layer"
    weakest = "double_blocks.1.b 87.4 % \u00b7 double_blocks.2.c 90.0 % \u00b7 double_blocks.0.a 99.0 %"
    assert bar.extra.text() == f"Kept least: {weakest}"
    assert "double_blocks.0.a 99.0 %" in bar.extra.toolTip()
    assert "double_blocks.3.d" not in bar.extra.toolTip(), "it lost nothing"


def test_a_lora_that_lost_nothing_names_no_layers(bar: BottomBar) -> None:
    result = a_result()
    bar.show_result(replace(result, rows=result.rows[3:]))
    assert not bar.extra.isVisible()


@pytest.mark.parametrize("width", [1080, 1280, 1600, 2200])
def test_everything_can_be_reached_at_any_width_and_the_words_keep_their_room(
    qtbot: QtBot, bar: BottomBar, width: int
) -> None:
    bar.resize(width, 60)
    bar.show_result(a_result(), "lora-extractor extract")
    QApplication.processEvents()
    optional = (bar.copy_path, bar.copy_command, bar.folder)
    seen = [button.text() for button in optional if button.isVisible()]
    behind = bar.buttons.hidden_actions() if bar.buttons.more.isVisible() else []
    assert sorted(seen + behind) == sorted(button.text() for button in optional)
    assert all(button.isVisible() for button in (bar.open_folder, bar.verify, bar.extract))
    assert bar.headline.width() >= 550
    right = bar.buttons.mapTo(bar, bar.buttons.rect().bottomRight()).x()
    assert right <= width
    assert (seen == []) == (width == 1080)
    assert (behind == []) == (width >= 1600)


def test_the_menu_does_what_its_buttons_do_and_takes_further_actions(bar: BottomBar) -> None:
    bar.resize(1080, 60)
    used: list[str] = []
    action = QAction("Add to the queue", bar)
    action.triggered.connect(lambda: used.append("queue"))
    bar.buttons.further.append(action)
    bar.folder_clicked.connect(lambda: used.append("folder"))
    bar.show_result(a_result(), "the command")
    assert "Add to the queue" in bar.buttons.hidden_actions()
    for entry in bar.buttons.more.menu().actions():
        if entry.text():
            entry.trigger()
    assert used == ["folder", "queue"]
    assert QApplication.clipboard().text() == "the command"
    ready(bar)
    assert not bar.buttons.more.isVisible()


def test_the_command_is_offered_only_where_it_is_known(bar: BottomBar) -> None:
    bar.resize(2200, 60)
    bar.show_result(a_result())
    assert not bar.copy_command.isVisible()
    bar.show_result(a_result(), "lora-extractor extract a b")
    assert bar.copy_command.isVisible()
    bar.copy_command.click()
    assert QApplication.clipboard().text() == "lora-extractor extract a b"


def test_a_long_name_is_shortened_in_the_middle(bar: BottomBar) -> None:
    bar.show_result(a_result(Path("/loras") / f"{'very_' * 60}long_00001_.safetensors"))
    QApplication.processEvents()
    assert bar.headline.width() < bar.headline.fontMetrics().horizontalAdvance(bar.headline.text())
    assert bar.headline._mode is Qt.TextElideMode.ElideMiddle
    assert bar.headline.toolTip() == bar.headline.text()


def test_a_verification_is_shown_with_its_progress_and_can_be_stopped(qtbot: QtBot, bar: BottomBar) -> None:
    bar.show_result(a_result())
    with qtbot.waitSignal(bar.verify_clicked) as asked:
        bar.verify.click()
    assert asked.args == [LORA]
    bar.show_verifying(LORA)
    bar.show_verify_progress(150, 1000)
    assert LORA.name in bar.headline.text()
    assert bar.detail.text() == "150 of 1,000 weights measured"
    assert (bar.progress.isVisible(), bar.progress.value()) == (True, 150)
    assert bar.stop.isVisible()
    assert not bar.extract.isVisible()
    with qtbot.waitSignal(bar.stop_clicked):
        bar.stop.click()
    bar.show_verify_stopping()
    assert not bar.stop.isEnabled()
    bar.show_verify_ended()
    assert bar.headline.text() == f"\u2713 {LORA.name}"
    assert "verified" not in bar.detail.text()
    assert not bar.progress.isVisible()


def test_the_card_says_verified_once_it_is(bar: BottomBar) -> None:
    bar.show_result(a_result())
    bar.show_verifying(LORA)
    bar.show_verified(LORA, fake_verification(), CLAIMED)
    assert bar.detail.text().endswith("87.4 % in the weakest layer \u00b7 verified")
    assert bar.extra.text().startswith("Kept least")
    assert "agrees with what the file says" in bar.detail.toolTip()


def test_what_a_verification_finds_wrong_is_marked_in_words_and_colour(bar: BottomBar) -> None:
    bar.show_result(a_result())
    bar.show_verified(LORA, fake_verification(mean=0.9, worst=0.8), CLAIMED)
    assert bar.headline.text().startswith("\u26a0")
    assert "keeps 90.0 % of the change, 80.0 %" in bar.detail.text()
    assert "7.4 percentage points less" in bar.detail.text()
    assert bar.extra.text().startswith("\u26a0 The file says of itself 93.8 %")
    assert bar.extra.property("tone") == "warning"
    bar.show_result(a_result())
    assert bar.extra.property("tone") == "", "the next run begins without it"


def test_another_file_that_was_verified_is_told_in_the_line_below(qtbot: QtBot, bar: BottomBar) -> None:
    ready(bar)
    bar.show_verifying(OTHER)
    bar.show_verified(OTHER, fake_verification(), None)
    ready(bar)
    assert bar.last.isVisible()
    assert bar.last.name.text().startswith("\u2713 other.safetensors: keeps 93.8 % of the change")
    with qtbot.waitSignal(bar.verify_clicked) as asked:
        bar.last.verify.click()
    assert asked.args == [OTHER]
    bar.last.copy_path.click()
    assert QApplication.clipboard().text() == str(OTHER)
    bar.show_started(12)
    assert not bar.last.isVisible()


def test_another_file_that_was_verified_is_told_in_the_place_of_the_result(qtbot: QtBot, bar: BottomBar) -> None:
    bar.show_result(a_result())
    bar.show_verifying(OTHER)
    bar.show_verified(OTHER, fake_verification(), None)
    bar.show_verify_ended()  # as the window does when the thread has ended
    assert bar.headline.text() == "\u2713 other.safetensors"
    assert bar.detail.text() == "keeps 93.8 % of the change, 87.4 % in the weakest layer \u00b7 verified"
    assert str(OTHER) in bar.detail.toolTip()
    assert not bar.last.isVisible()
    bar.copy_details.click()
    assert "other.safetensors: keeps 93.8 % of the change" in QApplication.clipboard().text()
    bar.back.click()
    assert bar.headline.text() == f"\u2713 {LORA.name}"
    assert "verified" not in bar.detail.text(), "that was said of another file"
    assert not bar.back.isVisible()


def test_what_is_wrong_with_another_file_is_marked(bar: BottomBar) -> None:
    bar.show_result(a_result())
    bar.show_verified(OTHER, fake_verification(mean=0.9, worst=0.8), CLAIMED)
    assert bar.headline.text() == "\u26a0 other.safetensors"
    assert bar.extra.text().startswith("\u26a0 The file says of itself 93.8 %")
    assert bar.extra.property("tone") == "warning"
    ready(bar)
    bar.show_verify_ended()
    assert bar.headline.text() == f"\u2713 {LORA.name}", "something else has happened since"


def test_another_file_that_cannot_be_verified_is_named_once(bar: BottomBar) -> None:
    error = EngineError(ErrorCode.NOT_A_LORA, file=str(OTHER))
    bar.show_result(a_result())
    bar.show_verifying(OTHER)
    bar.show_verify_failed(OTHER, error)
    assert bar.headline.text() == "\u26a0 other.safetensors is not a LoRA."
    assert bar.headline.property("tone") == "bad"
    assert bar.detail.text()
    ready(bar)
    assert "other.safetensors" not in bar.last.name.text(), "the line keeps the LoRA that was made"
    assert bar.last.speaks_of(LORA)


def test_a_long_folder_keeps_both_its_ends(bar: BottomBar) -> None:
    bar.show_ready("next.safetensors", 310_000_000, Path("/loras") / ("long_" * 60) / "end")
    assert bar.detail._mode is Qt.TextElideMode.ElideMiddle
    bar.show_result(a_result())
    assert bar.detail._mode is Qt.TextElideMode.ElideRight


def test_large_numbers_of_layers_are_written_in_groups(bar: BottomBar) -> None:
    bar.show_stopped(1200, 2000, kept=True)
    assert "1,200 of 2,000 layers" in bar.headline.text()
    bar.show_progress(Progress(58, 2000, 0.03, 2.0, 60.0, 0.9))
    assert bar.headline.text() == "Layer 59 of 2,000"


def test_the_bar_grows_with_its_text(qtbot: QtBot, bar: BottomBar) -> None:
    usual = bar.minimumSizeHint().height()
    bar.setStyleSheet("QLabel { font-size: 30pt; }")
    bar.show_result(a_result())
    lines = (bar.headline, bar.detail, bar.extra)
    assert bar.minimumSizeHint().height() >= sum(line.fontMetrics().height() for line in lines) > usual


def test_the_last_result_keeps_what_was_found_when_the_bar_moves_on(bar: BottomBar) -> None:
    bar.show_result(a_result())
    bar.show_verified(LORA, fake_verification(), CLAIMED)
    ready(bar)
    assert bar.last.name.text().endswith("verified")


def test_a_verification_that_fails_says_why_and_leaves_the_card(bar: BottomBar) -> None:
    error = EngineError(ErrorCode.INPUT_CHANGED, file="/models/tuned.safetensors")
    bar.show_result(a_result())
    bar.show_verifying(LORA)
    bar.show_verify_failed(LORA, error)
    assert bar.detail.text().endswith("not verified")
    assert "tuned.safetensors changed or vanished" in bar.extra.text()
    assert bar.extra.property("tone") == "bad"
    ready(bar)
    assert "changed or vanished" in bar.last.name.text()


def test_after_a_stop_the_person_can_go_on_or_start_over(qtbot: QtBot, bar: BottomBar) -> None:
    bar.show_stopped(214, 304, kept=True)
    assert bar.headline.text() == "Stopped: 214 of 304 layers are kept; Extract continues from there"
    with qtbot.waitSignal(bar.start_over_clicked):
        bar.start_over.click()
    bar.show_stopped(214, 304, kept=False)
    assert not bar.start_over.isVisible(), "there is nothing to start over from"


def test_what_needs_a_plan_waits_for_it(bar: BottomBar) -> None:
    bar.show_result(a_result())
    for enabled in (False, True):
        bar.set_extract_enabled(enabled)
        assert [button.isEnabled() for button in (bar.extract, bar.verify, bar.start_over)] == [enabled] * 3
