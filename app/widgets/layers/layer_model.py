"""The finished layers as a table model that stays quick with tens of thousands of rows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, QTimer, Slot

from app.text.noise import measured_noise, measured_real, noise_sentences, real_sentences
from app.text.notices import format_share
from app.text.translation import decimal, marked, translator, whole
from app.text.window_text import short_seconds
from engine.analysis.quality import SHORT, layer_share
from engine.results import LayerResult

_tr = translator("LayerModel")

Index = QModelIndex | QPersistentModelIndex
SHARE_ROLE = Qt.ItemDataRole.UserRole + 1
NUMBER_ROLE = Qt.ItemDataRole.UserRole + 2
JUDGED_ROLE = Qt.ItemDataRole.UserRole + 3  # the share that decides whether a layer is marked
FLUSH_MS = 60
FELL_SHORT = SHORT


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


def natural_key(name: str) -> str:
    """A text that sorts as the name does where block 10 comes after block 9."""
    return re.sub(r"\d+", lambda number: number[0].zfill(6), name)


def share_text(share: float) -> str:
    """A share of the change that a layer keeps, as the table writes it."""
    return _tr("100 %") if share >= 1.0 else format_share(share)


def change_text(change: float) -> str:
    """``1.24 %``, ``0.031 %``: a relative change with three digits; in words where the original is all zero."""
    percent = 100 * change
    if not math.isfinite(percent):
        return _tr("from zero")
    digits = 0 if percent >= 99.5 else 1 if percent >= 9.95 else 2 if percent >= 0.0995 else 3 if percent else 0
    return _tr("{percent} %").format(percent=decimal(percent, digits))


def _rank_text(row: LayerResult) -> str:
    if row.rank is None:
        return _tr("whole")
    return f"{whole(row.rank)} \u2264" if row.capped else whole(row.rank)


def _real_order(row: LayerResult) -> float:
    """What a layer is sorted by: those not measured first, then those that are all noise, then the shares."""
    if row.noise is None:
        return -math.inf
    share = row.noise.real_energy_retained
    return -1e9 if row.noise.all_noise or share is None else share


COLUMNS = (
    Column(
        "name",
        marked("LayerModel", "Layer"),
        lambda row: short_name(row.name),
        lambda row: natural_key(row.name),
        right=False,
    ),
    Column(
        "shape",
        marked("LayerModel", "Shape"),
        lambda row: " \u00d7 ".join(map(str, row.shape)),
        lambda row: float(math.prod(row.shape)),
    ),
    Column("rank", marked("LayerModel", "Rank"), _rank_text, lambda row: -1.0 if row.rank is None else float(row.rank)),
    Column(
        "change",
        marked("LayerModel", "Changed"),
        lambda row: change_text(row.relative_change),
        lambda row: row.relative_change,
    ),
    Column(
        "kept",
        marked("LayerModel", "Change kept"),
        lambda row: share_text(row.energy_retained),
        lambda row: row.energy_retained,
        right=False,
    ),
    Column(
        "real",
        marked("LayerModel", "Real kept"),
        lambda row: measured_real(row.noise),
        _real_order,
    ),
    Column(
        "noise",
        marked("LayerModel", "Noise"),
        lambda row: measured_noise(row.noise),
        lambda row: -1.0 if row.noise is None else row.noise.noise_share,
    ),
    Column(
        "error",
        marked("LayerModel", "Error"),
        lambda row: decimal(row.relative_error, 3),
        lambda row: row.relative_error,
    ),
    Column(
        "time",
        marked("LayerModel", "Time"),
        lambda row: short_seconds(row.seconds.total),
        lambda row: row.seconds.total,
    ),
)
COLUMN = {column.key: number for number, column in enumerate(COLUMNS)}


class LayerModel(QAbstractTableModel):
    """Rows arrive one by one and are shown a few times a second, together."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[LayerResult] = []
        self._waiting: list[LayerResult] = []
        self._numbers: dict[str, int] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FLUSH_MS)
        self._timer.timeout.connect(self.flush)

    def start(self) -> None:
        """Empty the table for a new run."""
        self.beginResetModel()
        self._rows, self._waiting, self._numbers = [], [], {}
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
        self._numbers.update((row.name, first + number) for number, row in enumerate(self._waiting))
        self._waiting = []
        self.endInsertRows()

    def row(self, number: int) -> LayerResult:
        """The layer in a row."""
        return self._rows[number]

    def number(self, name: str) -> int | None:
        """The row of a layer by its canonical name; None where it is not (yet) there."""
        return self._numbers.get(name)

    def find(self, name: str) -> LayerResult | None:
        """A layer by its canonical name; None where it is not (yet) there."""
        number = self._numbers.get(name)
        return None if number is None else self._rows[number]

    def rowCount(self, parent: Index | None = None) -> int:
        """One row per finished layer."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, _parent: Index | None = None) -> int:
        """The columns above."""
        return len(COLUMNS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Text, order and alignment of a cell."""
        return self.cell(index.row(), index.column(), role)

    def cell(self, number: int, column_number: int, role: int) -> object:
        """As `data`, by row and column."""
        row, column = self._rows[number], COLUMNS[column_number]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(row)
        if role == NUMBER_ROLE:
            return number
        if role == SHARE_ROLE:
            return row.energy_retained
        if role == JUDGED_ROLE:
            return layer_share(row)
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
            return _tr(COLUMNS[section].title)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(COLUMNS[section])
        return None

    def _tooltip(self, row: LayerResult, column: Column) -> str:
        if column.key == "name":
            return row.name
        if column.key == "shape":
            return column.text(row)
        if column.key == "rank" and row.capped:
            return self.tr("The rule asked for more than the highest rank allowed.")
        if column.key == "rank" and row.rank is None:
            return self.tr("The difference itself is stored, not factors of it.")
        if column.key == "change":
            return self.tr("Size of the change, as a share of the original weight's size")
        if column.key == "real":
            return "\n".join(real_sentences(row.noise))
        if column.key == "noise":
            return "\n".join(noise_sentences(row.noise))
        if column.key == "error":
            return self.tr("Size of what is lost, as a share of the change's size")
        return ""


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
