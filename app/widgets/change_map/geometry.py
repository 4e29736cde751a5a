"""Where the cells of the change map are, in pixels. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from PySide6.QtCore import QRectF

from app.widgets.change_map.grid import ChangeGrid

NARROWEST_COLUMN = 4
WIDEST_COLUMN = 160
LABEL_SHARE = 0.28  # of the width, at most
GAP = 12  # between the kinds' names and their cells
BETWEEN_STACKS = 7
BETWEEN_RUNS = 2  # of an outer stack, where an inner one begins or ends
ABOVE_STRIP = 5


@dataclass(frozen=True)
class Geometry:
    """Where the cells are.

    Attributes:
        left: where the first column begins.
        lefts: where each column begins.
        column, row: width and height of a cell, the space to its neighbours included.
        rows: how many rows of kinds there are.
        axis: where the names of the stacks begin, below the rows.
        strip_top: where the strip of layers outside the blocks begins, below those names.
        strip_cell: width of a cell there, the space included.
        strip_cells: how many there are.
    """

    left: float = 0.0
    lefts: tuple[float, ...] = ()
    column: float = 0.0
    row: float = 0.0
    rows: int = 0
    axis: float = 0.0
    strip_top: float = 0.0
    strip_cell: float = 0.0
    strip_cells: int = 0

    def top(self, row: int) -> float:
        """Where a row begins; the strip is the one after the kinds."""
        return row * self.row if row < self.rows else self.strip_top

    def cell(self, row: int, column: int) -> QRectF:
        """The rectangle that is painted for a cell."""
        height = self.row - _space(self.row)
        if row < self.rows:
            return QRectF(self.lefts[column], self.top(row), self.column - _space(self.column), height)
        width = self.strip_cell
        return QRectF(self.left + column * width, self.strip_top, width - _space(width), height)

    def place_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column at a place; None beside the cells."""
        if self.row and 0 <= y < self.rows * self.row:
            columns = (number for number, left in enumerate(self.lefts) if left <= x < left + self.column)
            column = next(columns, None)
            return None if column is None else (int(y // self.row), column)
        if self.strip_cells and x >= self.left and self.strip_top <= y < self.strip_top + self.row:
            column = int((x - self.left) // self.strip_cell)
            return (self.rows, column) if column < self.strip_cells else None
        return None


NOWHERE = Geometry()


def lay_out(
    grid: ChangeGrid, *, width: float, height: float, titles: float, tallest_row: float, axis: float
) -> Geometry:
    """Fill a rectangle with the cells of a grid.

    Args:
        grid: rows and columns.
        width: of the rectangle, the rows' titles included.
        height: of the rectangle, the stacks' names included.
        titles: width of the longest title of a row.
        tallest_row: a row is not taller, however much room there is.
        axis: height of the stacks' names.
    """
    if not grid.size:
        return NOWHERE
    left = min(titles, LABEL_SHARE * width) + GAP
    stacks = {group.first for group in grid.groups if group.first}
    spaces = {run: BETWEEN_STACKS if run in stacks else BETWEEN_RUNS for run in grid.runs if run}
    column = min(float(WIDEST_COLUMN), (width - left - sum(spaces.values())) / len(grid.columns))
    lefts, at = [], left
    for number in range(len(grid.columns)):
        at += spaces.get(number, 0)
        lefts.append(at)
        at += column
    row = min(tallest_row, max(1.0, (height - beside_rows(grid, axis)) / grid.rows))
    under = len(grid.kinds) * row
    strip = under + beside_rows(grid, axis) if grid.outside else 0.0
    strip_cell = min(float(WIDEST_COLUMN), (at - left) / grid.outside) if grid.outside else 0.0
    return Geometry(left, tuple(lefts), column, row, len(grid.kinds), under, strip, strip_cell, grid.outside)


def beside_rows(grid: ChangeGrid, axis: float) -> float:
    """The height that no row has: the names of the stacks, and the space between them and the strip."""
    return (axis if grid.groups else 0.0) + (ABOVE_STRIP if grid.outside else 0.0)


def group_title(stack: str) -> str:
    """What stands below the columns of a stack: its name, or the distinctive parts of a long one."""
    parts = stack.split(".")
    return parts[-1] if len(parts) < 3 else ".".join([parts[0], parts[1], parts[-1]])


def short_group_title(stack: str) -> str:
    """The same where it has no room: ``middle`` for ``middle_block``."""
    return re.sub(r"(?<=\w)_blocks?$", "", group_title(stack))


def _space(size: float) -> float:
    """Between neighbours; none where cells are only a few pixels wide."""
    return 2.0 if size >= 8 else 1.0 if size >= 4 else 0.0
