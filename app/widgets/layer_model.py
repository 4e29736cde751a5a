"""The finished layers as a table model that stays quick with tens of thousands of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QAbstractTableModel, QCoreApplication, QModelIndex, QPersistentModelIndex, Qt, QTimer, Slot

from app.messages import format_share
from app.wording import short_seconds
from engine.results import LayerResult

Index = QModelIndex | QPersistentModelIndex
SORT_ROLE = Qt.ItemDataRole.UserRole
SHARE_ROLE = Qt.ItemDataRole.UserRole + 1
NUMBER_ROLE = Qt.ItemDataRole.UserRole + 2
FLUSH_MS = 60


@dataclass(frozen=True)
class Column:
    """One column: its title, what a cell shows, and what it sorts by."""

    key: str
    title: str
    text: Callable[[LayerResult], str]
    order: Callable[[LayerResult], str | float]
    right: bool = True


def short_name(name: str) -> str:
    """A layer's name without the parts that every name has."""
    return name.removeprefix("diffusion_model.").removesuffix(".weight")


def _rank_text(row: LayerResult) -> str:
    if row.rank is None:
        return QCoreApplication.translate("LayerModel", "whole")
    return f"{row.rank} \u2264" if row.capped else str(row.rank)


def _kept_text(row: LayerResult) -> str:
    return "100 %" if row.energy_retained >= 1.0 else format_share(row.energy_retained)


COLUMNS = (
    Column("name", "Layer", lambda row: short_name(row.name), lambda row: row.name, right=False),
    Column("shape", "Shape", lambda row: " \u00d7 ".join(map(str, row.shape)), lambda row: float(_size(row.shape))),
    Column("rank", "Rank", _rank_text, lambda row: -1.0 if row.rank is None else float(row.rank)),
    Column("kept", "Change kept", _kept_text, lambda row: row.energy_retained, False),
    Column("error", "Error", lambda row: f"{row.relative_error:.3f}", lambda row: row.relative_error),
    Column("time", "Time", lambda row: short_seconds(row.seconds.total), lambda row: row.seconds.total),
)
KEPT = [column.key for column in COLUMNS].index("kept")


def _size(shape: Sequence[int]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product


class LayerModel(QAbstractTableModel):
    """Rows arrive one by one and are shown a few times a second, together."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[LayerResult] = []
        self._waiting: list[LayerResult] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FLUSH_MS)
        self._timer.timeout.connect(self.flush)

    def start(self) -> None:
        """Empty the table for a new run."""
        self.beginResetModel()
        self._rows, self._waiting = [], []
        self.endResetModel()

    def add(self, row: LayerResult) -> None:
        """Take a finished layer; it is shown within a moment."""
        self._waiting.append(row)
        if not self._timer.isActive():
            self._timer.start()

    @Slot()
    def flush(self) -> None:
        """Show the rows that wait."""
        if not self._waiting:
            return
        first = len(self._rows)
        self.beginInsertRows(QModelIndex(), first, first + len(self._waiting) - 1)
        self._rows += self._waiting
        self._waiting = []
        self.endInsertRows()

    def row(self, number: int) -> LayerResult:
        """The layer in a row."""
        return self._rows[number]

    def rowCount(self, parent: Index | None = None) -> int:
        """One row per finished layer."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, _parent: Index | None = None) -> int:
        """The columns above."""
        return len(COLUMNS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Text, order and alignment of a cell."""
        row, column = self._rows[index.row()], COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(row)
        if role == SORT_ROLE:
            return column.order(row)
        if role == NUMBER_ROLE:
            return index.row()
        if role == SHARE_ROLE:
            return row.energy_retained
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tooltip(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Titles of the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return QCoreApplication.translate("LayerModel", COLUMNS[section].title)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(COLUMNS[section])
        return None

    def _tooltip(self, row: LayerResult, column: Column) -> str:
        if column.key == "name":
            return row.name
        if column.key == "rank" and row.capped:
            return QCoreApplication.translate("LayerModel", "The rule asked for more than the highest rank allowed.")
        if column.key == "error":
            return QCoreApplication.translate("LayerModel", "Size of what is lost, as a share of the change's size")
        return ""


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
