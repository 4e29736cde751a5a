"""Keeps a window, frame included, inside what its screen has free."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QMargins, QObject, QRect, QSize, QTimer, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

LOOK_MS, LOOKS = 100, 50  # for as long as slow window managers take to frame a new window
_USUAL_FRAME = QMargins(4, 36, 4, 8)  # title bar and borders, before a window manager has put them there


def frame_of(window: QWidget) -> QMargins:
    """The title bar and borders around a window; the usual ones while they are unknown."""
    inner, outer = window.geometry(), window.frameGeometry()
    if not window.isVisible() or inner == outer:
        return _USUAL_FRAME
    return QMargins(
        inner.left() - outer.left(),
        inner.top() - outer.top(),
        outer.right() - inner.right(),
        outer.bottom() - inner.bottom(),
    )


def free_part(window: QWidget) -> QRect:
    """What the screen of a window has free; without bounds where windows are drawn into memory, off screen."""
    if QGuiApplication.platformName() in ("offscreen", "minimal"):
        return QRect(0, 0, 1 << 14, 1 << 14)
    return window.screen().availableGeometry()


def fitting(size: QSize, available: QRect, frame: QMargins = _USUAL_FRAME) -> QSize:
    """The size, without its frame, as far as the free part of the screen has room for it."""
    return size.boundedTo(available.marginsRemoved(frame).size())


def resize_on_screen(window: QWidget, size: QSize) -> None:
    """Make a dialog as large as this where its screen has room for that."""
    window.resize(fitting(size, free_part(window)))


def least_size(size: QSize, window: QWidget) -> QSize:
    """A smallest size that never is larger than the window's screen."""
    return fitting(size, free_part(window), frame_of(window))


def fit_screen(window: QWidget) -> None:
    """Make a window smaller and move it where a part of it, or of its frame, lies off its screen.

    Windows that fill the screen on purpose stay as they are.
    """
    if window.isMaximized() or window.isFullScreen():
        return
    available, frame = free_part(window), frame_of(window)
    free = available.marginsRemoved(frame)
    size = window.size().boundedTo(free.size())
    if size != window.size():
        window.resize(size)
    left = max(free.left(), min(window.geometry().left(), free.right() - size.width() + 1))
    top = max(free.top(), min(window.geometry().top(), free.bottom() - size.height() + 1))
    if (left, top) != (window.geometry().left(), window.geometry().top()):
        window.move(left - frame.left(), top - frame.top())


class FrameWatch(QObject):
    """Has a window fitted into its screen again as soon as its frame is known.

    A window manager puts the frame there some time after the window was shown, and Qt emits nothing. Where a person
    moves the window meanwhile, it stays there: only another frame is a reason to fit.
    """

    def __init__(self, window: QWidget, fit: Callable[[], None]) -> None:
        super().__init__(window)
        self._window, self._fit = window, fit
        self._fitted_for: QMargins | None = None
        self._looks = 0
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)

    def start(self) -> None:
        """Fit with the frame that is known, and again with each other one of the next seconds."""
        self._fitted_for, self._looks = None, 0
        self._timer.start()

    @Slot()
    def _look(self) -> None:
        self._looks += 1
        if self._looks >= LOOKS:
            self._timer.stop()
        frame = frame_of(self._window)
        if frame != self._fitted_for and self._window.isVisible():
            self._fitted_for = frame
            self._fit()
