"""Ctrl-C within a layer that takes minutes: the command ends soon, keeps what was done, and the next one goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from model_files import PREFIX, random_tensor, save_model

ROOT = Path(__file__).resolve().parents[2]
SLOW = Path(__file__).with_name("slow_command.py")
HANG = 90.0  # seconds; the slow layer would take nine minutes


def started(seconds: float, pair: tuple[Path, Path], folder: Path) -> subprocess.Popen[str]:
    options = ["--output-dir", str(folder), "--device", "cpu", "--rank", "8", "--memory-budget", "48MiB"]
    command = [sys.executable, str(SLOW), str(seconds), "extract", *map(str, pair), *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder.parent
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C alone on Windows")
def test_ctrl_c_within_a_long_layer_ends_it_and_a_later_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = {"layers.0.weight": (64, 64), "layers.1.weight": (96, 64), "layers.2.weight": (60_000, 200)}
    base = {PREFIX + name: random_tensor(*shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}
    tuned = {name: tensor + 0.1 * random_tensor(*tensor.shape, seed=9) for name, tensor in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)

    process = started(2.0, pair, tmp_path / "out")
    assert process.stdout is not None
    assert process.stdout.readline() == "in pieces\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG)
    assert process.returncode == 130, err
    assert "do not fit into the memory whole" in err, err
    kept = re.search(r"(2) of 3 layers are kept", err)
    assert kept is not None, err
    assert not list((tmp_path / "out").glob("**/*"))

    results = []
    for folder, home in (("out", None), ("anew", tmp_path / "home")):
        if home is not None:
            monkeypatch.setenv("LORA_EXTRACTOR_HOME", str(home))  # another cache
        later = started(0.0, pair, tmp_path / folder)
        _, err = later.communicate(timeout=HANG)
        assert later.returncode == 0, err
        (lora,) = (tmp_path / folder).rglob("*.safetensors")
        data = lora.read_bytes()
        results.append((data[8 + int.from_bytes(data[:8], "little") :], err))
    assert results[0][0] == results[1][0]
    assert f"{kept[1]} of 3 layers come from the run" in results[0][1]
    assert "come from the run" not in results[1][1]
