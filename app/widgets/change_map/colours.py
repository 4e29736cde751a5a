"""The colours of the change map, and the strip that explains them."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.look.theme import Theme

LITTLE_LOST = 0.35  # of the scale; from there on the warning's colour only grows stronger


def mixed(first: str, second: str, share: float) -> QColor:
    """A colour between two, by the second one's share."""
    one, other = QColor(first), QColor(second)
    parts = zip((one.red(), one.green(), one.blue()), (other.red(), other.green(), other.blue()), strict=True)
    return QColor(*(round(low + (high - low) * share) for low, high in parts))


def map_colour(theme: Theme, place: float, *, kept: bool) -> QColor:
    """The colour of a place on the scale: more accent for more change; from a faint good to the warning for loss."""
    tokens = theme.tokens
    if not kept:
        return mixed(tokens.panel, tokens.accent, 0.08 + 0.92 * place)
    good, little = mixed(tokens.panel, tokens.good, 0.4).name(), mixed(tokens.panel, tokens.warning, 0.3).name()
    lost = 1 - place
    if lost < LITTLE_LOST:
        return mixed(good, little, lost / LITTLE_LOST)
    return mixed(little, tokens.warning, (lost - LITTLE_LOST) / (1 - LITTLE_LOST))


class ScaleBar(QWidget):
    """A strip of the map's colours, from the low end of the scale to the high one."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._kept = theme, False
        self.setFixedHeight(8)
        self.setMinimumWidth(32)
        self.setMaximumWidth(72)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """As wide as shades can be distinguished; it may be narrower."""
        return QSize(72, 8)

    def show_scale(self, *, kept: bool) -> None:
        """Show the colours of one of the two values."""
        self._kept = kept
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the strip in the theme's colours."""
        colours = QLinearGradient(0, 0, self.width(), 0)
        for step in range(9):
            colours.setColorAt(step / 8, map_colour(self._theme, step / 8, kept=self._kept))
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours)
        painter.drawRoundedRect(QRectF(self.rect()), 3, 3)
