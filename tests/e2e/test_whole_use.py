"""The whole program on a real X server, used as a person uses it; the guide's pictures are taken by this run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from e2e.x_server import available, x_server
from safetensors import safe_open

PROGRAM = Path(__file__).with_name("whole_use.py")
SIZE = (1280, 800)
SCREEN = (1320, 860)  # with room for the frame that a window manager would put around the window
PICTURES = (
    "first-start", "ready", "running", "stopped", "result", "layers", "explore", "verified", "queue", "several", "log"
)  # fmt: skip
LONGEST = 240


@dataclass(frozen=True)
class Use:
    """What one use of the program left behind."""

    folder: Path
    seen: dict[str, Any]

    def lora(self, name: str) -> Path:
        return self.folder / "LoRA Extractor" / "output" / "loras" / name

    def picture_size(self, name: str) -> tuple[int, int]:
        data = (self.folder / "pictures" / f"{name}.png").read_bytes()
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def use_program(folder: Path, scale: int) -> Use:
    """Use the program from the first start to the last click, on a screen of its own."""
    with x_server(SCREEN[0] * scale, SCREEN[1] * scale) as display:
        environment = {
            **os.environ,
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "QT_SCALE_FACTOR": str(scale),
            "LORA_EXTRACTOR_LANGUAGE": "en",
            "HOME": str(folder),
        }
        environment.pop("WAYLAND_DISPLAY", None)
        done = subprocess.run(
            [sys.executable, str(PROGRAM), str(folder)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    wanted = os.environ.get("LORA_EXTRACTOR_PICTURES")
    if wanted:
        shutil.copytree(folder / "pictures", Path(wanted) / f"{scale}x", dirs_exist_ok=True)
    return Use(folder, json.loads((folder / "seen.json").read_text()))


@pytest.fixture(scope="module", params=[1, 2], ids=["at 100 %", "at 200 %"])
def use(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Use:
    if not available():
        assert not os.environ.get("CI"), "Xvfb is missing"
        pytest.skip("Xvfb is not installed: on Debian and Ubuntu, apt install xvfb")
    return use_program(tmp_path_factory.mktemp("use"), request.param)


def ranks_in(lora: Path) -> set[int]:
    with safe_open(lora, "np") as file:
        return {file.get_slice(key).get_shape()[0] for key in file.keys() if key.endswith("lora_down.weight")}  # noqa: SIM118


def test_a_stopped_run_keeps_its_layers_and_goes_on_behind_them(use: Use) -> None:
    assert use.seen["written_when_stopped"] == []
    assert 0 < use.seen["stopped_after"] < use.seen["layers"]
    assert len(use.seen["first"]) == 1
    assert "came from earlier runs" in use.seen["kept"]


def test_another_rank_is_written_as_large_as_promised(use: Use) -> None:
    name = use.seen["second"][1]
    assert max(ranks_in(use.lora(use.seen["first"][0]))) == 32
    assert max(ranks_in(use.lora(name))) == 16
    assert 0 <= use.seen["promised_bytes"] - use.lora(name).stat().st_size <= 8


def test_the_written_file_is_verified(use: Use) -> None:
    assert "verified" in use.seen["verified"]


def test_the_queue_writes_its_two_files(use: Use) -> None:
    names = use.seen["queue"]
    assert [max(ranks_in(use.lora(name))) for name in names[2:]] == [4, 8]


def test_several_layers_are_compared(use: Use) -> None:
    assert use.seen["chosen"] == 3


def test_nothing_went_wrong_on_the_way(use: Use) -> None:
    assert "  error  " not in use.seen["log"]
    session = json.loads((use.folder / "LoRA Extractor" / "config" / "session.json").read_text())
    assert session["finetuned"].endswith("finetuned.safetensors")


def test_pictures_were_taken_in_both_themes_and_in_the_screen_s_resolution(use: Use) -> None:
    for name in PICTURES:
        sizes = {use.picture_size(f"{name}-{theme}") for theme in ("light", "dark")}
        assert sizes in ({SIZE}, {(2 * SIZE[0], 2 * SIZE[1])}), name


def test_one_run_writes_several_ranks_and_shows_each(use: Use) -> None:
    assert sorted(max(ranks_in(use.lora(name))) for name in use.seen["several"]) == [2, 8, 16]
    assert use.seen["shown"].startswith("rank 8 \u00b7 ComfyUI: ")
