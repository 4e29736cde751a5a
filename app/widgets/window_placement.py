"""Keeps a window, frame included, inside what its screen has free."""

from __future__ import annotations

from PySide6.QtCore import QMargins, QRect, QSize
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

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
    """What the screen of a window has free; without bounds where windows are drawn into memory and nobody looks."""
    if QGuiApplication.platformName() in ("offscreen", "minimal"):
        return QRect(0, 0, 1 << 14, 1 << 14)
    return window.screen().availableGeometry()


def fitting(size: QSize, available: QRect, frame: QMargins = _USUAL_FRAME) -> QSize:
    """The size, without its frame, as far as the free part of the screen has room for it."""
    return size.boundedTo(available.marginsRemoved(frame).size())


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
