"""Open a model: one file by its first bytes, several by their index or their numbers, a folder of components."""

from __future__ import annotations

import stat
from pathlib import Path

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.containers import CONTAINERS, HEAD_BYTES
from engine.checkpoints.contents import component_folders
from engine.checkpoints.names_of_files import MODEL_INDEX, index_of, shard_name
from engine.checkpoints.pipeline import open_pipeline
from engine.checkpoints.sharded import SHARDED_ENDINGS, index_beside, open_index, open_numbered
from engine.errors import EngineError, ErrorCode


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a model and read its headers.

    Args:
        path: a file; an index or any part of a model in several files, which is opened whole; a folder with a model in
            diffusers' folders, or its ``model_index.json``.

    Raises:
        EngineError: with the file and the reason, when it is not a model that can be read.
    """
    try:
        folder = path.parent if path.name == MODEL_INDEX else path
        if folder.is_dir() and component_folders(folder):
            return open_pipeline(folder, open_checkpoint)
        is_file = path.is_file()
        index = index_beside(path) if is_file else None
    except OSError as error:
        raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error)) from error
    if index is not None:
        return open_index(index, open_file, chosen=path)
    if is_file and index_of(path.name):
        return open_index(path, open_file)
    if is_file and shard_name(path.name) and path.suffix.casefold() in SHARDED_ENDINGS:
        return open_numbered(path, open_file)
    return open_file(path)


def open_file(path: Path) -> Checkpoint:
    """Open one file and read its header, whatever lies beside it.

    Raises:
        EngineError: see `open_checkpoint`.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISFIFO(mode):  # opening one would wait for a writer for ever
            raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason="it is a pipe")
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason="it is a device")
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
    for container in CONTAINERS:  # safetensors first: a length may begin as a pickle does, 80 04 for 1152 bytes
        if container.recognises(path, head):
            return container.open(path)
    return CONTAINERS[0].open(path)  # which says what is wrong with it
