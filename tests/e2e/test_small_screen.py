"""The first window on small screens, with a window manager's frame around it: nothing lies off the screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from e2e.x_server import missing_programs, run_on_screen

PROGRAM = Path(__file__).with_name("small_screen.py")


@pytest.fixture(autouse=True)
def _needs_a_window_manager() -> None:
    missing = missing_programs("Xvfb", "openbox")
    if missing:
        pytest.skip(missing)


def look(screen: tuple[int, int], home: Path, scale: float = 1.0, put_at: str = "") -> dict[str, Any]:
    """Start the program; with `put_at` the window is put there and closed, for the next start."""
    seen = home / "seen.json"
    run_on_screen(screen, PROGRAM, str(seen), str(scale), *([put_at] if put_at else []), home=home)
    found: dict[str, Any] = json.loads(seen.read_text())
    assert found["frame"] != found["inner"], "the window manager put no frame around the window"
    return found


def inside(inner: list[int], outer: list[int]) -> bool:
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def assert_whole(found: dict[str, Any]) -> None:
    assert inside(found["frame"], found["screen"]), found
    assert inside(found["button"], found["screen"]), found
    assert found["visible"], found


@pytest.mark.parametrize("screen", [(1280, 720), (1366, 768), (1024, 640)])
def test_the_whole_window_is_on_a_small_screen(screen: tuple[int, int], tmp_path: Path) -> None:
    found = look(screen, tmp_path)
    assert_whole(found)
    assert found["squeezed"] == []


@pytest.mark.parametrize(
    ("screen", "scale", "language"), [((1280, 720), 1.5, "de"), ((1024, 640), 1.25, "de"), ((1024, 640), 1.5, "en")]
)
def test_large_text_squeezes_no_control_on_a_small_screen(
    screen: tuple[int, int], scale: float, language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORA_EXTRACTOR_LANGUAGE", language)
    found = look(screen, tmp_path, scale)
    assert_whole(found)
    assert found["squeezed"] == []


def test_a_window_that_was_left_on_a_larger_screen_comes_back_whole(tmp_path: Path) -> None:
    left = look((1500, 1000), tmp_path, put_at="300,120,1180,850")
    assert left["inner"] == [300, 120, 1479, 969]
    session = json.loads((tmp_path / "home" / "config" / "session.json").read_text())
    assert session["geometry"]
    assert_whole(look((1280, 720), tmp_path))
