"""``lora-extractor cache``: what it shows, removes and limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from calls import Call

from app.storage.paths import cache_dir
from engine.store import DecompositionStore, Record, read_limit


@pytest.fixture
def folder() -> Path:
    return cache_dir() / "decompositions"


def keep(folder: Path, digit: str, *, finished: bool = True) -> None:
    pair = DecompositionStore(folder).open(digit * 64, (f"tuned-{digit}.safetensors", "base.safetensors"))
    writer = pair.begin({})
    for name in ("a", "b"):
        writer.append(Record(name, {}, {"u": np.zeros((50, 100), np.float64)}))
    pair.finish(finished)


def test_showing_an_empty_cache_makes_no_folder(call: Call, folder: Path) -> None:
    answer = call("cache", "show", "--json").json
    assert answer == {"folder": str(folder), "size_bytes": 0, "limit_bytes": 10_000_000_000, "pairs": []}
    assert not folder.exists()


def test_show_answers_with_the_documented_json(call: Call, folder: Path) -> None:
    keep(folder, "1")
    keep(folder, "2", finished=False)
    answer = call("cache", "show", "--json").json
    assert [pair["finetuned"] for pair in answer["pairs"]] == ["tuned-2.safetensors", "tuned-1.safetensors"]
    assert list(answer["pairs"][0]) == [
        "finetuned", "original", "fingerprint", "layers", "size_bytes", "last_used", "unfinished", "in_use",
    ]  # fmt: skip
    assert [(pair["layers"], pair["unfinished"], pair["in_use"]) for pair in answer["pairs"]] == [
        (2, True, False),
        (2, False, False),
    ]
    assert answer["size_bytes"] == sum(pair["size_bytes"] for pair in answer["pairs"])


def test_show_tells_a_person_on_stdout_and_with_json_on_stderr(call: Call, folder: Path) -> None:
    keep(folder, "1", finished=False)
    said = call("cache", "show")
    assert "tuned-1.safetensors from base.safetensors: 2 layers · 81 kB" in said.out
    assert "unfinished" in said.out
    assert "of at most 10.0 GB" in said.out
    assert (said.code, said.err) == (0, "")
    assert "2 layers" in call("cache", "show", "--json").err


def test_clear_removes_everything_and_says_how_much(call: Call, folder: Path) -> None:
    keep(folder, "1")
    size = DecompositionStore(folder).size_bytes
    said = call("cache", "clear", "--json")
    assert said.json == {"freed_bytes": size, "size_bytes": 0}
    assert "Removed 81 kB; nothing is left." in said.err


def test_clear_says_what_stays_because_it_is_in_use(call: Call, folder: Path) -> None:
    pair = DecompositionStore(folder).open("3" * 64, ("tuned", "base"))
    writer = pair.begin({})
    said = call("cache", "clear", "--json")
    assert writer.path.exists()
    assert said.json["size_bytes"] > 0
    assert "in use" in said.err
    assert "being worked on" in call("cache", "show").out
    pair.finish(False)


@pytest.mark.parametrize(
    ("text", "count"), [("20GB", 20 * 10**9), ("20GiB", 20 * 2**30), ("1.5 gb", 1_500_000_000), ("0", 0)]
)
def test_a_limit_is_remembered_in_bytes(text: str, count: int, call: Call, folder: Path) -> None:
    assert call("cache", "limit", text, "--json").json == {"limit_bytes": count, "freed_bytes": 0, "size_bytes": 0}
    assert read_limit(folder) == count
    assert call("cache", "show", "--json").json["limit_bytes"] == count


def test_a_lower_limit_takes_effect_at_once(call: Call, folder: Path) -> None:
    keep(folder, "1")
    keep(folder, "2")
    answer = call("cache", "limit", "100kB", "--json").json
    assert answer["freed_bytes"] > 0
    assert [pair["finetuned"] for pair in call("cache", "show", "--json").json["pairs"]] == ["tuned-2.safetensors"]


@pytest.mark.parametrize("text", ["much", "", "-5", "5 parsecs"])
def test_what_is_no_size_is_wrong_usage_and_changes_nothing(text: str, call: Call, folder: Path) -> None:
    said = call("cache", "limit", "--json", "--", text)
    assert (said.code, said.json["error"]["code"]) == (2, "settings_invalid")
    assert "20GB" in said.err
    assert not folder.exists()


@pytest.mark.parametrize("arguments", [["cache"], ["cache", "limit"], ["cache", "show", "more"]])
def test_an_incomplete_command_is_wrong_usage(arguments: list[str], call: Call) -> None:
    assert call(*arguments).code == 2
