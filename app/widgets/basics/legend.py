"""Legend entries: a block of colour, a dashed line or a symbol, and what it stands for."""

from __future__ import annotations

from pyqtgraph.graphicsItems.ScatterPlotItem import Symbols
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from app.look.theme import Theme
from app.widgets.basics.basics import ElidedLabel, text_label

SIZE = 10


class Swatch(QWidget):
    """The mark of a legend entry."""

    def __init__(self, theme: Theme, token: str, *, alpha: int = 255, dashed: bool = False, symbol: str = "") -> None:
        super().__init__()
        self._theme, self._token, self._alpha = theme, token, alpha
        self._dashed, self._symbol = dashed, symbol
        self.setFixedSize(16 if dashed else SIZE, SIZE)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the mark in the theme's colour."""
        colour = QColor(getattr(self._theme.tokens, self._token))
        colour.setAlpha(self._alpha)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._dashed:
            painter.setPen(QPen(colour, 2, Qt.PenStyle.DashLine))
            painter.drawLine(0, 5, self.width(), 5)
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        if self._symbol:
            painter.translate(SIZE / 2, SIZE / 2)
            painter.scale(SIZE - 1, SIZE - 1)
            painter.drawPath(Symbols[self._symbol])
        else:
            painter.drawRoundedRect(self.rect(), 2.5, 2.5)


class LegendEntry(QWidget):
    """A swatch and its words; a shrinking entry shortens them where there is no room."""

    def __init__(self, swatch: Swatch, text: str = "", *, shrinking: bool = False) -> None:
        super().__init__()
        self.label = (
            ElidedLabel("", "legend", mode=Qt.TextElideMode.ElideRight) if shrinking else text_label("", "legend")
        )
        policy = QSizePolicy.Policy.Maximum if shrinking else QSizePolicy.Policy.Fixed
        self.label.setSizePolicy(policy, QSizePolicy.Policy.Fixed)
        self.label.setText(text)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(5)
        row.addWidget(swatch)
        row.addWidget(self.label)
        self.setSizePolicy(policy, QSizePolicy.Policy.Preferred)

    def text(self) -> str:
        """The words."""
        return self.label.text()

    def set_text(self, text: str) -> None:
        """Say something; with nothing to say the entry hides."""
        self.label.setText(text)
        self.setVisible(bool(text))
