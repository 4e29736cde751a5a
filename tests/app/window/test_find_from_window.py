"""Finding the original from its card: the dialog, the search on a thread of its own, and what comes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine
from model_families import changed, fresh, merged, save, stored
from PySide6.QtCore import QThread
from PySide6.QtWidgets import QApplication, QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.storage.session import SessionState, SessionStore
from app.widgets.models.find_dialog import DISTANCE, NAME, REMARK, SHARE, FindOriginalDialog
from app.widgets.models.models_row import ModelsRow
from app.window.find_presenter import WindowFind
from app.window.main_window import MainWindow
from app.window.model import WindowModel
from app.work.controller import Controller
from engine.analysis import original_search
from engine.analysis.candidates import SearchProgress

BASES = [changed(fresh(0), number, 0.04) for number in (1, 2)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, base in enumerate(BASES):
        save(tmp_path / "models" / f"base{number}.safetensors", base)
    return tmp_path / "models"


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    return save(tmp_path / "tuned" / "tuned.safetensors", changed(stored(BASES[1]), 5, 0.01))


class Parts:
    """What of the window takes part: the cards, the model behind them, and the presenter."""

    def __init__(self, engine: FakeEngine) -> None:
        self.window = QWidget()
        self.controller = Controller(engine, self.window)
        self.model = WindowModel(self.controller, SessionState(), self.window)
        self.cards = ModelsRow()
        self.cards.setParent(self.window)
        self.find = WindowFind(self.window, self.model, self.cards)
        self.cards.changed.connect(lambda: self.model.set_models(*self.cards.models()))
        self.model.models_changed.connect(lambda: self.shown.append(self.model.request.models))
        self.shown: list[object] = []

    def opened(self, model: Path, *folders: Path) -> FindOriginalDialog:
        self.cards.set_models(model, None)
        self.model.session.search_folders = [str(folder) for folder in folders]
        self.cards.original.find_button.click()
        dialog = self.find.dialog
        assert dialog is not None
        return dialog


@pytest.fixture
def parts(qtbot: QtBot, theme: Theme, engine: FakeEngine) -> Iterator[Parts]:
    found = Parts(engine)
    qtbot.addWidget(found.window)
    found.window.show()
    yield found
    found.find.shut_down()
    found.controller.shut_down()


def searched(qtbot: QtBot, dialog: FindOriginalDialog) -> None:
    dialog.search.click()
    qtbot.waitUntil(lambda: dialog.search.text() == "Search")


def column(dialog: FindOriginalDialog, at: int) -> list[str]:
    items = [dialog.table.item(row, at) for row in range(dialog.table.rowCount())]
    return [item.text() for item in items if item is not None]


def test_it_can_be_asked_for_once_a_fine_tuned_model_is_chosen(parts: Parts, tuned: Path) -> None:
    button = parts.cards.original.find_button
    parts.cards.set_models(None, None)
    assert not button.isEnabled()
    parts.cards.set_models(tuned, None)
    assert button.isEnabled()
    parts.cards.set_locked(True)
    assert not button.isEnabled()
    parts.cards.set_locked(False)
    assert button.isEnabled()
    assert parts.cards.finetuned.find_button.isHidden()


def test_the_nearest_is_chosen_and_becomes_the_original(qtbot: QtBot, parts: Parts, folder: Path, tuned: Path) -> None:
    dialog = parts.opened(tuned, folder)
    assert dialog.headline.text() == "Which model was tuned.safetensors made from?"
    searched(qtbot, dialog)
    assert dialog.headline.text().startswith("base1.safetensors is the nearest: 1.0")
    assert column(dialog, NAME) == ["base1.safetensors", "base0.safetensors"]
    assert column(dialog, DISTANCE)[0].endswith(" %")
    assert dialog.table.isColumnHidden(SHARE)
    dialog.use.click()
    assert parts.model.request.models == (tuned, folder / "base1.safetensors")
    assert parts.find.dialog is None


def test_another_candidate_can_be_used(qtbot: QtBot, parts: Parts, folder: Path, tuned: Path) -> None:
    dialog = parts.opened(tuned, folder)
    searched(qtbot, dialog)
    dialog.table.selectRow(1)
    dialog.use.click()
    assert parts.model.request.models == (tuned, folder / "base0.safetensors")


def test_of_a_merge_the_shares_stand_beside_the_models(
    qtbot: QtBot, parts: Parts, folder: Path, tmp_path: Path
) -> None:
    model = save(tmp_path / "merge.safetensors", merged((0.3, stored(BASES[0])), (0.7, stored(BASES[1]))))
    dialog = parts.opened(model, folder)
    searched(qtbot, dialog)
    assert dialog.headline.text() == "It is a merge of base1.safetensors (0.70) and base0.safetensors (0.30)."
    assert not dialog.table.isColumnHidden(SHARE)
    assert [text[:4] for text in column(dialog, SHARE)] == ["0.70", "0.30"]


def test_where_nothing_is_near_none_is_chosen(qtbot: QtBot, parts: Parts, folder: Path, tmp_path: Path) -> None:
    dialog = parts.opened(save(tmp_path / "strange.safetensors", fresh(9)), folder)
    searched(qtbot, dialog)
    assert dialog.headline.text() == "None of these is its original."
    assert dialog.headline.property("tone") == "bad"
    assert column(dialog, REMARK) == ["not related", "not related"]
    assert not dialog.use.isEnabled()
    dialog.close()


def test_what_was_skipped_is_shown_with_the_reason(qtbot: QtBot, parts: Parts, folder: Path, tuned: Path) -> None:
    (folder / "broken.safetensors").touch()
    dialog = parts.opened(tuned, folder)
    searched(qtbot, dialog)
    assert dialog.why_skipped.text() == "Skipped: 1 that could not be read."
    assert not dialog.skipped.isVisible()
    dialog.why_skipped.click()
    assert dialog.skipped.isVisible()
    assert "broken.safetensors" in dialog.skipped.toPlainText()
    dialog.close()


def test_folders_are_remembered_from_one_start_to_the_next(
    parts: Parts, tuned: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = parts.opened(tuned)
    assert dialog.chosen_folders() == [tuned.parent]  # where nothing is remembered
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    dialog.add.click()
    dialog.add.click()  # it is in the list already
    assert dialog.chosen_folders() == [tuned.parent, folder]
    dialog.folders.setCurrentItem(dialog.folders.topLevelItem(0))
    dialog.remove.click()
    dialog.close()
    assert parts.model.session.search_folders == [str(folder)]
    assert parts.opened(tuned, folder).chosen_folders() == [folder]


class Slow:
    """A search that waits for the test, on whatever thread."""

    def __init__(self) -> None:
        self.begun, self.thread = threading.Event(), None

    def __call__(self, model: Path, folders: Any, index: object, cancel: Any) -> Iterator[SearchProgress]:
        self.thread = QThread.currentThread()
        yield SearchProgress(0, 3, model)
        self.begun.set()
        while True:
            cancel.check()
            cancel._event.wait(0.01)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    search = Slow()
    monkeypatch.setattr(original_search, "find_original", search)
    return search


def test_a_search_works_off_the_gui_thread_and_can_be_stopped(
    qtbot: QtBot, parts: Parts, folder: Path, tuned: Path, slow: Slow
) -> None:
    dialog = parts.opened(tuned, folder)
    dialog.search.click()
    qtbot.waitUntil(lambda: dialog.headline.text() == "Comparing 1 of 3 models\u2026")
    assert slow.begun.wait(30)
    assert slow.thread is not QApplication.instance().thread()
    assert dialog.search.text() == "Stop"
    assert not dialog.add.isEnabled()
    dialog.search.click()
    qtbot.waitUntil(lambda: dialog.headline.text() == "The search was stopped.")
    assert dialog.search.isEnabled()
    dialog.close()


def test_closing_the_dialog_stops_the_search(qtbot: QtBot, parts: Parts, folder: Path, tuned: Path, slow: Slow) -> None:
    dialog = parts.opened(tuned, folder)
    dialog.search.click()
    assert slow.begun.wait(30)
    dialog.reject()
    finder = parts.find._finder
    qtbot.waitUntil(lambda: not finder.busy)
    assert parts.find.dialog is None


def test_the_window_closes_although_a_search_is_on_its_way(
    qtbot: QtBot, window: MainWindow, tuned: Path, slow: Slow
) -> None:
    window.set_models(tuned, None)
    window.frame.models.original.find_button.click()
    dialog = window.find_control.dialog
    assert dialog is not None
    dialog.search.click()
    assert slow.begun.wait(30)
    window.close()
    assert not window.isVisible()
    assert not window.find_control._finder.busy
    assert SessionStore().load().search_folders == [str(tuned.parent)]


def test_a_model_that_cannot_be_read_is_said_in_the_dialog(
    qtbot: QtBot, parts: Parts, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.safetensors").touch()
    dialog = parts.opened(tmp_path / "empty.safetensors", folder)
    searched(qtbot, dialog)
    assert "empty" in dialog.headline.text()
    assert dialog.headline.property("tone") == "bad"
    dialog.close()
