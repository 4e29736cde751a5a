"""Drag and drop answers with Copy, whatever the source proposes: a file manager deletes what was moved."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QWidget

from app.widgets.main_window import MainWindow

BOTH = Qt.DropAction.CopyAction | Qt.DropAction.MoveAction
# The constructor of QDragEnterEvent; tests have no other way to make one.
pytestmark = pytest.mark.filterwarnings("ignore:.*QDragEnterEvent:DeprecationWarning")
LEFT, NO_KEYS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def files(tmp_path: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "model.safetensors"))])
    return data


def target(window: MainWindow, name: str) -> QWidget:
    models = window.frame.models
    return {"window": window, "finetuned": models.finetuned, "original": models.original}[name]


@pytest.mark.parametrize("name", ["window", "finetuned", "original"])
def test_a_file_that_is_offered_to_be_moved_is_copied(window: MainWindow, tmp_path: Path, name: str) -> None:
    data = files(tmp_path)
    enter = QDragEnterEvent(QPoint(5, 5), BOTH, data, LEFT, NO_KEYS)
    enter.setDropAction(Qt.DropAction.MoveAction)
    target(window, name).dragEnterEvent(enter)
    assert enter.isAccepted()
    assert enter.dropAction() == Qt.DropAction.CopyAction
    drop = QDropEvent(QPointF(5, 5), BOTH, data, LEFT, NO_KEYS)
    drop.setDropAction(Qt.DropAction.MoveAction)
    target(window, name).dropEvent(drop)
    assert drop.isAccepted()
    assert drop.dropAction() == Qt.DropAction.CopyAction


@pytest.mark.parametrize("name", ["window", "finetuned", "original"])
def test_a_file_that_can_only_be_moved_is_refused(window: MainWindow, tmp_path: Path, name: str) -> None:
    data = files(tmp_path)
    enter = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.MoveAction, data, LEFT, NO_KEYS)
    target(window, name).dragEnterEvent(enter)
    assert not enter.isAccepted()
    drop = QDropEvent(QPointF(5, 5), Qt.DropAction.MoveAction, data, LEFT, NO_KEYS)
    target(window, name).dropEvent(drop)
    assert not drop.isAccepted()
    assert window.frame.models.models() == (None, None)


def test_no_other_place_accepts_what_a_source_proposes() -> None:
    for path in (Path(__file__).parents[2] / "app").rglob("*.py"):
        if path.name != "drops.py":
            assert "acceptProposedAction" not in path.read_text(encoding="utf-8"), path.name
