"""Writing so that a power cut finds the old state or the new one, with the system's errors as the engine's."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.errors import EngineError, ErrorCode


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn the system's errors into the engine's, naming the given folder or file.

    Raises:
        EngineError: ``disk_full`` or ``output_unwritable``.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", None))
        code = ErrorCode.DISK_FULL if full else ErrorCode.OUTPUT_UNWRITABLE
        raise EngineError(code, file=folder, reason=error.strerror or str(error)) from error


def write_all(write: Callable[[memoryview], int | None], data: memoryview) -> None:
    """Write all of it: one call to the system takes at most 2 GiB, and any call may take less than it was given."""
    while len(data):
        data = data[write(data[: 1 << 30]) or 0 :]


def sync_data(handle: int) -> None:
    """Have a file's bytes and length on the disk before this returns."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(handle)
    else:
        os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Make names that were given or taken in a folder durable, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def free_bytes(folder: Path) -> int | None:
    """Room on the disk of a folder that may not exist yet; None where the system does not tell."""
    try:
        usage = shutil.disk_usage(_existing(folder))
    except OSError:
        return None
    return usage.free if usage.total else None  # some file systems do not tell their size


def same_disk(one: Path, other: Path) -> bool:
    """Whether two folders, which may not exist yet, are on one disk."""
    try:
        return _existing(one).stat().st_dev == _existing(other).stat().st_dev
    except OSError:
        return True


def _existing(folder: Path) -> Path:
    at = folder
    while not at.exists() and at != at.parent:
        at = at.parent
    return at


def write_text(path: Path, text: str, *, newline: str | None = None, errors: str = "strict") -> None:
    """Replace a text file in one step, in UTF-8; its folder exists.

    Args:
        path: the file.
        text: all of it.
        newline: as for `open`; ``""`` writes line ends as they are in the text.
        errors: as for `open`; what to do with characters that UTF-8 cannot encode.

    Raises:
        OSError: it cannot be written; an older one stands as it was.
        UnicodeEncodeError: the text holds such a character, and `errors` is ``"strict"``; likewise.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        write_synced(part, text, newline=newline, errors=errors)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_readable(path: Path, text: str) -> None:
    """Replace a text file for people: the last line is ended, and what UTF-8 cannot encode is escaped.

    Raises:
        OSError: it cannot be written; an older one stands as it was.
    """
    write_text(path, text if text.endswith("\n") or not text else f"{text}\n", errors="backslashreplace")


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace a small JSON file in one step; its folder exists.

    Raises:
        OSError: it cannot be written; an older one stands as it was.
        UnicodeEncodeError: a text in it cannot be encoded in UTF-8; likewise.
    """
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False))


def write_synced(path: Path, text: str, *, newline: str | None = None, errors: str = "strict") -> None:
    """Write a file, not in one step, and have it on the disk before this returns."""
    with path.open("w", encoding="utf-8", newline=newline, errors=errors) as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
