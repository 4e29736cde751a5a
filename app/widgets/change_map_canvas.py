"""Paints the change map, and lets mouse and keyboard move over its cells."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.stylesheet import SMALL
from app.theme import Theme
from app.widgets.basics import scaled
from app.widgets.change_map_colours import mixed
from app.widgets.change_map_data import NOTHING, Cells, ChangeGrid
from app.widgets.change_map_geometry import GAP, LABEL_SHARE, NARROWEST_COLUMN, NOWHERE, Geometry, group_title, lay_out

TALLEST_ROW = 36
LOWEST_ROW = 13
SHADES = 64


class ChangeCanvas(QWidget):
    """The cells, painted once into a picture; what is chosen and where the keyboard is are painted over it.

    Attributes:
        picked: emitted with a cell that was clicked or entered, and whether it is to be added to what is chosen.
        moved: emitted after the keyboard went to another cell.
        room_changed: emitted after there is room for more or fewer rows and columns.
    """

    picked = Signal(int, bool)
    moved = Signal()
    room_changed = Signal()

    def __init__(self, theme: Theme, titles: Callable[[str], str], words: Callable[[int], str]) -> None:
        """`titles` words the name of a row, `words` what there is to say about a cell."""
        super().__init__()
        self._theme, self._titles, self._words = theme, titles, words
        self._grid = NOTHING
        self._places: Cells = np.zeros(0)
        self._expected: Collection[int] = ()
        self._colours: tuple[QColor, ...] = ()
        self._chosen: Collection[int] = ()
        self._current = 0
        self._picture: QPixmap | None = None
        self._geometry = NOWHERE
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        self.setMinimumHeight(scaled(64))

    @property
    def current(self) -> int:
        """The cell that the keyboard is at."""
        return self._current

    def room(self) -> tuple[int, int]:
        """How many rows and columns can be told apart."""
        rows = (self.height() - self._axis_height()) // scaled(LOWEST_ROW)
        columns = self.width() * (1 - LABEL_SHARE) // NARROWEST_COLUMN
        return max(4, int(rows)), max(8, int(columns))

    def show_cells(
        self, grid: ChangeGrid, places: Cells, filled: Collection[int], colours: Callable[[float], QColor]
    ) -> None:
        """Show values.

        Args:
            grid: rows and columns.
            places: of each cell its place on the scale of colours, from 0 to 1; NaN while it has no value.
            filled: cells that have layers, finished or not; the others stay empty.
            colours: the colour of a place on the scale.
        """
        self._grid, self._places, self._expected = grid, places, filled
        self._colours = tuple(colours(number / (SHADES - 1)) for number in range(SHADES))
        self._current = min(self._current, max(0, grid.size - 1))
        self._repaint_all()

    def show_chosen(self, cells: Collection[int]) -> None:
        """Mark cells as chosen."""
        self._chosen = cells
        self.update()

    def set_current(self, cell: int) -> None:
        """Move the keyboard to a cell."""
        self._current = cell
        self.update()
        self.moved.emit()

    def cell_at(self, position: QPointF) -> int | None:
        """The cell at a place in the widget; None beside them."""
        place = self._geometry
        if not place.row or not 0 <= position.y() < place.row * len(self._grid.kinds):
            return None
        column = place.column_at(position.x())
        return None if column is None else int(position.y() // place.row) * len(self._grid.columns) + column

    def rectangle(self, cell: int) -> QRectF:
        """Where a cell is painted."""
        return self._geometry.cell(*divmod(cell, len(self._grid.columns)))

    def sizeHint(self) -> QSize:
        """Room for a few rows."""
        return QSize(480, 160)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """The picture, then the marks."""
        if not self._grid.size:
            return
        if self._picture is None or self._picture.devicePixelRatio() != self.devicePixelRatioF():
            self._picture = self._painted()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._theme.tokens.text), 1.5))
        for cell in self._chosen:
            painter.drawRoundedRect(self.rectangle(cell).adjusted(0.5, 0.5, -0.5, -0.5), 2, 2)
        if self.hasFocus():
            pen = QPen(QColor(self._theme.tokens.text), 2, Qt.PenStyle.DotLine)
            painter.setPen(pen if self._current in self._chosen else QPen(QColor(self._theme.tokens.warning), 2))
            painter.drawRoundedRect(self.rectangle(self._current).adjusted(1, 1, -1, -1), 2, 2)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lay out anew."""
        super().resizeEvent(event)
        self._repaint_all()
        self.room_changed.emit()

    def changeEvent(self, event: QEvent) -> None:
        """Another font needs another layout."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_geometry"):
            self._repaint_all()

    def event(self, event: QEvent) -> bool:
        """Say what is in the cell under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            cell = self.cell_at(QPointF(event.pos()))
            if cell is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), self._words(cell), self, self.rectangle(cell).toRect())
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """A hand over cells that lead to a layer."""
        cell = self.cell_at(event.position())
        hand = cell is not None and cell in self._expected
        self.setCursor(Qt.CursorShape.PointingHandCursor if hand else Qt.CursorShape.ArrowCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a cell; with Ctrl in addition to the others."""
        cell = self.cell_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and cell is not None:
            self.set_current(cell)
            self.picked.emit(cell, bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows, Home and End move; Return and Space choose."""
        key, width = event.key(), len(self._grid.columns)
        if not self._grid.size:
            super().keyPressEvent(event)
            return
        row, column = divmod(self._current, width)
        steps = {
            Qt.Key.Key_Left: (row, column - 1),
            Qt.Key.Key_Right: (row, column + 1),
            Qt.Key.Key_Up: (row - 1, column),
            Qt.Key.Key_Down: (row + 1, column),
            Qt.Key.Key_Home: (row, 0),
            Qt.Key.Key_End: (row, width - 1),
        }
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if key in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter) and not (control and key != Qt.Key.Key_Space):
            self.picked.emit(self._current, control)
        elif key in steps:
            to_row, to_column = steps[Qt.Key(key)]
            if 0 <= to_row < len(self._grid.kinds) and 0 <= to_column < width:
                self.set_current(to_row * width + to_column)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show where the keyboard is, and say it."""
        super().focusInEvent(event)
        self.update()
        self.moved.emit()

    def _repaint_all(self) -> None:
        self._picture = None
        self._geometry = self._laid_out()
        self.update()

    def _small(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(max(6.0, font.pointSizeF() * SMALL))
        return font

    def _axis_height(self) -> int:
        return QFontMetrics(self._small()).height() + 4

    def _laid_out(self) -> Geometry:
        metrics = QFontMetrics(self._small())
        titles = max((metrics.horizontalAdvance(self._titles(kind)) for kind in self._grid.kinds), default=0) + 2
        height = self.height() - self._axis_height()
        tallest = float(scaled(TALLEST_ROW))
        return lay_out(self._grid, width=self.width(), height=height, titles=titles, tallest_row=tallest)

    def _painted(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        picture = QPixmap(round(self.width() * ratio), round(self.height() * ratio))
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, self._geometry.column >= 8)
        painter.setFont(self._small())
        self._paint_cells(painter)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_titles(painter)
        painter.end()
        return picture

    def _paint_cells(self, painter: QPainter) -> None:
        tokens = self._theme.tokens
        outline, empty = QPen(mixed(tokens.border, tokens.muted, 0.25), 1), QColor(tokens.border)
        round_corners = 2.0 if self._geometry.column >= 8 else 0.0
        for cell in range(self._grid.size):
            area, place = self.rectangle(cell), self._places[cell]
            if np.isfinite(place):
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(self._colours[int(place * (SHADES - 1) + 0.5)])
                painter.drawRoundedRect(area, round_corners, round_corners)
            elif cell in self._expected:
                painter.setPen(outline)
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(area.adjusted(0.5, 0.5, -0.5, -0.5), round_corners, round_corners)
            else:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(empty)
                painter.drawEllipse(area.center(), 1.0, 1.0)

    def _paint_titles(self, painter: QPainter) -> None:
        place, metrics = self._geometry, painter.fontMetrics()
        painter.setPen(QColor(self._theme.tokens.muted))
        for row, kind in enumerate(self._grid.kinds):
            area = QRectF(0, row * place.row, place.left - GAP + 1, place.row - 2)
            text = metrics.elidedText(self._titles(kind), Qt.TextElideMode.ElideMiddle, int(area.width()))
            painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        top = place.row * len(self._grid.kinds) + 2
        for group in self._grid.groups:
            left = place.lefts[group.first]
            width = group.columns * place.column
            text = metrics.elidedText(group_title(group.title), Qt.TextElideMode.ElideLeft, int(width))
            if len(text) > 2:
                painter.drawText(QRectF(left, top, width, metrics.height()), Qt.AlignmentFlag.AlignLeft, text)
