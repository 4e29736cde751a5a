"""Shows the window on the screen that is there, and writes down where it and its Extract button ended up.

Run as a program of its own: ``python small_screen.py FILE SCALE [X,Y,WIDTH,HEIGHT]``. SCALE enlarges the system's font.
With a fourth argument the window is put there and closed as by a person, so that the next start finds its geometry.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from PySide6.QtCore import QPoint, QRect
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QWidget

from app.window.application import begin
from app.window.frame import Tab
from app.window.main_window import MainWindow

PATIENCE, SETTLED_MS = 40.0, 1000


def rectangle(area: QRect) -> list[int]:
    return [area.left(), area.top(), area.right(), area.bottom()]


def squeezed(window: QWidget) -> list[str]:
    """Names of the controls that have less room than they can do with."""
    names = []
    for kind in (QAbstractButton, QComboBox, QLineEdit, QAbstractSpinBox):
        for control in window.findChildren(kind):
            hint = control.minimumSizeHint()
            width, height = control.minimumWidth() or hint.width(), control.minimumHeight() or hint.height()
            if control.isVisible() and (control.width() < width or control.height() < height):
                has, needs = f"{control.width()} x {control.height()}", f"{width} x {height}"
                names.append(f"{control.accessibleName()} has {has} and needs {needs}")
    return names


def wait_for_frame(window: MainWindow) -> None:
    """Wait until the window manager has framed the window, and the window has taken note of it."""
    end = time.monotonic() + PATIENCE
    while window.frameGeometry() == window.geometry() and time.monotonic() < end:
        QTest.qWait(50)
    QTest.qWait(SETTLED_MS)


def main() -> None:
    application, _reporter = begin("system")
    font = application.font()
    font.setPointSizeF(font.pointSizeF() * float(sys.argv[2]))
    application.setFont(font)
    window = MainWindow()
    window.show()
    wait_for_frame(window)
    if len(sys.argv) > 3:
        window.setGeometry(*(int(number) for number in sys.argv[3].split(",")))
        QTest.qWait(SETTLED_MS)
        window.close()
    button = window.frame.bar.extract
    found = {
        "button": rectangle(QRect(button.mapToGlobal(QPoint(0, 0)), button.size())),
        "frame": rectangle(window.frameGeometry()),
        "inner": rectangle(window.geometry()),
        "screen": rectangle(window.screen().availableGeometry()),
        "visible": button.isVisible() and button.visibleRegion().boundingRect() == button.rect(),
        "squeezed": squeezed(window),
    }
    window.welcome_control.end()
    for tab in Tab:
        window.frame.tabs.show_tab(tab)
        QTest.qWait(50)
        found["squeezed"] += squeezed(window)
    Path(sys.argv[1]).write_text(json.dumps(found))
    os._exit(0)  # what the window began in the background ends with the process


if __name__ == "__main__":
    main()
