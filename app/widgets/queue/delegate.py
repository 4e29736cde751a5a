"""Draws one job of the queue: its state as a mark and a word, models and settings, and what came of it."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen, QPolygonF, QTextLayout
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.look.stylesheet import SMALL
from app.look.theme import Theme
from app.look.tokens import Tokens
from app.storage.job_queue import Job, JobState
from app.widgets.basics.basics import scaled
from app.widgets.queue.model import JOB_ROLE, PROGRESS_ROLE, STOPPING_ROLE
from app.widgets.queue.texts import Outcome, outcome, output_words, settings_words, state_word
from engine.events import Progress

MARK = 16
RADIUS = 7
MARGIN = 10
LINE_GAP = 3
STATE_WIDTH = 104
OUTCOME_WIDTH = 292
OUTCOME_SHARE = 0.36
COLUMN_GAP = 20
BAR = 6
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
MIDDLE, RIGHT = Qt.TextElideMode.ElideMiddle, Qt.TextElideMode.ElideRight


class JobDelegate(QStyledItemDelegate):
    """Two lines of text per job, in three columns."""

    def __init__(self, theme: Theme, parent: QListView) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, _index: QModelIndex | QPersistentModelIndex) -> QSize:
        """Two lines and some air."""
        lines = QFontMetrics(option.font).height() + QFontMetrics(_small(option.font)).height()
        return QSize(0, lines + LINE_GAP + 2 * MARGIN)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """The row."""
        job, progress = index.data(JOB_ROLE), index.data(PROGRESS_ROLE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._background(painter, option, index.row())
        area = option.rect.adjusted(8, MARGIN, -8, -MARGIN)
        said = outcome(job, progress, stopping=bool(index.data(STOPPING_ROLE)))
        outcome_width = max(scaled(OUTCOME_WIDTH), round(area.width() * OUTCOME_SHARE))
        if not (said.first or said.second or job.state is JobState.RUNNING):
            outcome_width = 0
        state_width = scaled(STATE_WIDTH)
        state = QRect(area.left(), area.top(), state_width, area.height())
        right = QRect(area.right() - outcome_width, area.top(), outcome_width, area.height())
        middle = QRect(state.right(), area.top(), right.left() - state.right() - COLUMN_GAP, area.height())
        self._state(painter, option, state, job)
        self._models(painter, option, middle, job)
        if job.state is JobState.RUNNING:
            self._running(painter, option, right, said, progress)
        else:
            self._outcome(painter, option, right, said)
        painter.restore()

    def _background(self, painter: QPainter, option: QStyleOptionViewItem, row: int) -> None:
        tokens, area = self._theme.tokens, QRectF(option.rect)
        if row:
            painter.setPen(QPen(QColor(tokens.border), 1))
            painter.drawLine(area.topLeft() + QPointF(0, 0.5), area.topRight() + QPointF(0, 0.5))
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        focused = bool(option.state & QStyle.StateFlag.State_HasFocus)
        if chosen or focused:
            painter.setBrush(QColor(tokens.accent_background) if chosen else Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(tokens.accent if focused else tokens.accent_background), 1))
            painter.drawRoundedRect(area.adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)

    def _state(self, painter: QPainter, option: QStyleOptionViewItem, area: QRect, job: Job) -> None:
        tokens = self._theme.tokens
        mark = QRectF(area.left(), area.center().y() + 0.5 - MARK / 2, MARK, MARK)
        draw_mark(painter, mark, job.state, tokens)
        tones = {JobState.FAILED: tokens.bad_text, JobState.WAITING: tokens.muted}
        _write(
            painter,
            area.adjusted(MARK + 10, 0, 0, 0),
            state_word(job.state),
            option.font,
            tones.get(job.state, tokens.text),
            RIGHT,
        )

    def _models(self, painter: QPainter, option: QStyleOptionViewItem, area: QRect, job: Job) -> None:
        tokens = self._theme.tokens
        upper, lower = _two_lines(area, option.font)
        _write(painter, upper, job.finetuned.name, _strong(option.font), tokens.text, MIDDLE)
        small = _small(option.font)
        settings = settings_words(job)
        _write(painter, lower, settings, small, tokens.muted, RIGHT)
        used = QFontMetrics(small).horizontalAdvance(settings) + 12
        rest = lower.adjusted(used, 0, 0, 0)
        if rest.width() > 40:
            _write(painter, rest, f"\u2192 {output_words(job)}", small, tokens.muted, MIDDLE)

    def _outcome(self, painter: QPainter, option: QStyleOptionViewItem, area: QRect, said: Outcome) -> None:
        tokens = self._theme.tokens
        upper, lower = _two_lines(area, option.font)
        small = _small(option.font)
        colour = {"bad": tokens.bad_text, "warning": tokens.warning_text}.get(said.tone, tokens.text)
        if said.wraps:
            first, second = _wrapped(said.first, said.second, small, area.width())
            _write(painter, upper, first, small, colour, RIGHT)
            _write(painter, lower, second, small, tokens.muted if second == said.second else colour, RIGHT)
            return
        _write(painter, upper, said.first, small, colour, RIGHT)
        _write(painter, lower, said.second, small, tokens.muted, RIGHT)

    def _running(
        self, painter: QPainter, option: QStyleOptionViewItem, area: QRect, said: Outcome, progress: Progress | None
    ) -> None:
        tokens = self._theme.tokens
        upper, lower = _two_lines(area, option.font)
        _write(painter, upper, said.first, _small(option.font), tokens.text, RIGHT)
        share = min(1.0, max(0.0, progress.share)) if progress is not None else 0.0
        groove = QRectF(lower.left(), lower.center().y() - BAR / 2 + 1, lower.width(), BAR)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.border))
        painter.drawRoundedRect(groove, BAR / 2, BAR / 2)
        if share > 0:
            painter.setBrush(QColor(tokens.accent))
            painter.drawRoundedRect(
                QRectF(groove.left(), groove.top(), max(BAR, groove.width() * share), BAR), BAR / 2, BAR / 2
            )


def draw_mark(painter: QPainter, area: QRectF, state: JobState, tokens: Tokens) -> None:
    """The mark of a state, distinct by its shape as well as its colour."""
    painter.save()
    painter.translate(area.topLeft())
    painter.scale(area.width() / 16, area.height() / 16)
    fills = {
        JobState.RUNNING: tokens.accent,
        JobState.DONE: tokens.good,
        JobState.FAILED: tokens.bad,
        JobState.STOPPED: tokens.warning,
    }
    ink = _round_pen(tokens.panel, 1.8)
    if state is JobState.WAITING:
        painter.setPen(QPen(QColor(tokens.muted), 1.5))
        painter.drawEllipse(QRectF(1.5, 1.5, 13, 13))
        painter.drawPolyline(QPolygonF([QPointF(8, 4.8), QPointF(8, 8), QPointF(10.4, 9.6)]))
        painter.restore()
        return
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(fills[state]))
    if state is JobState.FAILED:
        painter.setPen(_round_pen(tokens.bad, 1.6))
        painter.drawPolygon(QPolygonF([QPointF(8, 1.8), QPointF(15, 14), QPointF(1, 14)]))
        painter.setPen(ink)
        painter.drawLine(QPointF(8, 6), QPointF(8, 9.4))
        painter.drawPoint(QPointF(8, 12))
    else:
        painter.drawEllipse(QRectF(0.75, 0.75, 14.5, 14.5))
        painter.setPen(ink)
        painter.setBrush(QColor(tokens.panel))
        if state is JobState.DONE:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPolyline(QPolygonF([QPointF(4.8, 8.3), QPointF(7, 10.5), QPointF(11.2, 5.8)]))
        elif state is JobState.RUNNING:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.drawPolygon(QPolygonF([QPointF(6.2, 4.6), QPointF(11.6, 8), QPointF(6.2, 11.4)]))
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.drawRoundedRect(QRectF(5.2, 5.2, 5.6, 5.6), 0.8, 0.8)
    painter.restore()


def _round_pen(colour: str, width: float) -> QPen:
    cap, join = Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin
    return QPen(QColor(colour), width, Qt.PenStyle.SolidLine, cap, join)


def _two_lines(area: QRect, font: QFont) -> tuple[QRect, QRect]:
    height = QFontMetrics(font).height()
    lower = QFontMetrics(_small(font)).height()
    return (
        QRect(area.left(), area.top(), area.width(), height),
        QRect(area.left(), area.top() + height + LINE_GAP, area.width(), lower),
    )


def _wrapped(first: str, second: str, font: QFont, width: int) -> tuple[str, str]:
    """A long first text takes both lines; the second one is in the tooltip then."""
    if QFontMetrics(font).horizontalAdvance(first) <= width:
        return first, second
    layout = QTextLayout(first, font)
    layout.beginLayout()
    line = layout.createLine()
    line.setLineWidth(width)
    layout.endLayout()
    cut = line.textLength()
    return first[:cut].rstrip(), first[cut:].lstrip()


def _write(painter: QPainter, area: QRect, text: str, font: QFont, colour: str, mode: Qt.TextElideMode) -> None:
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(area, LEFT, QFontMetrics(font).elidedText(text, mode, area.width()))


def _small(font: QFont) -> QFont:
    result = QFont(font)
    result.setPointSizeF(font.pointSizeF() * SMALL)
    return result


def _strong(font: QFont) -> QFont:
    result = QFont(font)
    result.setWeight(QFont.Weight.DemiBold)
    return result
