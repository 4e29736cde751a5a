"""Large pages are asked for before torch makes its first tensor, whichever way the work is begun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SWITCH = "THP_MEM_ALLOC_ENABLE"


@pytest.mark.parametrize("module", ["engine.decompose.delta", "engine.checkpoints.tensors", "app.work.calibration"])
@pytest.mark.parametrize("chosen", [None, "0"])
def test_importing_what_makes_tensors_asks_for_large_pages(module: str, chosen: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != SWITCH}
    if chosen is not None:
        environment[SWITCH] = chosen
    script = f"import {module}, os; print(os.environ.get({SWITCH!r}))"
    said = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == (chosen or "1"), "what the environment decides stays"
