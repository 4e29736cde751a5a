"""Tell containers apart by their first bytes, and word what cannot be opened."""

from __future__ import annotations

import stat
from pathlib import Path

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.containers import CONTAINERS, HEAD_BYTES
from engine.errors import EngineError, ErrorCode

_FOREIGN_MAGIC = (
    (b"PK\x03\x04", "PyTorch pickle"),
    (b"\x80\x02", "PyTorch pickle"),
    (b"\x80\x04", "PyTorch pickle"),
)


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a model file and read its header.

    Raises:
        EngineError: with the file and the reason, when it is not a model that can be read.
    """
    try:
        if stat.S_ISFIFO(path.stat().st_mode):  # opening one would wait for a writer for ever
            raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason="it is a pipe")
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except FileNotFoundError:
        raise EngineError(ErrorCode.FILE_MISSING, file=path) from None
    except OSError as error:
        if path.is_dir():
            raise EngineError(ErrorCode.IS_DIRECTORY, file=path) from None
        raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error)) from error
    if not head:
        raise EngineError(ErrorCode.FILE_EMPTY, file=path)
    for container in CONTAINERS:  # before foreign magic: a length may begin with it, such as 80 04 for 1152 bytes
        if container.recognises(path, head):
            return container.open(path)
    for start, title in _FOREIGN_MAGIC:
        if head.startswith(start):
            raise EngineError(ErrorCode.UNSUPPORTED_CONTAINER, file=path, container=title)
    return CONTAINERS[0].open(path)  # which says what is wrong with it
