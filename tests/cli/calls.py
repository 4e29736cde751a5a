"""What one call of the command line answered, and what every refusal looks like."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ERROR_KEYS = ["code", "message", "remedy", "file", "tensor"]


@dataclass(frozen=True)
class Said:
    """What one call answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        answer = json.loads(self.out)
        assert isinstance(answer, dict)
        return answer


Call = Callable[..., Said]


def assert_refused(said: Said, code: str, *, names: Path | str) -> None:
    """One error in plain words that names the file, last on stderr, and the same in JSON where it was asked for."""
    assert said.code == 1
    *_, last = said.err.splitlines()
    assert last.startswith("Error: ")
    assert said.err.count("Error:") == 1
    assert "Traceback" not in said.err
    assert str(names) in last
    assert 1 <= len(re.findall(r"[.!?](?= [A-Z]|$)", last.removeprefix("Error: "))) <= 3
    assert list(said.json) == ["error"]
    assert list(said.json["error"]) == ERROR_KEYS
    assert said.json["error"]["code"] == code
    assert said.json["error"]["message"] in last
