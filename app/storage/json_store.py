"""Small versioned JSON files that survive crashes, hand editing and newer versions of this program."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from engine.disk import write_json


class StoreTrouble(str, Enum):
    """Why a file could not be used."""

    CORRUPT = "corrupt"
    NEWER = "newer"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class StoreProblem:
    """What was wrong with a file, and where the broken one is now."""

    trouble: StoreTrouble
    file: Path
    set_aside: Path | None = None


@dataclass(frozen=True)
class StoreContent:
    """What a file held; `data` is None where it is missing or could not be used."""

    data: dict[str, Any] | None
    problem: StoreProblem | None = None


def read_versioned(path: Path, version: int) -> StoreContent:
    """Read a JSON object that carries its own ``version``.

    A broken file is renamed, so that nothing is lost and the next save starts afresh. A file of a newer
    version is left alone: the caller must not write over it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return StoreContent(None)
    except UnicodeDecodeError:
        return StoreContent(None, set_aside(path))
    except OSError:
        return StoreContent(None, StoreProblem(StoreTrouble.UNREADABLE, path))
    try:
        data = json.loads(text)
    except ValueError:
        return StoreContent(None, set_aside(path))
    if not isinstance(data, dict) or not isinstance(data.get("version"), int):
        return StoreContent(None, set_aside(path))
    if data["version"] > version:
        return StoreContent(None, StoreProblem(StoreTrouble.NEWER, path))
    return StoreContent(data)


def set_aside(path: Path) -> StoreProblem:
    """Rename a broken file to the first free ``name.broken-N`` beside it."""
    number = 1
    while (target := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    try:
        path.replace(target)
    except OSError:
        return StoreProblem(StoreTrouble.CORRUPT, path)
    return StoreProblem(StoreTrouble.CORRUPT, path, target)


def write_atomically(path: Path, data: dict[str, Any]) -> None:
    """Write a JSON object so that a reader sees the old file or the new one, never a half.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, data)
