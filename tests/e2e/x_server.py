"""A real X server without a screen, and a window manager on it, for as long as a test needs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST = 120


def available() -> bool:
    """Whether Xvfb is installed."""
    return shutil.which("Xvfb") is not None


@contextmanager
def x_server(width: int, height: int) -> Iterator[str]:
    """Start Xvfb with one screen of 24 bits; gives the value for DISPLAY, which the server chose itself."""
    reading, writing = os.pipe()
    command = [
        "Xvfb",
        "-displayfd",
        str(writing),
        "-screen",
        "0",
        f"{width}x{height}x24",
        "-nolisten",
        "tcp",
        "-noreset",
    ]
    server = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        if not number:
            raise RuntimeError(f"Xvfb ended at once, with {server.wait(10)}")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


def missing_programs(*programs: str) -> str:
    """What a test has to be skipped for, in words; empty where all programs are there. In CI they must be."""
    missing = [program for program in programs if shutil.which(program) is None]
    assert not (missing and os.environ.get("CI")), f"missing: {missing}"
    return f"not installed, on Debian and Ubuntu see apt: {' '.join(missing)}" if missing else ""


def run_on_screen(size: tuple[int, int], program: Path, *arguments: str, home: Path) -> None:
    """Run a Python program of the tests on a screen of its own that openbox manages.

    Args:
        size: of the screen, in pixels.
        program: the script.
        arguments: of the script.
        home: the personal folder, which the program's own folders are made in.
    """
    with x_server(*size) as display:
        environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "HOME": str(home)}
        environment |= {"LORA_EXTRACTOR_HOME": str(home / "home"), "PYTHONPATH": str(ROOT)}
        environment.pop("WAYLAND_DISPLAY", None)
        manager = subprocess.Popen(["openbox"], env=environment, stderr=subprocess.DEVNULL)
        try:
            command = [sys.executable, str(program), *arguments]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST)
        finally:
            manager.terminate()
            manager.wait(10)
    assert done.returncode == 0, done.stderr
