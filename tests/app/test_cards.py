from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import (
    QWidget,
)
from pytestqt.qtbot import QtBot
from window_steps import Pair, wait_for

from app.controller import State
from app.telling_apart import tell_apart
from app.widgets.left_out_dialog import LeftOutDialog, LeftOutModel
from app.widgets.main_window import MainWindow


def drop(target: QWidget, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    actions, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    event = QDropEvent(QPointF(5, 5), actions, data, button, Qt.KeyboardModifier.NoModifier)
    target.dropEvent(event)


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
    assert tell_apart(*files) == tuple(files)
    assert tell_apart(*reversed(files)) == tuple(files)
