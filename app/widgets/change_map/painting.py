"""Paints the parts of the change map: its cells, the titles of its rows, the names of its stacks of blocks."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from app.look.theme import Theme
from app.widgets.change_map.colours import mixed
from app.widgets.change_map.geometry import GAP, Geometry, group_title, short_group_title
from app.widgets.change_map.grid import ChangeGrid
from app.widgets.change_map.values import Cells

ROUND_FROM = 8  # pixels of width
CORNER = 2.0


def paint_cells(
    painter: QPainter,
    theme: Theme,
    grid: ChangeGrid,
    geometry: Geometry,
    places: Cells,
    expected: Collection[int],
    colours: Sequence[QColor],
) -> None:
    """Colours for cells with values, outlines for those whose layers are not finished, dots for those without layers.

    Args:
        painter: where to.
        theme: the colours of what has no value.
        grid: rows and columns.
        geometry: where they are.
        places: of each cell its place on the scale, from 0 to 1; NaN while it has no value.
        expected: cells that have layers, finished or not.
        colours: shades from one end of the scale to the other.
    """
    tokens = theme.tokens
    outline, empty = QPen(mixed(tokens.border, tokens.muted, 0.25), 1), QColor(tokens.border)
    corner = CORNER if geometry.column >= ROUND_FROM else 0.0
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, bool(corner))
    for cell in range(grid.size):
        area, place = geometry.cell(*grid.place(cell)), places[cell]
        painter.setPen(Qt.PenStyle.NoPen)
        if np.isfinite(place):
            painter.setBrush(colours[int(place * (len(colours) - 1) + 0.5)])
            painter.drawRoundedRect(area, corner, corner)
        elif cell in expected:
            painter.setPen(outline)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(area.adjusted(0.5, 0.5, -0.5, -0.5), corner, corner)
        else:
            painter.setBrush(empty)
            painter.drawEllipse(area.center(), 1.0, 1.0)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)


def paint_row_titles(painter: QPainter, geometry: Geometry, titles: Sequence[str]) -> None:
    """A title at the left of each row, in the painter's font and colour."""
    metrics = painter.fontMetrics()
    for row, title in enumerate(titles):
        area = QRectF(0, geometry.top(row) - 1, geometry.left - GAP + 1, geometry.row)
        text = metrics.elidedText(title, Qt.TextElideMode.ElideMiddle, int(area.width()))
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)


def paint_stack_titles(painter: QPainter, geometry: Geometry, grid: ChangeGrid) -> None:
    """The name of each stack of blocks below its columns, where there is room for one."""
    metrics = painter.fontMetrics()
    for group in grid.groups:
        left = geometry.lefts[group.first]
        width = geometry.lefts[group.first + group.columns - 1] + geometry.column - left
        title = group_title(group.title)
        title = title if metrics.horizontalAdvance(title) <= width else short_group_title(group.title)
        text = metrics.elidedText(title, Qt.TextElideMode.ElideLeft, int(width))
        if len(text) > 2:
            area = QRectF(left, geometry.axis + 1, width, metrics.height())
            painter.drawText(area, Qt.AlignmentFlag.AlignLeft, text)
