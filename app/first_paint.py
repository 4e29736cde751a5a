"""`--time-first-paint`: how long from the start of the process until the window is on the screen; then it closes."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
from PySide6.QtCore import QEvent, QObject, QTimer, Slot
from PySide6.QtWidgets import QApplication

from app.storage.preferences import PreferenceStore
from app.window.application import make_application, run_window
from app.window.main_window import MainWindow


class FirstPaint(QObject):
    """Sees the main window's first paint event.

    Attributes:
        seconds: since the system started the process; None until the pixels are out.
    """

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self.seconds: float | None = None
        self._seen = False
        application.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Let everything through; once the window paints, look at the clock behind this round of painting."""
        if not self._seen and event.type() == QEvent.Type.Paint and isinstance(watched, MainWindow):
            self._seen = True
            QTimer.singleShot(0, self, self._painted)
        return False

    @Slot()
    def _painted(self) -> None:
        self.seconds = age_of_process()
        QApplication.closeAllWindows()


def age_of_process() -> float:
    """Seconds since the system started this process, to a hundredth."""
    platform: str = sys.platform  # as a plain text, or a type checker believes in one platform only
    if platform == "linux":  # psutil adds a boot time in whole seconds there
        fields = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - float(psutil.Process().create_time())


def time_first_paint() -> int:
    """Open the window as always, print the seconds on stdout, and close; returns the window's exit code."""
    watcher = FirstPaint(make_application())
    code = run_window([], PreferenceStore(), listen=False)
    if watcher.seconds is not None:
        print(f"{watcher.seconds:.3f}", flush=True)
    return code
