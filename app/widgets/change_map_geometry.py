"""Where the cells of the change map are, in pixels. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRectF

from app.widgets.change_map_data import ChangeGrid

NARROWEST_COLUMN = 4
WIDEST_COLUMN = 160
LABEL_SHARE = 0.28  # of the width, at most
GAP = 12  # between the kinds' names and their cells
BETWEEN_STACKS = 5


@dataclass(frozen=True)
class Geometry:
    """Where the cells are.

    Attributes:
        left: where the first column begins.
        lefts: where each column begins.
        column, row: width and height of a cell, the space to its neighbours included.
    """

    left: float
    lefts: tuple[float, ...]
    column: float
    row: float

    def cell(self, row: int, column: int) -> QRectF:
        """The rectangle that is painted for a cell."""
        width, height = self.column - _space(self.column), self.row - _space(self.row)
        return QRectF(self.lefts[column], row * self.row, width, height)

    def column_at(self, x: float) -> int | None:
        """The column at a place; None beside them."""
        places = (number for number, left in enumerate(self.lefts) if left <= x < left + self.column)
        return next(places, None)


NOWHERE = Geometry(0, (), 0, 0)


def lay_out(grid: ChangeGrid, *, width: float, height: float, titles: float, tallest_row: float) -> Geometry:
    """Fill a rectangle with the cells of a grid.

    Args:
        grid: rows and columns.
        width: of the rectangle, the rows' titles included.
        height: of the rows.
        titles: width of the longest title of a row.
        tallest_row: a row is not taller, however much room there is.
    """
    if not grid.size:
        return NOWHERE
    left = min(titles, LABEL_SHARE * width) + GAP
    starts = {group.first for group in grid.groups if group.first}
    column = min(float(WIDEST_COLUMN), (width - left - BETWEEN_STACKS * len(starts)) / len(grid.columns))
    lefts, at = [], left
    for number in range(len(grid.columns)):
        at += BETWEEN_STACKS if number in starts else 0
        lefts.append(at)
        at += column
    return Geometry(left, tuple(lefts), column, min(tallest_row, height / len(grid.kinds)))


def group_title(stack: str) -> str:
    """What stands below the columns of a stack: its name, or the telling parts of a long one."""
    parts = stack.split(".")
    return parts[-1] if len(parts) < 3 else ".".join([parts[0], parts[1], parts[-1]])


def _space(size: float) -> float:
    """Between neighbours; none where cells are only a few pixels wide."""
    return 2.0 if size >= 8 else 1.0 if size >= 4 else 0.0
