"""Whatever is broken in a file, it gives a model or a plain error; ``python -m tests.fuzzing`` tries more of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from fuzzing import watching as fuzzing_watching
from fuzzing.targets import TARGETS, Target
from fuzzing.watching import Outcome, open_watched, run, watching

each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.title)


@each_target
def test_a_broken_file_gives_a_model_or_a_plain_error_and_nothing_else(target: Target, often: int) -> None:
    ends, faults = run(target, 7 * often, seed=0)
    assert faults == []
    assert len(ends) > 2, "the cases are of different kinds"
    assert ends["opened"] > 0, "a damage may also be harmless"


@each_target
def test_what_is_damaged_was_a_valid_model(target: Target, tmp_path: Path) -> None:
    paths = target.valid(tmp_path)
    assert paths
    assert [open_watched(path, tmp_path) for path in paths] == [Outcome("opened", ())] * len(paths)


@each_target
def test_a_case_is_the_same_each_time(target: Target, tmp_path: Path) -> None:
    def written(name: str) -> dict[Path, bytes]:
        folder = tmp_path / name
        folder.mkdir()
        target.write(folder, random.Random("5"))
        return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    assert written("first") == written("second")


def test_a_file_that_is_read_outside_the_model_s_folder_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "secret").write_text("")
    with watching(tmp_path / "model") as watch:
        (tmp_path / "secret").read_text()
        (tmp_path / "model" / "x").write_text("")
    assert watch.faults == [f"open {tmp_path / 'secret'}"]


def test_memory_that_is_given_back_before_the_end_is_noticed(tmp_path: Path) -> None:
    with watching(tmp_path) as watch:
        bytes(20 << 20)
    assert watch.faults == ["Python held 20 MiB"]


def test_numbers_of_another_shape_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing_watching, "read_view", lambda model, view: torch.zeros(7, 7))
    faults = open_watched(TARGETS[0].valid(tmp_path)[0], tmp_path).faults
    assert "a.weight: (7, 7) instead of (4, 3)" in faults
    assert "a.weight: (7, 7) instead of (2, 3)" in faults


def test_more_numbers_than_can_be_stored_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing_watching, "MOST_VALUES", 0.2)
    assert "a.weight: 12 numbers of 48 bytes" in open_watched(TARGETS[0].valid(tmp_path)[0], tmp_path).faults
