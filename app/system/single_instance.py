"""Hands the files of a second start to the window that is there already; needs neither Qt nor torch.

The first process listens at an address of its own per user and per ``LORA_EXTRACTOR_HOME`` (see
`app.system.instance_server`). A second one sends what it was started with and waits for ``ready``; only then it says
``go``, and only then the first one acts. So a first process that hangs never acts on files of a second that lost
patience and opened a window itself.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from enum import Enum
from io import RawIOBase
from pathlib import Path
from typing import Protocol

from app.storage import paths

PATIENCE_S = 3.0
LONGEST_MESSAGE = 1 << 20
LONGEST_ADDRESS = 100  # bytes; the system allows a little more than that
READY, GO = b"ready\n", b"go\n"
ACTIVATION = "XDG_ACTIVATION_TOKEN"  # lets a window come to the front on Wayland


class Answer(Enum):
    """The outcome of handing over: taken, no process there, or one there that does not answer."""

    TAKEN = "taken"
    NOBODY = "nobody"
    SILENCE = "silence"


def address() -> str | None:
    """Where the first process listens: a pipe's name on Windows, elsewhere a socket in a folder of this user alone.

    None where there is no such place.
    """
    user = str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
    key = hashlib.sha256(f"{user}\0{os.path.realpath(paths.config_dir())}".encode("utf-8", "surrogateescape"))
    name = f"lora-{key.hexdigest()[:16]}"  # short: temporary folders of macOS leave little room for it
    if sys.platform == "win32":
        return rf"\\.\pipe\extractor-{name}"
    for folder in _own_folders():
        path = str(folder / name)
        if len(os.fsencode(path)) <= LONGEST_ADDRESS and _is_ours_alone(folder):
            return path
    return None


def hand_over(files: Iterable[Path], patience: float = PATIENCE_S) -> Answer:
    """Give files to the process that is there already.

    Args:
        files: model files; none only brings the window to the front.
        patience: seconds that the first process has for its answer.
    """
    place = address()
    if place is None:
        return Answer.NOBODY
    message = {
        "version": 1,
        "files": [os.path.abspath(file) for file in files],
        "activation": os.environ.get(ACTIVATION, ""),
    }
    line = json.dumps(message).encode("ascii") + b"\n"
    return _through_pipe(place, line, patience) if sys.platform == "win32" else _through_socket(place, line, patience)


def _own_folders() -> Iterable[Path]:
    """Folders that only this user can enter, the best first."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime:
        yield Path(runtime)
    folder = Path(tempfile.gettempdir()) / f"lora-extractor-{os.getuid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
    yield folder


def _is_ours_alone(folder: Path) -> bool:
    """Whether no other user can put a socket there: ours, no link, closed to the others."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


class _Wire(Protocol):
    """What both kinds of connection can do."""

    def send(self, data: bytes) -> None:
        """Send all of it."""

    def receive(self) -> bytes:
        """Some bytes; none at the end."""


def _talk(wire: _Wire, line: bytes, still_wanted: Callable[[], bool]) -> Answer:
    """Send a message, wait for the answer, and commit; `still_wanted` is asked at the last moment."""
    wire.send(line)
    answer = b""
    while not answer.endswith(b"\n"):
        part = wire.receive()
        if not part:
            return Answer.SILENCE
        answer += part
    if answer != READY or not still_wanted():
        return Answer.SILENCE
    wire.send(GO)
    return Answer.TAKEN


class _SocketWire:
    """A Unix socket with a deadline for all of the conversation."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def receive(self) -> bytes:
        return self._connection.recv(len(READY))


def _through_socket(place: str, line: bytes, patience: float) -> Answer:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience)
        try:
            connection.connect(place)
        except (FileNotFoundError, ConnectionRefusedError):
            return Answer.NOBODY
        except OSError:  # as many wait for an answer as the system lets wait
            return Answer.SILENCE
        try:
            return _talk(_SocketWire(connection), line, lambda: True)
        except OSError:
            return Answer.SILENCE


class _PipeWire:
    """A named pipe of Windows; reading from it cannot be given a deadline."""

    def __init__(self, stream: RawIOBase) -> None:
        self._stream = stream

    def send(self, data: bytes) -> None:
        self._stream.write(data)

    def receive(self) -> bytes:
        return bytes(self._stream.read(len(READY)) or b"")


def _through_pipe(place: str, line: bytes, patience: float) -> Answer:
    """Talk on a thread of its own, which is left alone when patience ends."""
    lock = threading.Lock()
    waiting, answers = [True], [Answer.SILENCE]

    def still_wanted() -> bool:
        """Whether to commit; from here on the answer is yes, whatever patience says."""
        with lock:
            if waiting[0]:
                answers[0] = Answer.TAKEN
            return waiting[0]

    def talk() -> None:
        try:
            with open(place, "r+b", buffering=0) as stream:
                _let_come_to_front()
                answer = _talk(_PipeWire(stream), line, still_wanted)
        except FileNotFoundError:
            answer = Answer.NOBODY
        except OSError:
            answer = Answer.SILENCE
        with lock:
            answers[0] = answer

    thread = threading.Thread(target=talk, name="hand over", daemon=True)
    thread.start()
    thread.join(patience)
    with lock:
        waiting[0] = False
        return answers[0]


def _let_come_to_front() -> None:
    """Windows lets a process raise its window only with the leave of the one that the person is using."""
    if sys.platform == "win32":
        import ctypes

        with contextlib.suppress(AttributeError, OSError):
            ctypes.windll.user32.AllowSetForegroundWindow(-1)
