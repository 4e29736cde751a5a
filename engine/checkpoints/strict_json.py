"""JSON of files that may lie: no name twice in a table, no texts that cannot be written down again."""

from __future__ import annotations

import json
from typing import Any


class RepeatedNameError(ValueError):
    """A table has two values for a name."""

    def __init__(self, name: str) -> None:
        super().__init__("a name stands there twice")
        self.name = name


def parse_json(text: bytes) -> Any:
    """The value of a JSON text in UTF-8.

    Raises:
        RepeatedNameError: a name stands twice in a table.
        ValueError: it is not JSON, is nested too deeply, or has half of a surrogate pair in a text.
    """
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_table)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for name, value in pairs:
        name.encode("utf-8")
        if isinstance(value, str):
            value.encode("utf-8")
    entries = dict(pairs)
    if len(entries) != len(pairs):
        seen: set[str] = set()
        raise RepeatedNameError(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
    return entries
