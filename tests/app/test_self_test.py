"""The self-test fails with words where something is wrong; that it passes is tested where the network is watched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("breakage", "words"),
    [
        ("s.LEAST_ENERGY = 2", "of the change instead of at least 2"),
        (
            "import app.demo.pair as d; d.FINETUNED = d.DEMO_DIR / 'gone.safetensors'; s.SECONDS = 3.0",
            "was not planned",
        ),
        ("import app.look.icons as i; i.ICONS = i.ICONS / 'gone'", "gone"),
        ("import app.support.licences as l; l.licence_text = lambda: 'nothing'", "the licences do not name torch"),
    ],
)
def test_what_is_broken_is_named(breakage: str, words: str) -> None:
    code = f"import sys, app.self_test as s; {breakage}; sys.exit(s.self_test())"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.startswith("Self-test failed: ")
    assert words in run.stderr
    assert "passed" not in run.stdout
