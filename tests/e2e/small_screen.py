"""Shows the window on the screen that is there, and writes down where its Extract button ended up."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from PySide6.QtCore import QPoint, QRect, QTimer
from PySide6.QtWidgets import QApplication

from app.widgets.main_window import MainWindow

SETTLED_MS, LOOKS = 1000, 40


def rectangle(area: QRect) -> list[int]:
    return [area.left(), area.top(), area.right(), area.bottom()]


def main() -> None:
    application = QApplication(sys.argv)
    window = MainWindow()
    window.show()

    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if window.frameGeometry() == window.geometry() and looks < LOOKS:  # the window manager has not come yet
            QTimer.singleShot(SETTLED_MS, look)
            return
        QTimer.singleShot(SETTLED_MS, write_down)

    def write_down() -> None:
        button = window.frame.bar.extract
        seen = {
            "button": rectangle(QRect(button.mapToGlobal(QPoint(0, 0)), button.size())),
            "frame": rectangle(window.frameGeometry()),
            "inner": rectangle(window.geometry()),
            "screen": rectangle(window.screen().geometry()),
            "visible": button.isVisible() and button.visibleRegion().boundingRect() == button.rect(),
            "needed": [window.frame.minimumSizeHint().width(), window.frame.minimumSizeHint().height()],
        }
        Path(sys.argv[1]).write_text(json.dumps(seen))
        screen = window.screen().grabWindow(0)
        screen.save(sys.argv[2])
        sys.stdout.flush()
        os._exit(0)  # what the window began in the background ends with the process

    QTimer.singleShot(SETTLED_MS, look)
    application.exec()


if __name__ == "__main__":
    main()
