from pathlib import Path

import pytest
from fakes import GB, LEFT_OUT
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QWidget,
)
from pytestqt.qtbot import QtBot
from window_steps import Pair, wait_for

from app.look.theme import Theme
from app.widgets.basics.notice_bar import NoticeBar
from app.widgets.models.left_out_dialog import LeftOutDialog, LeftOutModel
from app.widgets.models.pair_card import PairCard
from app.window import dropped_files
from app.window.main_window import MainWindow
from app.work.controller import State
from app.work.model_placement import distinguish
from engine.planning.estimates import Amount, Estimate, Problem, ProblemCode, Workload


def drop(target: QWidget, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    actions, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    event = QDropEvent(QPointF(5, 5), actions, data, button, Qt.KeyboardModifier.NoModifier)
    target.dropEvent(event)
    QTest.qWait(0)  # several files find their place once the drop has its answer


def test_two_files_dropped_at_once_fill_both_cards_and_can_be_swapped(window: MainWindow, tmp_path: Path) -> None:
    original, finetuned = tmp_path / "sdxl-base.safetensors", tmp_path / "my-finetune.safetensors"
    drop(window.frame.models.original, original, finetuned)
    assert window.frame.models.models() == (finetuned, original)
    window.frame.models.swap.click()
    assert window.frame.models.models() == (original, finetuned)


def test_a_single_file_goes_to_the_card_it_is_dropped_on(window: MainWindow, pair: Pair) -> None:
    drop(window.frame.models.original, pair[1])
    assert window.frame.models.models() == (None, pair[1])


def test_a_file_dropped_beside_the_cards_goes_where_there_is_room(window: MainWindow, pair: Pair) -> None:
    drop(window, pair[0])
    drop(window, pair[1])
    assert window.frame.models.models() == pair


def test_where_both_are_taken_it_is_asked_whose_place_a_dropped_file_takes(
    window: MainWindow, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["", "original"]
    monkeypatch.setattr(dropped_files, "ask_whose_place", lambda *_args: answers.pop(0))
    window.set_models(*pair)
    drop(window, tmp_path / "third.safetensors")
    assert window.frame.models.models() == pair
    drop(window, tmp_path / "third.safetensors")
    assert window.frame.models.models() == (pair[0], tmp_path / "third.safetensors")


def test_of_three_dropped_files_the_third_is_said_to_be_too_many(
    window: MainWindow, pair: Pair, tmp_path: Path
) -> None:
    drop(window, *pair, tmp_path / "third.safetensors")
    assert None not in window.frame.models.models()
    (bar,) = window.findChildren(NoticeBar)
    assert "third.safetensors" in bar.text.text()


def test_the_list_behind_why_names_every_tensor_and_its_reason(
    qtbot: QtBot, window: MainWindow, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[LeftOutModel] = []
    monkeypatch.setattr(LeftOutDialog, "exec", lambda dialog: shown.append(dialog.model))
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    window.frame.models.pair.why.click()
    text = shown[0].as_text()
    assert "diffusion_model.new.weight" in text
    assert "64 x 32 and 64 x 16" in text


@pytest.mark.parametrize(
    ("finetuned", "original"),
    [
        ("my_finetune", "sdxl-base"),
        ("database_char", "sd_xl_base_1.0"),
        ("sd_xl_baseline_style", "sd_xl_base_1.0"),
        ("animeMix_v3", "flux1-dev"),
        ("flux_fine-tuned", "remixture"),
    ],
)
def test_whole_words_tell_which_file_is_which(tmp_path: Path, finetuned: str, original: str) -> None:
    files = [tmp_path / f"{name}.safetensors" for name in (finetuned, original)]
    assert distinguish(*files) == tuple(files)
    assert distinguish(*reversed(files)) == tuple(files)


@pytest.fixture
def pair_card(qtbot: QtBot, theme: Theme) -> PairCard:
    card = PairCard()
    qtbot.addWidget(card)
    card.setFixedWidth(300)
    card.show()
    return card


def fitting(*problems: Problem) -> Estimate:
    amount = Amount(18 * GB, 24 * GB)
    disk = Amount(310_000_000, 10**12)
    return Estimate(52.0, Workload(304, 1e14, 10**10), amount, 18 * GB, amount, disk, disk, True, problems)


def test_the_pair_card_says_what_the_extraction_will_take_as_soon_as_that_is_known(pair_card: PairCard) -> None:
    pair_card.show_pair(304, LEFT_OUT, 310_000_000, "denoiser 304")
    assert pair_card.detail.text() == "File: at most 310 MB"
    pair_card.show_estimate(fitting())
    assert pair_card.headline.text() == "304 layers will be extracted"
    assert pair_card.left_out.text() == "2 left out"
    assert pair_card.detail.text() == "About 50 s \u00b7 fits: 18 of 24 GB \u00b7 file: at most 310 MB"
    assert not pair_card.remark.isVisible()
    assert "Main memory: at most 18 GB, 24 GB free" in pair_card.toolTip()
    assert "denoiser 304" in pair_card.toolTip()


def test_what_will_not_fit_is_red_with_a_remedy_and_comes_before_remarks(pair_card: PairCard) -> None:
    problem = Problem(ProblemCode.OUTPUT_DISK_SHORT, {"needed": GB, "available": 5000, "folder": "/x", "exact": True})
    pair_card.show_pair(304, LEFT_OUT, 310_000_000, "", ["A remark."], fitting(problem))
    assert pair_card.remark.text().startswith("\u26a0 The LoRA needs up to 1.0 GB")
    assert "choose another output folder" in pair_card.remark.text()
    assert pair_card.remark.property("tone") == "bad"
    assert pair_card.property("trouble") is True
    assert "A remark." in pair_card.toolTip()
    assert "choose another output folder" in pair_card.accessibleDescription()
    pair_card.show_estimate(fitting())
    assert pair_card.remark.text() == "\u26a0 A remark."
    assert pair_card.property("trouble") is False


def test_a_mild_problem_is_only_a_remark(pair_card: PairCard) -> None:
    problem = Problem(ProblemCode.JOURNAL_DISK_SHORT, {"needed": GB, "available": 5000})
    pair_card.show_pair(304, (), 310_000_000, "", (), fitting(problem))
    assert pair_card.remark.isVisible()
    assert pair_card.property("trouble") is False


def test_an_estimate_that_comes_after_the_pair_has_gone_is_not_shown(pair_card: PairCard) -> None:
    pair_card.show_pair(304, (), 310_000_000, "")
    pair_card.show_empty()
    pair_card.show_estimate(fitting())
    assert "appears here" in pair_card.detail.text()


def test_the_first_lines_of_the_three_cards_are_level(qtbot: QtBot, window: MainWindow, pair: Pair) -> None:
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    QApplication.processEvents()
    models = window.frame.models
    browse, headline = models.original.browse, models.pair.headline
    middles = [widget.mapTo(window, widget.rect().center()).y() for widget in (browse, headline)]
    assert abs(middles[0] - middles[1]) <= 2
    details = [card.detail.mapTo(window, card.detail.rect().topLeft()).y() for card in (models.original, models.pair)]
    assert abs(details[0] - details[1]) <= 4


def test_what_is_no_model_file_is_put_aside_and_said(
    qtbot: QtBot, window: MainWindow, pair: Pair, tmp_path: Path
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("not a model")
    drop(window, *pair, note)
    assert None not in window.frame.models.models()
    assert note not in window.frame.models.models()
    (bar,) = window.findChildren(NoticeBar)
    qtbot.waitUntil(bar.isVisible)
    assert bar.text.text() == "No model files: note.txt"
    drop(window, *pair)
    assert not any(bar.isVisible() for bar in window.findChildren(NoticeBar))
