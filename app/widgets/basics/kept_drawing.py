"""Drawings of how much is kept: a bar for one figure, a curve over file sizes; what is not certain is hatched."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.look.theme import Theme
from app.look.tokens import Tokens
from app.text.notices import format_bytes
from app.widgets.basics.basics import scaled
from engine.analysis.exploration import Answer, Span
from engine.analysis.quality import SHORT, Level

_BAR, _DOT, _GAP = 6.0, 5.0, 4
_DASHES = (4.0, 3.0)
_PALE = 60


def kept_colour(tokens: Tokens, share: float, least: float = SHORT) -> QColor:
    """The colour of a bar for a share of the change: a warning below `least`, of a layer unless given, as in words."""
    return QColor(tokens.good if share >= least else tokens.warning)


class ShareBar(QWidget):
    """A share as a bar: full up to what is certain, hatched up to what is possible."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._span = Span(0.0, 0.0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Short: the layout's stretch decides."""
        return QSize(40, scaled(12))

    def set_span(self, span: Span) -> None:
        """Show a share between 0 and 1."""
        self._span = span
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Track, hatched part, full part."""
        tokens = self._theme.tokens
        colour = kept_colour(tokens, self._span.low, Level.MUCH.value)
        if not self.isEnabled():
            colour = QColor(tokens.muted)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.border))
        painter.drawRoundedRect(self._part(1.0), _BAR / 2, _BAR / 2)
        if self._span.high > self._span.low:
            for brush in _uncertain(colour):
                painter.setBrush(brush)
                painter.drawRoundedRect(self._part(self._span.high), _BAR / 2, _BAR / 2)
        painter.setBrush(colour)
        painter.drawRoundedRect(self._part(self._span.low), _BAR / 2, _BAR / 2)

    def _part(self, share: float) -> QRectF:
        width = max(_BAR, self.width() * min(1.0, max(0.0, share)))
        return QRectF(0, (self.height() - _BAR) / 2, width, _BAR)


class KeptCurve(QWidget):
    """Change kept over file size, with the choice at hand as a point on it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._answers: tuple[Answer, ...] = ()
        self._now: Answer | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Change kept over file size"))
        self.setToolTip(
            self.tr("Change kept, mean, over the file size. Hatched: between the bounds, not computed yet.")
        )

    def sizeHint(self) -> QSize:
        """Small: the layout's stretch decides."""
        return QSize(160, 96)

    def set_curve(self, answers: Sequence[Answer]) -> None:
        """Draw a curve through answers of growing size."""
        self._answers = tuple(sorted(answers, key=lambda answer: answer.size.low))
        self.update()

    def set_now(self, answer: Answer | None) -> None:
        """Mark a choice."""
        self._now = answer
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Area, hatched band, curve, the choice, and what the ends of the axes mean."""
        if len(self._answers) < 2:
            return
        tokens = self._theme.tokens
        accent = QColor(tokens.accent if self.isEnabled() else tokens.muted)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_axes(painter)
        low = [self._point(answer.size.low, answer.mean.low) for answer in self._answers]
        high = [self._point(answer.size.high, answer.mean.high) for answer in self._answers]
        area = self._area()
        under = QPolygonF([*low, QPointF(low[-1].x(), area.bottom()), QPointF(low[0].x(), area.bottom())])
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.accent_background))
        painter.drawPolygon(under)
        for brush in _uncertain(accent):
            painter.setBrush(brush)
            painter.drawPolygon(QPolygonF([*low, *reversed(high)]))
        painter.setPen(QPen(accent, 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(low))
        if self._now is not None:
            self._paint_now(painter, self._now, accent)

    def _paint_now(self, painter: QPainter, now: Answer, accent: QColor) -> None:
        low, high = self._point(now.size.low, now.mean.low), self._point(now.size.high, now.mean.high)
        dashes = QPen(QColor(self._theme.tokens.muted), 1)
        dashes.setDashPattern(_DASHES)
        painter.setPen(dashes)
        painter.drawLine(QPointF(low.x(), self._area().bottom()), low)
        painter.setPen(QPen(accent, 2))
        painter.drawLine(low, high)
        painter.setPen(QPen(QColor(self._theme.tokens.panel), 1.5))
        painter.setBrush(accent)
        painter.drawEllipse(low, _DOT, _DOT)

    def _paint_axes(self, painter: QPainter) -> None:
        area, right = self._area(), Qt.AlignmentFlag.AlignRight
        painter.setPen(QColor(self._theme.tokens.border))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.setPen(QColor(self._theme.tokens.muted))
        least, most = self._sizes()
        below = QRectF(area.left(), area.bottom() + _GAP / 2, area.width(), self.fontMetrics().height())
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, format_bytes(least))
        painter.drawText(below, right, format_bytes(most))
        bottom, top = self._shares()
        margin = QRectF(0, 0, area.left() - _GAP, self.fontMetrics().height())
        painter.drawText(margin, right, _percent(top))
        margin.moveBottom(area.bottom())
        painter.drawText(margin, right, _percent(bottom))

    def _area(self) -> QRectF:
        line, label = self.fontMetrics().height(), self.fontMetrics().horizontalAdvance(_percent(1.0)) + 2 * _GAP
        return QRectF(self.rect()).adjusted(label, _DOT + 1, -_DOT - 1, -line - _GAP)

    def _sizes(self) -> tuple[float, float]:
        return self._answers[0].size.low, max(answer.size.high for answer in self._answers)

    def _shares(self) -> tuple[float, float]:
        """A tenth of a share, or half, at the bottom, so that small differences are seen; all of the change on top."""
        least = min(answer.mean.low for answer in self._answers)
        return max(0.0, int(least * 10 - 0.5) / 10), 1.0

    def _point(self, size: float, share: float) -> QPointF:
        area, (least, most), (bottom, top) = self._area(), self._sizes(), self._shares()
        x = min(1.0, max(0.0, (size - least) / max(1.0, most - least)))
        y = min(1.0, max(0.0, (share - bottom) / max(1e-9, top - bottom)))
        return QPointF(area.left() + x * area.width(), area.bottom() - y * area.height())


def _uncertain(colour: QColor) -> tuple[QBrush, QBrush]:
    """A pale surface and the lines on it."""
    pale = QColor(colour)
    pale.setAlpha(_PALE)
    return QBrush(pale), QBrush(colour, Qt.BrushStyle.BDiagPattern)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
