"""Drag and drop answers with Copy, whatever the source proposes: a file manager deletes what was moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QMimeData, QObject, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractItemView, QLineEdit, QWidget

from app.storage.job_queue import new_job
from app.widgets.queue.list import QueueList
from app.window.main_window import MainWindow
from engine.settings import ExtractionSettings, HardwareSettings

COPY, MOVE = Qt.DropAction.CopyAction, Qt.DropAction.MoveAction
LEFT, NO_KEYS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier  # asks the source to move
TARGETS = ("window", "finetuned", "original")
# The constructors of the events; tests have no other way to make them.
pytestmark = pytest.mark.filterwarnings("ignore:.*Drag(Enter|Move)Event:DeprecationWarning")


def file_of(tmp_path: Path) -> QMimeData:
    """A file as file managers offer it: its address, and its path as text."""
    data, path = QMimeData(), tmp_path / "model.safetensors"
    data.setUrls([QUrl.fromLocalFile(str(path))])
    data.setData("text/plain", str(path).encode())
    return data


def target(window: MainWindow, name: str) -> QWidget:
    models = window.frame.models
    return {"window": window, "finetuned": models.finetuned, "original": models.original}[name]


def entered(widget: QWidget, data: QMimeData) -> QDragEnterEvent:
    """Drag something over a widget as the desktop does, with Move proposed."""
    enter = QDragEnterEvent(QPoint(5, 5), COPY | MOVE, data, LEFT, SHIFT)
    assert enter.proposedAction() == MOVE
    QCoreApplication.sendEvent(widget, enter)
    return enter


@pytest.mark.parametrize("name", TARGETS)
def test_a_file_that_is_proposed_to_be_moved_is_copied(window: MainWindow, tmp_path: Path, name: str) -> None:
    data = file_of(tmp_path)
    enter = entered(target(window, name), data)
    assert enter.isAccepted()
    assert enter.dropAction() == COPY
    drop = QDropEvent(QPointF(5, 5), COPY | MOVE, data, LEFT, SHIFT)
    assert drop.proposedAction() == MOVE
    target(window, name).dropEvent(drop)
    assert drop.isAccepted()
    assert drop.dropAction() == COPY


@pytest.mark.parametrize("name", TARGETS)
def test_a_file_that_can_only_be_moved_is_refused(window: MainWindow, tmp_path: Path, name: str) -> None:
    data = file_of(tmp_path)
    enter = QDragEnterEvent(QPoint(5, 5), MOVE, data, LEFT, NO_KEYS)
    target(window, name).dragEnterEvent(enter)
    assert not enter.isAccepted()
    drop = QDropEvent(QPointF(5, 5), MOVE, data, LEFT, NO_KEYS)
    target(window, name).dropEvent(drop)
    QTest.qWait(0)
    assert not drop.isAccepted()
    assert window.frame.models.models() == (None, None)


def test_wherever_in_the_window_a_file_is_dragged_it_is_copied(window: MainWindow, tmp_path: Path) -> None:
    window.frame.options.show_more(True)
    window.frame.hardware.show_more(True)
    data = file_of(tmp_path)
    answers = {
        widget: entered(widget, data).dropAction()
        for widget in (window, *window.findChildren(QWidget))
        if widget.acceptDrops() and widget.isEnabled()
    }
    assert len(answers) > 15
    assert [widget for widget, answer in answers.items() if answer != COPY] == []


def test_a_text_field_leaves_files_to_the_window_and_takes_text(window: MainWindow, tmp_path: Path) -> None:
    field = window.frame.options.form.editor("filename_prefix").findChild(QLineEdit)
    assert field is not None
    file, words = file_of(tmp_path), QMimeData()  # an event does not keep its data alive
    enter = QDragEnterEvent(QPoint(5, 5), COPY | MOVE, file, LEFT, NO_KEYS)
    field.dragEnterEvent(enter)
    assert not enter.isAccepted()
    words.setText("loras/mine")
    enter = QDragEnterEvent(QPoint(5, 5), COPY, words, LEFT, NO_KEYS)
    field.dragEnterEvent(enter)
    assert enter.isAccepted()


class OwnDrag(QDropEvent):
    """A drop of jobs that were dragged out of this very list; a real drag is in tests/e2e."""

    def __init__(self, jobs: QueueList, data: QMimeData, place: QPoint, actions: Qt.DropAction) -> None:
        super().__init__(QPointF(place), actions, data, LEFT, NO_KEYS)
        self._source = jobs

    def source(self) -> QObject:
        return self._source


@pytest.mark.parametrize("actions", [COPY, COPY | MOVE, MOVE])
def test_jobs_dropped_at_another_place_of_the_queue_are_answered_with_copy(
    window: MainWindow, actions: Qt.DropAction
) -> None:
    queue = window.frame.queue
    for name in "abc":
        models = Path(f"/models/{name}.safetensors"), Path("/models/base.safetensors")
        queue.add_job(replace(new_job(*models, ExtractionSettings(), HardwareSettings(), Path("/loras")), id=name))
    jobs, model = queue.jobs, queue.model
    data = model.mimeData([model.index(0)])
    drop = OwnDrag(jobs, data, jobs.visualRect(model.index(2)).center() + QPoint(0, 4), actions)
    jobs.dropEvent(drop)
    taken = bool(actions & COPY)
    assert drop.isAccepted() == taken
    assert [model.job(row).id for row in range(3)] == (["b", "c", "a"] if taken else ["a", "b", "c"])
    if taken:
        assert drop.dropAction() == COPY


def test_the_queue_offers_its_drags_to_be_copied(window: MainWindow) -> None:
    queue = window.frame.queue
    assert queue.model.supportedDragActions() == COPY
    # Qt takes Copy out of what a list with this mode offers, and then nothing would be taken.
    assert queue.jobs.dragDropMode() != QAbstractItemView.DragDropMode.InternalMove


def test_no_other_place_accepts_what_a_source_proposes() -> None:
    for path in (Path(__file__).parents[3] / "app").rglob("*.py"):
        if path.name != "drops.py":
            assert "acceptProposedAction" not in path.read_text(encoding="utf-8"), path.name
