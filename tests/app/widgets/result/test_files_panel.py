"""The list of files of a run that wrote several."""

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.widgets.result.files_panel import FilesPanel
from engine.results import OutputFile

LORA = OutputFile(Path("/loras/a_rank_32_.safetensors"), Path("/r.json"), "32", "comfyui", 310_000_000, 0.938, 0.874)
FOLDER = replace(LORA, path=Path("/loras/a_peft_rank_8_"), rank="8", key_format="kohya", mean_energy_retained=0.5)


@pytest.fixture
def panel(qtbot: QtBot, theme: Theme) -> FilesPanel:
    made = FilesPanel()
    qtbot.addWidget(made)
    return made


def words(panel: FilesPanel) -> list[str]:
    return [label.text() for label in panel.findChildren(QLabel) if label.text()]


def test_one_file_needs_no_list(panel: FilesPanel) -> None:
    panel.show_files((LORA,))
    assert panel.isHidden()


def test_every_file_is_listed_with_its_size_and_share_and_a_folder_as_one(panel: FilesPanel) -> None:
    panel.show_files((LORA, FOLDER))
    assert not panel.isHidden()
    told = words(panel)
    assert panel.title.text() == "2 files"
    assert "a_peft_rank_8_/" in told
    assert {"rank 32 \u00b7 ComfyUI", "rank 8 \u00b7 Kohya", "93.8 %", "50.0 %", "310 MB"} <= set(told)


def test_each_file_can_be_opened_copied_and_verified(qtbot: QtBot, panel: FilesPanel) -> None:
    panel.show_files((LORA, FOLDER))
    row = panel._rows[FOLDER.path]
    with qtbot.waitSignal(panel.verify_clicked) as verified:
        row.verify.click()
    with qtbot.waitSignal(panel.open_folder_clicked) as opened:
        panel.folder.click()
    row.copy.click()
    assert (verified.args, opened.args) == ([FOLDER.path], [Path("/loras")])
    assert QApplication.clipboard().text() == str(FOLDER.path)
    assert row.verify.accessibleName() == "Verify a_peft_rank_8_/"


def test_what_a_verification_found_stands_beside_its_file(panel: FilesPanel) -> None:
    panel.show_files((LORA, FOLDER))
    panel.show_found(FOLDER.path, "verified", "all of it")
    panel.show_found(LORA.path, "not verified", "why", tone="bad")
    panel.show_found(Path("/elsewhere.safetensors"), "verified", "")
    assert panel._rows[FOLDER.path].found.text() == "\u2713 verified"
    assert panel._rows[LORA.path].found.text() == "\u26a0 not verified"


def test_nothing_is_verified_while_something_works(panel: FilesPanel) -> None:
    panel.show_files((LORA, FOLDER))
    panel.set_locked(True)
    assert not panel._rows[LORA.path].verify.isEnabled()
    panel.set_locked(False)
    assert panel._rows[LORA.path].verify.isEnabled()
