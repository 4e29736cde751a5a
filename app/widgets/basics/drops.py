"""What drag and drop answers: files and jobs are copied, never moved, or a file manager deletes its own."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QLineEdit


def accept_copy(event: QDropEvent) -> bool:
    """Answer a drag or a drop with Copy; where its source does not offer that, refuse it. Returns whether it is taken.

    `QDropEvent.acceptProposedAction` answers with what the source proposes. That is Move in several file managers,
    which delete the file they dragged when the answer is that it was moved.
    """
    if not event.possibleActions() & Qt.DropAction.CopyAction:
        event.ignore()
        return False
    event.setDropAction(Qt.DropAction.CopyAction)
    event.accept()
    return True


class TextField(QLineEdit):
    """A line of text that leaves files to the window: Qt's own would take their path as text and answer with Move."""

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take text, but no files."""
        if event.mimeData().hasUrls():
            event.ignore()
        else:
            super().dragEnterEvent(event)


def dropped_paths(event: QDropEvent) -> list[Path]:
    """The local files of a drag."""
    return [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
