"""Lets the change map scroll where its rows would be too low to be told apart."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea

from app.widgets.basics.basics import scaled
from app.widgets.change_map.canvas import ChangeCanvas

LOWEST = 64
MARGIN = 4  # that stays visible around the cell the keyboard is at


class MapArea(QScrollArea):
    """The canvas, as high as there is room for and not lower than its rows need.

    Attributes:
        resized: emitted after there is more or less room for the map.
    """

    resized = Signal()

    def __init__(self, canvas: ChangeCanvas) -> None:
        super().__init__()
        self._canvas = canvas
        self.setProperty("surface", "clear")
        canvas.setProperty("surface", "clear")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self.setWidget(canvas)
        self.setMinimumHeight(scaled(LOWEST))
        canvas.resized.connect(self.resized)
        canvas.moved.connect(self._follow)

    def sizeHint(self) -> QSize:
        """Room for a few rows."""
        return self._canvas.sizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """There may be room for more rows, or for fewer."""
        super().resizeEvent(event)
        self.resized.emit()

    @Slot()
    def _follow(self) -> None:
        """Keep the cell that the keyboard is at in sight."""
        if self._canvas.current < self._canvas.cells():
            area = self._canvas.rectangle(self._canvas.current).toRect()
            height = (area.height() + 1) // 2 + MARGIN
            self.ensureVisible(area.center().x(), area.center().y(), 0, height)
