"""Whatever is broken in a file, it gives a model or a plain error; ``python -m tests.fuzzing`` tries more of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing.targets import TARGETS, Target
from fuzzing.watching import run, watching


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.title)
def test_a_broken_file_gives_a_model_or_a_plain_error_and_nothing_else(target: Target, often: int) -> None:
    ends, faults = run(target, 10 * often, seed=0)
    assert faults == []
    assert len(ends) > 2, "the cases are of different kinds"


def test_a_file_that_is_read_outside_the_model_s_folder_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "secret").write_text("")
    with watching(tmp_path / "model") as watch:
        (tmp_path / "secret").read_text()
        (tmp_path / "model" / "x").write_text("")
    assert watch.faults == [f"open {tmp_path / 'secret'}"]
