"""Writes a text that a person saves: the whole of it or nothing, with the old file safe until then."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step, in UTF-8, with a line break at its end.

    Raises:
        OSError: it cannot be written; an older one stands as it was.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with part.open("x", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text if text.endswith("\n") or not text else f"{text}\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
