"""The ``config.json`` beside a model's files: read whole, bounded, and checked to be a table."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from engine.errors import EngineError, ErrorCode

CONFIG_NAME = "config.json"
_MAX_BYTES = 4 << 20


def read_config(folder: Path) -> dict[str, Any]:
    """The table in a folder's ``config.json``; empty where there is no such file.

    Raises:
        EngineError: ``file_unreadable``, or ``header_invalid`` where it is too large or no table; with the file.
    """
    path = folder / CONFIG_NAME
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for a writer
            raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason="it is not a file")
        with path.open("rb") as stream:
            text = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error)) from error
    if len(text) > _MAX_BYTES:
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason=f"it has more than {_MAX_BYTES:,} bytes")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason="it is not valid JSON") from error
    if not isinstance(config, dict):
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason="it is not a table")
    return config
