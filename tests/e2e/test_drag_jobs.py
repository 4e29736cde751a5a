"""A real mouse drags a job of the queue to another place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e.x_server import missing_programs, run_on_screen

PROGRAM = Path(__file__).with_name("drag_jobs.py")


def test_a_job_is_dragged_to_another_place_with_the_mouse(tmp_path: Path) -> None:
    missing = missing_programs("Xvfb", "openbox", "xdotool")
    if missing:
        pytest.skip(missing)
    seen = tmp_path / "order.json"
    run_on_screen((1280, 800), PROGRAM, str(seen), home=tmp_path)
    assert json.loads(seen.read_text()) == ["b", "c", "a", "d"]
