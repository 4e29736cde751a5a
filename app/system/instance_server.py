"""The first process's end of `app.system.single_instance`: takes files that a second start or the system opens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from filelock import FileLock
from PySide6.QtCore import QEvent, QObject, QTimer, Signal, Slot
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from PySide6.QtWidgets import QWidget

from app.storage import paths
from app.system.single_instance import ACTIVATION, GO, LONGEST_MESSAGE, READY, Answer, address, hand_over

START_S = 8.0  # what a process that has just begun may take until its window is there and it can answer
LOCK_S = 2 * START_S
CONVERSATION_MS = 10_000
TOGETHER_MS = 150


class InstanceServer(QObject):
    """Listens for other starts of the same person.

    Attributes:
        files_received: a list of `Path`; empty where only the window is wanted.
    """

    files_received = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)

    def claim(self, files: list[Path]) -> bool:
        """Become the one that listens, or hand files to the one that does.

        Only one process at a time decides this, so that of two starts at the same moment one listens and the other
        hands over. Where a process listens that does not answer, this one works without listening.

        Returns:
            Whether the files were handed over, so that this process has nothing to do.
        """
        place = address()
        if place is None:
            return False
        lock = FileLock(paths.config_dir() / "instance.lock", timeout=LOCK_S)
        try:
            paths.config_dir().mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError:
            return False
        try:
            answer = hand_over(files, START_S)
            if answer is Answer.NOBODY:
                QLocalServer.removeServer(place)  # what a process left that did not end in order
                self._server.listen(place)
        finally:
            lock.release()
        return answer is Answer.TAKEN

    def listening(self) -> bool:
        """Whether other starts find this process."""
        return self._server.isListening()

    def close(self) -> None:
        """Let the next start be the first."""
        self._server.close()

    @Slot()
    def _on_connection(self) -> None:
        while (connection := self._server.nextPendingConnection()) is not None:
            conversation = _Conversation(connection, self)
            conversation.agreed.connect(self._on_agreed)

    @Slot(object)
    def _on_agreed(self, message: dict[str, Any]) -> None:
        if token := message.get("activation"):
            os.environ[ACTIVATION] = str(token)
        self.files_received.emit([Path(file) for file in message["files"]])


class _Conversation(QObject):
    """One other start.

    Attributes:
        agreed: its message, once it has said ``go``.
    """

    agreed = Signal(object)

    def __init__(self, connection: QLocalSocket, parent: QObject) -> None:
        super().__init__(parent)
        self._connection = connection
        connection.setParent(self)
        self._heard = b""
        self._message: dict[str, Any] | None = None
        self._over = False
        connection.readyRead.connect(self._on_heard)
        connection.disconnected.connect(self._end)
        QTimer.singleShot(CONVERSATION_MS, self, self._end)
        self._on_heard()

    @Slot()
    def _on_heard(self) -> None:
        if self._over:
            return
        self._heard += bytes(self._connection.readAll().data())
        if len(self._heard) > LONGEST_MESSAGE:
            self._end()
        elif self._message is None and b"\n" in self._heard:
            line, _break, self._heard = self._heard.partition(b"\n")
            self._message = _message(line)
            if self._message is None:
                self._end()
                return
            self._connection.write(READY)
            self._connection.flush()
        if self._message is not None and self._heard == GO and not self._over:
            self.agreed.emit(self._message)
            self._end()

    @Slot()
    def _end(self) -> None:
        if self._over:
            return
        if self._message is not None and self._connection.bytesAvailable():
            self._on_heard()  # said go and left at once
        if not self._over:
            self._over = True
            self._connection.close()
            self.deleteLater()


class FileOpenFilter(QObject):
    """Takes files that macOS wants opened: dropped on the icon in the dock, or opened from the Finder.

    Install it on the application. The system sends an event per file; files that come together are emitted together.

    Attributes:
        files_received: a list of `Path`.
    """

    files_received = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._files: list[Path] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(TOGETHER_MS)
        self._timer.timeout.connect(self._emit_files)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Keep the files of the system's events; everything else goes on."""
        if isinstance(event, QFileOpenEvent) and event.file():
            self._files.append(Path(event.file()))
            self._timer.start()
            return True
        return False

    @Slot()
    def _emit_files(self) -> None:
        files, self._files = self._files, []
        self.files_received.emit(files)


def bring_to_front(window: QWidget) -> None:
    """Show a window above the others, as far as the system lets a program do that."""
    if window.isMinimized():
        window.showNormal()
    window.show()
    window.raise_()
    window.activateWindow()


def _message(line: bytes) -> dict[str, Any] | None:
    """What another start said; None where it is nothing that this program says."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    if not isinstance(message, dict) or message.get("version") != 1 or not isinstance(message.get("files"), list):
        return None
    usable = all(isinstance(file, str) and os.path.isabs(file) for file in message["files"])
    return message if usable else None
