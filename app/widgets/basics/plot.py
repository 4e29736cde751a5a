"""What all plots have in common: a plot to look at, the colour of a filled band, round steps between ticks."""

from __future__ import annotations

import math
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPoint, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip

from app.look.theme import Theme


class QuietPlot(pg.PlotWidget):  # type: ignore[misc]
    """A plot to look at: no menus, no mouse, no frame, colours from the theme."""

    def __init__(self, theme: Theme, name: str, axes: dict[str, pg.AxisItem] | None = None) -> None:
        super().__init__(enableMenu=False, axisItems=axes)
        self.theme = theme
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setFrameShape(self.Shape.NoFrame)
        self.setAntialiasing(False)
        self.getPlotItem().getViewBox().setDefaultPadding(0)
        self.getPlotItem().setContentsMargins(0, 0, 0, 0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(56)
        self._ready = False

    def sizeHint(self) -> QSize:
        """Small: the layout's stretch decides."""
        return QSize(320, 96)

    def wheelEvent(self, event: Any) -> None:
        """Leave the wheel to the scroll area around the plot."""
        event.ignore()

    def changeEvent(self, event: QEvent) -> None:
        """Restyle when the theme changes; pyqtgraph itself ignores the palette."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_ready", False):
            self.restyle()

    def viewportEvent(self, event: QEvent) -> bool:
        """Say what is under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.text_at(event.pos()), self.viewport())
            return True
        return bool(super().viewportEvent(event))

    def text_at(self, _position: QPoint) -> str:
        """The words for a place in the widget; empty where there is nothing to say."""
        return ""

    def restyle(self) -> None:
        """Take the theme's colours."""
        self._ready = True
        tokens = self.theme.tokens
        self.setBackground(QColor(tokens.panel))
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(tokens.border))
            axis.setTextPen(pg.mkPen(tokens.muted))
            axis.setTickFont(self.font())


def band_colour(colour: str, alpha: int) -> QColor:
    """A colour as the bands are filled with it."""
    shade = QColor(colour)
    shade.setAlpha(alpha)
    return shade


def round_step(about: float) -> float:
    """The largest of 1, 2, 3, 4, 6 times a power of ten that is not above a number."""
    about = max(about, 1e-6)
    power = 10.0 ** math.floor(math.log10(about) + 1e-9)
    return max(step * power for step in (1, 2, 3, 4, 6) if step * power <= about * 1.0001)
