"""Paints the change map, lets mouse and keyboard move over its cells, and scrolls where its rows need it."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal, Slot
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
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QToolTip, QWidget

from app.look.stylesheet import SMALL
from app.look.theme import Theme
from app.widgets.basics.basics import scaled
from app.widgets.change_map.geometry import (
    ABOVE_STRIP,
    LABEL_SHARE,
    NARROWEST_COLUMN,
    NOWHERE,
    Geometry,
    beside_rows,
    lay_out,
)
from app.widgets.change_map.grid import NOTHING, OUTSIDE, ChangeGrid
from app.widgets.change_map.painting import paint_cells, paint_row_titles, paint_stack_titles
from app.widgets.change_map.values import Cells

TALLEST_ROW = 36
SHRUNK = (1.0, 0.92, 0.85)  # sizes of the rows' titles, of which the largest that a row has room for is used
SHADES = 64
LOWEST = 64  # pixels of height that the map is never below
MARGIN = 4  # pixels that stay visible around the cell with the keyboard's focus
OUTLINED = 16  # chosen cells; more of them are marked more quietly


class ChangeCanvas(QWidget):
    """The cells, painted once into a picture; what is chosen and where the keyboard is are painted over it.

    Attributes:
        picked: emitted with a cell that was clicked or entered, and whether it is to be added to what is chosen.
        moved: emitted after the keyboard went to another cell.
        resized: emitted after the size or the font changed.
    """

    picked = Signal(int, bool)
    moved = Signal()
    resized = Signal()

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

    @property
    def current(self) -> int:
        """The cell that the keyboard is at."""
        return self._current

    def cells(self) -> int:
        """How many cells there are."""
        return self._grid.size

    def room(self, height: int) -> tuple[int, int]:
        """How many rows and columns can be distinguished, and their titles read, in so many pixels and this width."""
        rows = (height - self._axis_height() - ABOVE_STRIP) // self._lowest_row()
        columns = self.width() * (1 - LABEL_SHARE) // NARROWEST_COLUMN
        return max(0, int(rows)), max(8, int(columns))

    def least_height(self, grid: ChangeGrid) -> int:
        """The height at which the titles of the rows can just be read."""
        return round(grid.rows * self._lowest_row() + beside_rows(grid, self._axis_height()) + 0.5)

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
        place = self._geometry.place_at(position.x(), position.y())
        return None if place is None else self._grid.cell(*place)

    def rectangle(self, cell: int) -> QRectF:
        """Where a cell is painted."""
        return self._geometry.cell(*self._grid.place(cell))

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
        self._paint_chosen(painter)
        if self.hasFocus():
            pen = QPen(QColor(self._theme.tokens.text), 2, Qt.PenStyle.DotLine)
            outlined = self._current in self._chosen and len(self._chosen) <= OUTLINED
            painter.setPen(pen if outlined else QPen(QColor(self._theme.tokens.warning), 2))
            painter.drawRoundedRect(self.rectangle(self._current).adjusted(1, 1, -1, -1), 2, 2)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lay out anew."""
        super().resizeEvent(event)
        self._repaint_all()
        self.resized.emit()

    def changeEvent(self, event: QEvent) -> None:
        """Another font needs another layout."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_geometry"):
            self._repaint_all()
            self.resized.emit()

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
        key = event.key()
        if not self._grid.size:
            super().keyPressEvent(event)
            return
        row, column = self._grid.place(self._current)
        end = self._grid.width(row) - 1
        steps = {
            Qt.Key.Key_Left: (row, column - 1),
            Qt.Key.Key_Right: (row, min(column + 1, end)),
            Qt.Key.Key_Up: (row - 1, column),
            Qt.Key.Key_Down: (row + 1, column),
            Qt.Key.Key_Home: (row, 0),
            Qt.Key.Key_End: (row, end),
        }
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if key in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter) and not (control and key != Qt.Key.Key_Space):
            self.picked.emit(self._current, control)
        elif key in steps:
            to = self._grid.cell(*steps[Qt.Key(key)])
            if to is not None:
                self.set_current(to)
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

    def _small(self, share: float = 1.0) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(max(6.0, font.pointSizeF() * SMALL * share))
        return font

    def _title_font(self) -> QFont:
        """The largest for which the rows have room."""
        fonts = [self._small(share) for share in SHRUNK]
        return next((font for font in fonts if QFontMetrics(font).height() <= self._geometry.row), fonts[-1])

    def _axis_height(self) -> int:
        return QFontMetrics(self._small()).height() + 4

    def _lowest_row(self) -> int:
        return QFontMetrics(self._small(SHRUNK[-1])).height()

    def _laid_out(self) -> Geometry:
        metrics = QFontMetrics(self._small())
        titles = max(map(metrics.horizontalAdvance, self._row_titles()), default=0) + 2
        return lay_out(
            self._grid,
            width=self.width(),
            height=self.height(),
            titles=titles,
            tallest_row=float(scaled(TALLEST_ROW)),
            axis=self._axis_height(),
        )

    def _paint_chosen(self, painter: QPainter) -> None:
        """Outlines around a few cells, lines below many; where all are chosen there is nothing to distinguish."""
        pen = QPen(QColor(self._theme.tokens.text), 1.5)
        if len(self._chosen) > OUTLINED:
            pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        if len(self._chosen) <= OUTLINED:
            inside = 0.5 if self._geometry.column >= 8 else -0.5
            for cell in self._chosen:
                painter.drawRoundedRect(self.rectangle(cell).adjusted(inside, inside, -inside, -inside), 2, 2)
        elif len(self._chosen) < len(self._expected):
            for cell in self._chosen:
                area = self.rectangle(cell)
                painter.drawLine(area.bottomLeft(), area.bottomRight())

    def _painted(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        picture = QPixmap(round(self.width() * ratio), round(self.height() * ratio))
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        paint_cells(painter, self._theme, self._grid, self._geometry, self._places, self._expected, self._colours)
        painter.setPen(QColor(self._theme.tokens.muted))
        painter.setFont(self._title_font())
        paint_row_titles(painter, self._geometry, self._row_titles())
        painter.setFont(self._small())
        paint_stack_titles(painter, self._geometry, self._grid)
        painter.end()
        return picture

    def _row_titles(self) -> list[str]:
        kinds = [*self._grid.kinds, *([OUTSIDE] if self._grid.outside else [])]
        return [self._titles(kind) for kind in kinds]


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
