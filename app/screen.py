"""Whether a window can be shown at all."""

from __future__ import annotations

import os
import sys


def has_screen() -> bool:
    """True where Qt will find a screen to draw on; a platform that draws into memory does not count."""
    platform: str = sys.platform  # as a plain text, or a type checker believes in one platform only
    if os.environ.get("QT_QPA_PLATFORM") in ("offscreen", "minimal"):
        return False
    if platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
