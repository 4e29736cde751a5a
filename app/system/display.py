"""Whether a window can be shown at all."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

_SECONDS = 1.0


def has_screen() -> bool:
    """True where Qt will find a screen to draw on; a platform that draws into memory does not count."""
    platform: str = sys.platform  # as a plain text, or a type checker believes in one platform only
    if os.environ.get("QT_QPA_PLATFORM") in ("offscreen", "minimal"):
        return False
    if platform.startswith("linux"):
        return _wayland_answers(os.environ.get("WAYLAND_DISPLAY", "")) or _x_answers(os.environ.get("DISPLAY", ""))
    return True


def _wayland_answers(name: str) -> bool:
    return bool(name) and _connects(str(Path(os.environ.get("XDG_RUNTIME_DIR", "/"), name)))


def _x_answers(display: str) -> bool:
    """Whether an X server listens; one on another machine is believed."""
    local = re.fullmatch(r"(?:unix)?:(\d+)(?:\.\d+)?", display)
    if local is None:
        return bool(display)
    path = f"/tmp/.X11-unix/X{local[1]}"
    return _connects(path) or _connects("\0" + path)


def _connects(address: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_SECONDS)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True
