"""Where the LoRA cannot be written, nothing that is there is touched and nothing half written remains."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from calls import ROOT, Call, Said, assert_refused
from model_files import PREFIX, random_tensor, save_model, save_pair


def everything_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def into(call: Call, pair: tuple[Path, Path], folder: Path, prefix: str = "lora") -> Said:
    options = ("--filename-prefix", prefix, "--device", "cpu", "--json")
    return call("extract", *pair, "--output-dir", folder, *options)


@pytest.mark.parametrize("prefix", ["../out", "a/../../b", "/tmp/x", "C:/x", "C:\\x", "\\\\server\\x", "a/", "x" * 300])
def test_a_prefix_that_leads_elsewhere_is_refused(prefix: str, call: Call, tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    before = everything_below(tmp_path)
    assert_refused(into(call, pair, tmp_path / "out", prefix), "output_escapes", names=prefix)
    assert everything_below(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_an_output_folder_that_is_a_file_is_refused_and_the_file_stays(below: str, call: Call, tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    before = everything_below(tmp_path)
    assert_refused(into(call, pair, tmp_path / "notes.txt" / below), "output_unwritable", names=tmp_path / "notes.txt")
    assert everything_below(tmp_path) == before


@pytest.mark.parametrize("side", [0, 1])
def test_an_output_folder_that_is_one_of_the_models_is_refused(side: int, call: Call, tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    before = everything_below(tmp_path)
    assert_refused(into(call, pair, pair[side]), "output_is_input", names=pair[side])
    assert everything_below(tmp_path) == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that even root cannot write to")
def test_an_output_folder_that_cannot_be_written_to_is_refused(call: Call, tmp_path: Path) -> None:
    assert_refused(into(call, save_pair(tmp_path), Path("/proc/lora")), "output_unwritable", names="/proc/lora")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that even root cannot write to")
def test_an_existing_output_folder_that_takes_no_files_is_refused(call: Call, tmp_path: Path) -> None:
    assert_refused(into(call, save_pair(tmp_path), Path("/proc")), "output_unwritable", names="/proc")


def test_an_output_folder_that_may_not_be_looked_into_is_refused(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for anyone but root where the folder lacks the right to enter it."""
    pair, real = save_pair(tmp_path), os.stat

    def stat(path: Any, *arguments: Any, **named: Any) -> os.stat_result:
        if "closed" in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "stat", stat)
    said = into(call, pair, tmp_path / "closed")
    monkeypatch.undo()
    assert_refused(said, "output_unwritable", names=tmp_path / "closed")


@pytest.mark.parametrize("side", [0, 1])
def test_a_model_that_has_the_name_of_the_output_stays_untouched(side: int, call: Call, tmp_path: Path) -> None:
    pair = list(save_pair(tmp_path))
    taken = tmp_path / "lora_rank_8_fp16_balanced_b10_bs4_00001_.safetensors"
    pair[side] = pair[side].rename(taken)
    before = taken.read_bytes()
    said = into(call, (pair[0], pair[1]), tmp_path)
    assert said.code == 0
    assert said.json["output"].endswith("_00002_.safetensors")
    assert taken.read_bytes() == before


def test_a_folder_that_has_the_name_of_the_output_is_stepped_over(call: Call, tmp_path: Path) -> None:
    (tmp_path / "lora_rank_8_fp16_balanced_b10_bs4_00001_.safetensors").mkdir()
    assert into(call, save_pair(tmp_path), tmp_path).json["output"].endswith("_00002_.safetensors")


@pytest.mark.skipif(sys.platform == "win32", reason="limits on file sizes are POSIX")
@pytest.mark.parametrize("limit", [1000, 20_000, 62_000], ids=["at the start", "in the middle", "near the end"])
def test_a_full_disk_leaves_no_file_and_no_folder(limit: int, tmp_path: Path) -> None:
    base = {f"{PREFIX}{index}.weight": random_tensor(64, 64, seed=index) for index in range(3)}
    tuned = {name: tensor + 0.1 * random_tensor(64, 64, seed=9) for name, tensor in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    program = (
        "import resource, sys; from app.cli.main import main; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); sys.exit(main(sys.argv[1:]))"
    )
    options = ["--output-dir", str(tmp_path / "out"), "--device", "cpu", "--rank", "64", "--json"]
    command = [sys.executable, "-c", program, "extract", *map(str, pair), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert_refused(Said(done.returncode, done.stdout, done.stderr), "disk_full", names=tmp_path / "out")
    assert not (tmp_path / "out").exists()
