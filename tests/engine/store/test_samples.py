"""The index of samples: kept by state, bounded, and never an error."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from engine.store.samples import SampleIndex

STATE = [["model.safetensors", 100, 5]]
ARRAYS = {"values": np.arange(1000, dtype=np.float32)}


@pytest.fixture
def index(tmp_path: Path) -> SampleIndex:
    return SampleIndex(tmp_path / "index")


def files(index: SampleIndex) -> list[Path]:
    return sorted(index.folder.glob("*.sample"))


def test_what_was_kept_comes_back(index: SampleIndex) -> None:
    index.save("a", STATE, {"matched": 3}, ARRAYS)
    sample = index.load("a", STATE)
    assert sample is not None
    assert sample.fields["matched"] == 3
    np.testing.assert_array_equal(sample.arrays["values"], ARRAYS["values"])


@pytest.mark.parametrize("state", [[["model.safetensors", 101, 5]], [["model.safetensors", 100, 6]], []])
def test_of_another_size_or_date_nothing_comes_back(index: SampleIndex, state: list[list[object]]) -> None:
    index.save("a", STATE, {}, ARRAYS)
    assert index.load("a", state) is None
    assert index.load("b", STATE) is None


def test_a_newer_sample_takes_the_place_of_the_older(index: SampleIndex) -> None:
    index.save("a", STATE, {"matched": 1}, ARRAYS)
    index.save("a", STATE, {"matched": 2}, ARRAYS)
    sample = index.load("a", STATE)
    assert sample is not None
    assert sample.fields["matched"] == 2
    assert len(list(index.folder.iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign"])
def test_a_damaged_sample_is_set_aside_and_taken_again(index: SampleIndex, damage: str) -> None:
    index.save("a", STATE, {}, ARRAYS)
    (file,) = files(index)
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[-1] ^= 1
    file.write_bytes(b"something else" if damage == "foreign" else content[:-7] if damage == "cut" else content)
    assert index.load("a", STATE) is None
    assert not files(index)
    assert [path.name for path in (index.folder / "set-aside").iterdir()] == [file.name]
    index.save("a", STATE, {}, ARRAYS)
    assert index.load("a", STATE) is not None


def test_one_of_another_version_is_not_used(index: SampleIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr("engine.store.samples.VERSION", 2)
        index.save("a", STATE, {}, ARRAYS)
    assert index.load("a", STATE) is None


def test_those_unused_for_the_longest_time_go_first(index: SampleIndex) -> None:
    for at, key in enumerate("abcd"):
        index.save(key, STATE, {}, ARRAYS)
        os.utime(max(files(index), key=lambda path: path.stat().st_mtime_ns), (1000 + at, 1000 + at))
    assert index.load("a", STATE) is not None  # used now
    index.limit_bytes = index.size_bytes // 2
    freed = index.make_room()
    assert freed > 0
    assert [index.load(key, STATE) is not None for key in "abcd"] == [True, False, False, True]
    assert index.size_bytes <= index.limit_bytes


def test_clearing_removes_all_of_it_and_says_how_much(index: SampleIndex) -> None:
    index.save("a", STATE, {}, ARRAYS)
    size = index.size_bytes
    assert size > 4000
    assert index.clear() == size
    assert index.size_bytes == 0
    assert index.clear() == 0


def test_where_nothing_may_be_kept_nothing_is(tmp_path: Path) -> None:
    index = SampleIndex(tmp_path / "index", 0)
    index.save("a", STATE, {}, ARRAYS)
    assert not index.folder.exists()


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    index = SampleIndex(tmp_path / "file")
    index.save("a", STATE, {}, ARRAYS)
    assert index.load("a", STATE) is None
    assert (index.size_bytes, index.make_room(), index.clear()) == (0, 0, 0)
