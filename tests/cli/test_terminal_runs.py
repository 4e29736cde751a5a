"""A run as a terminal sees it: the detailed report, and Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from calls import ROOT, Call
from model_files import PREFIX, matrices, random_tensor, save_model, save_pair


@pytest.fixture
def debug_lines(extract: Call, tmp_path: Path) -> str:
    said = extract(save_pair(tmp_path), "--debug-mode", "--rank", 4)
    assert said.code == 0
    return said.err


@pytest.mark.parametrize(
    "line",
    [
        r"VRAM mode: balanced \(a ceiling of [\d,]+ MiB\)",
        r"Initial memory: \d+\.\d%",
        r"Blocks in GPU: 10",
        r"Batch size: 4",
        r"Prefetch ahead: 2",
        r"Memory threshold: 85\.0%",
        r"Type: standard, rank 4, svd_linalg, fp16",
        r"Processing batch of 4 layers: .*diffusion_model\.blocks\.0\.attn\.weight",
        r"Strategic offload: Kept 0 blocks, offloaded 2 blocks",
        r"The device waited for data \d+\.\d% of the time",
        r"Batch processed in \d+\.\d\ds \(summed over its layers: read \d+\.\d\d, upload \d+\.\d\d, compute \d+\.\d\d,",
        r"Extraction completed in \d+\.\d\d seconds",
        r"Layers: 11 written, 0 left out",
        r"Energy retained: mean [\d.]+%, worst [\d.]+%",
        r"LoRA saved to: .*\.safetensors",
    ],
)
def test_the_detailed_report_has_its_lines(line: str, debug_lines: str) -> None:
    assert re.search(line, debug_lines), debug_lines


def test_without_debug_mode_there_is_no_detailed_report(extract: Call, tmp_path: Path) -> None:
    assert "Processing batch" not in extract(save_pair(tmp_path)).err


def test_there_is_a_line_for_every_batch_of_the_eleven_layers(debug_lines: str) -> None:
    assert debug_lines.count("Batch processed in ") == 3


def test_an_unusual_adaptive_value_is_remarked_on(extract: Call, tmp_path: Path) -> None:
    said = extract(save_pair(tmp_path), "--lora-type", "adaptive_energy", "--adaptive-param", "0.15")
    assert said.code == 0
    assert "0.15 is unusual for adaptive_energy" in said.err


@pytest.fixture(scope="module")
def long_running_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Forty layers that take some tenths of a second each."""
    folder = tmp_path_factory.mktemp("long")
    one = {seed: random_tensor(1024, 1024, seed=seed).to(torch.float8_e4m3fn) for seed in (0, 1)}
    tuned, base = ({f"{PREFIX}layers.{n}.weight": one[seed] for n in range(40)} for seed in (0, 1))
    return save_copies(folder / "tuned.safetensors", tuned), save_copies(folder / "base.safetensors", base)


def save_copies(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    return save_model(path, {name: tensor.clone() for name, tensor in tensors.items()})


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C alone on Windows")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_behind_and_exits_with_130(
    number: signal.Signals, long_running_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    options = ["--output-dir", str(tmp_path / "out"), "--device", "cpu", "--rank", "64", "--json"]
    command = [sys.executable, "-m", "app", "extract", *map(str, long_running_pair), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list((tmp_path).glob("out/**/*.part")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert json.loads(out)["error"]["code"] == "cancelled"
    assert re.fullmatch(
        r"Stopped\. (Nothing was written\.|\d+ of \d+ layers are kept; the same command goes on from there\.)",
        err.splitlines()[-1],
    )
    assert not (tmp_path / "out").exists()


def test_a_run_through_a_process_of_its_own_prints_only_json_on_stdout(tmp_path: Path) -> None:
    base = matrices(2)
    pair = (
        save_model(tmp_path / "tuned.safetensors", {name: tensor + 0.1 for name, tensor in base.items()}),
        save_model(tmp_path / "base.safetensors", base),
    )
    options = ["--output-dir", str(tmp_path / "out"), "--device", "cpu", "--json"]
    command = [sys.executable, "-m", "app", "extract", *map(str, pair), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["layers"]) == (0, 2)
