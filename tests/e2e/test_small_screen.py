"""The first window on small screens, with a window manager's frame around it: nothing lies off the screen."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.x_server import available, x_server

PROGRAM = Path(__file__).with_name("small_screen.py")
ROOT = Path(__file__).parents[2]


def inside(inner: list[int], outer: list[int]) -> bool:
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


@pytest.mark.parametrize("screen", [(1280, 720), (1366, 768), (1024, 680)])
def test_the_whole_extract_button_is_on_a_small_screen(screen: tuple[int, int], tmp_path: Path) -> None:
    if not (available() and shutil.which("openbox")):
        assert not os.environ.get("CI"), "Xvfb or openbox is missing"
        pytest.skip("Xvfb or openbox is not installed: on Debian and Ubuntu, apt install xvfb openbox")
    seen_file, picture = tmp_path / "seen.json", tmp_path / "screen.png"
    with x_server(*screen) as display:
        environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "HOME": str(tmp_path)}
        environment |= {"LORA_EXTRACTOR_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        environment.pop("WAYLAND_DISPLAY", None)
        manager = subprocess.Popen(["openbox"], env=environment, stderr=subprocess.DEVNULL)
        try:
            command = [sys.executable, str(PROGRAM), str(seen_file), str(picture)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        finally:
            manager.terminate()
            manager.wait(10)
    assert done.returncode == 0, done.stderr
    seen = json.loads(seen_file.read_text())
    assert seen["frame"] != seen["inner"], "the window manager put no frame around the window"
    assert inside(seen["frame"], seen["screen"]), seen
    assert inside(seen["button"], seen["screen"]), seen
    assert seen["visible"], seen
