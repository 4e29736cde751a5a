"""Makes the guide's pictures: the whole use of the program that the tests check too, on a real X server.

Run from the project's root: ``python docs/screenshots.py``. It needs Xvfb and no screen, and touches no personal files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from e2e.x_server import x_server  # noqa: E402

TARGET = ROOT / "docs" / "guide"
HOME = Path("/tmp/you")  # is seen in some of the pictures
SCREEN = (1280, 800)
COLOURS = 255
SHOWN = (
    "explore first-start layers log queue queue-done ready result running settings several stopped verified".split()  # noqa: SIM905
)
SHARP = ("result", "running")  # also at 200 %


def take(scale: int) -> Path:
    """Use the program once; returns the folder of the pictures."""
    shutil.rmtree(HOME, ignore_errors=True)
    with x_server(SCREEN[0] * scale, SCREEN[1] * scale) as display:
        environment = {
            **os.environ,
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "QT_SCALE_FACTOR": str(scale),
            "LORA_EXTRACTOR_LANGUAGE": "en",
            "HOME": str(HOME),
        }
        program = ROOT / "tests" / "e2e" / "whole_use.py"
        subprocess.run([sys.executable, str(program), str(HOME)], env=environment, check=True)
    return HOME / "pictures"


def keep(picture: Path, name: str) -> None:
    """Save a picture with few colours: half the size, and nobody sees the difference."""
    few = Image.open(picture).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(TARGET / f"{name}.png", optimize=True)


def main() -> None:
    """Take all pictures at both scales."""
    for scale, names, suffix in ((1, SHOWN, ""), (2, SHARP, "-200")):
        pictures = take(scale)
        for name in names:
            for theme in ("light", "dark"):
                keep(pictures / f"{name}-{theme}.png", f"{name}-{theme}{suffix}")
    shutil.rmtree(HOME, ignore_errors=True)


if __name__ == "__main__":
    main()
