"""A person with an NVIDIA card and a torch that cannot use it is told so; nobody else is."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from app.system import idle_gpu

CARD = "GPU 0: NVIDIA GeForce RTX 3060 (UUID: GPU-1b2c)\nGPU 1: NVIDIA RTX A2000 (UUID: GPU-3d4e)\n"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a stand-in for nvidia-smi is a shell script")


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, prints: str, code: int = 0) -> None:
    """Put an nvidia-smi in the way that prints something."""
    folder.mkdir(exist_ok=True)
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n[ \"$1\" = -L ] || exit 9\ncat <<'END'\n{prints}END\nexit {code}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_the_first_card_is_named_as_the_driver_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, CARD)
    assert idle_gpu.nvidia_card() == "NVIDIA GeForce RTX 3060"


@pytest.mark.parametrize(("prints", "code"), [("", 0), ("No devices found\n", 0), (CARD, 9)])
def test_a_driver_without_a_card_is_no_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str, code: int
) -> None:
    stand_in(tmp_path, monkeypatch, prints, code)
    assert idle_gpu.nvidia_card() is None


def test_without_a_driver_there_is_no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    assert idle_gpu.nvidia_card() is None


def test_an_idle_card_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, CARD)
    monkeypatch.setattr(idle_gpu, "torch_for_processors", lambda: True)
    assert idle_gpu.advice_text(idle_gpu.idle_card()).startswith("The NVIDIA GeForce RTX 3060 is idle: the installed")


def test_the_bundle_names_the_other_edition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, CARD)
    monkeypatch.setattr(idle_gpu, "torch_for_processors", lambda: True)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "The edition for NVIDIA cards uses it." in idle_gpu.advice_text(idle_gpu.idle_card())


def test_a_torch_that_can_use_the_card_needs_no_advice_and_no_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> str:
        raise AssertionError("the driver was asked for nothing")

    monkeypatch.setattr(idle_gpu, "torch_for_processors", lambda: False)
    monkeypatch.setattr(idle_gpu, "nvidia_card", asked)
    assert idle_gpu.idle_card() == ""


@pytest.mark.parametrize(("cuda", "hip", "expected"), [(None, None, True), ("12.6", None, False), (None, "6.4", False)])
def test_the_kind_of_torch_is_read_from_torch(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, hip: str | None, expected: bool
) -> None:
    import torch

    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.xpu, "_is_compiled", lambda: False)
    assert idle_gpu.torch_for_processors() is expected
