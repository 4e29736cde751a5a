"""The window keeps its look wherever the program lies: in folders with spaces, umlauts, quotes and brackets."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QCheckBox
from pytestqt.qtbot import QtBot

from app.look import icons
from app.look.stylesheet import stylesheet
from app.look.theme import Theme


@pytest.mark.parametrize("folder", ["plain", "a space", "Jörg", "it's", "x (86)", 'say "so"', "semi;{colon}"])
def test_the_style_sheet_is_understood_and_its_pictures_are_found(
    qtbot: QtBot,
    qtlog: Any,
    theme: Theme,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
) -> None:
    try:
        shutil.copytree(icons.ICONS, tmp_path / folder / "icons")
    except OSError:
        pytest.skip("this system has no such folders")
    monkeypatch.setattr(icons, "ICONS", tmp_path / folder / "icons")
    box = QCheckBox()
    qtbot.addWidget(box)
    box.setStyleSheet(stylesheet(theme.tokens, box.font()))
    box.setChecked(True)
    box.grab()
    assert [record.message for record in qtlog.records] == []
