"""Small versioned JSON files that survive crashes, hand editing and newer versions of this program."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from engine.disk import write_json

Model = TypeVar("Model", bound=BaseModel)


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


class JsonStore:
    """One JSON object in a file that carries its own ``version``.

    A broken file is renamed, so that nothing is lost and the next save starts afresh. A file of a newer version, or
    one that cannot be read, is left alone: nothing is written over it.

    Attributes:
        path: the file.
        version: the newest version that this program reads, and the one that it writes.
        problem: what was wrong with the file when it was read, if anything.
    """

    def __init__(self, path: Path, version: int) -> None:
        self.path, self.version = path, version
        self.problem: StoreProblem | None = None

    @property
    def refuses(self) -> bool:
        """Whether the file must not be replaced: a newer program's, or one that cannot be read."""
        return self.problem is not None and self.problem.trouble is not StoreTrouble.CORRUPT

    def read(self) -> dict[str, Any] | None:
        """The object in the file; None where it is missing or cannot be used, with `problem` set."""
        self.problem = None
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError:
            self.problem = StoreProblem(StoreTrouble.UNREADABLE, self.path)
            return None
        except ValueError:  # no UTF-8, or no JSON
            self.reject()
            return None
        if not isinstance(data, dict) or not isinstance(data.get("version"), int):
            self.reject()
            return None
        if data["version"] > self.version:
            self.problem = StoreProblem(StoreTrouble.NEWER, self.path)
            return None
        return data

    def read_as(self, model: type[Model]) -> Model | None:
        """The object as a model; None where it is missing, cannot be used, or has values that are not valid."""
        data = self.read()
        if data is None:
            return None
        try:
            return model.model_validate(data)
        except ValidationError:
            self.reject()
            return None

    def reject(self) -> StoreProblem:
        """Rename the file, whose content is not valid, to the first free ``name.broken-N``; returns the `problem`."""
        number = 1
        while (target := self.path.with_name(f"{self.path.name}.broken-{number}")).exists():
            number += 1
        try:
            self.path.replace(target)
        except OSError:
            self.problem = StoreProblem(StoreTrouble.CORRUPT, self.path)
        else:
            self.problem = StoreProblem(StoreTrouble.CORRUPT, self.path, target)
        return self.problem

    def write(self, data: dict[str, Any]) -> bool:
        """Replace the file in one step, unless it `refuses`; its folder is made where there is none.

        Args:
            data: the object without its ``version``.

        Returns:
            Whether it was written.

        Raises:
            OSError: the folder or the file cannot be written; an older file stands as it was.
        """
        if self.refuses:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, {"version": self.version, **data})
        return True

    def write_model(self, model: BaseModel) -> bool:
        """Write a model as `write` does."""
        return self.write(model.model_dump(mode="json"))
