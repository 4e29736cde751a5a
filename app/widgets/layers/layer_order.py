"""Which layers are shown and in which order: a sort and a filter over all rows, in a few milliseconds for thousands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractTableModel, QModelIndex, Qt, Slot

from app.widgets.layers.layer_model import COLUMN, COLUMNS, FELL_SHORT, Index, LayerModel, short_name
from engine.analysis.quality import layer_share
from engine.results import LayerResult

Key = TypeVar("Key")
Rows = NDArray[np.intp]
CHANGED_MOST = 0.1  # of all layers


class Show(str, Enum):
    """Which layers, beside those with certain words in their names."""

    ALL = "all"
    FELL_SHORT = "fell_short"
    CAPPED = "capped"
    CHANGED_MOST = "changed_most"
    STORED_WHOLE = "stored_whole"


class LayerKeys:
    """What rows are sorted and filtered by, computed once per row and not once per comparison."""

    def __init__(self, model: LayerModel) -> None:
        self._model = model
        self._columns: dict[str, list[str | float]] = {}
        self._names: list[str] = []
        self._judged: list[float] = []

    def clear(self) -> None:
        """Forget everything: the rows are others."""
        self._columns, self._names, self._judged = {}, [], []

    def arrange(self, column: int, *, descending: bool) -> Rows:
        """All rows in the order of a column; rows that are equal in it stay in the order they came in."""
        keys = self._values(COLUMNS[column].key)
        if column == COLUMN["name"]:
            names = [str(key) for key in keys]
            return np.array(sorted(range(len(names)), key=names.__getitem__, reverse=descending), dtype=np.intp)
        numbers = np.array(keys, dtype=float)
        return np.argsort(-numbers if descending else numbers, kind="stable")

    def matching(self, words: Iterable[str], show: Show) -> NDArray[np.bool_]:
        """For each row whether it belongs to the kind shown and its name has all the words, in any case."""
        matches = self._of_kind(show)
        wanted = [word.casefold() for word in words]
        if wanted:
            names = self._folded_names()
            matches &= np.fromiter((all(word in name for word in wanted) for name in names), bool, len(names))
        return matches

    def _of_kind(self, show: Show) -> NDArray[np.bool_]:
        count = self._model.rowCount()
        if show is Show.FELL_SHORT:
            return np.array(self._extended(self._judged, layer_share), dtype=float) < FELL_SHORT
        if show is Show.CAPPED:
            return np.fromiter((self._model.row(number).capped for number in range(count)), bool, count)
        if show is Show.STORED_WHOLE:
            return np.array(self._values("rank"), dtype=float) < 0
        matches = np.ones(count, dtype=bool)
        if show is Show.CHANGED_MOST:
            most = max(1, round(count * CHANGED_MOST))
            matches[self.arrange(COLUMN["change"], descending=True)[most:]] = False
        return matches

    def _values(self, key: str) -> list[str | float]:
        return self._extended(self._columns.setdefault(key, []), COLUMNS[COLUMN[key]].order)

    def _folded_names(self) -> list[str]:
        return self._extended(self._names, lambda row: short_name(row.name).casefold())

    def _extended(self, known: list[Key], value: Callable[[LayerResult], Key]) -> list[Key]:
        known.extend(value(self._model.row(number)) for number in range(len(known), self._model.rowCount()))
        return known


class ShownLayers(QAbstractTableModel):
    """The rows of a `LayerModel` that match a filter, sorted.

    A model of its own and not Qt's proxy, which asks Python for two keys per comparison. Every change of order is a
    reset: views keep no row's place, `LayersPanel` chooses and scrolls anew by name.
    """

    def __init__(self, source: LayerModel) -> None:
        super().__init__(source)
        self._source = source
        self._keys = LayerKeys(source)
        self._column, self._descending = -1, False
        self._words: tuple[str, ...] = ()
        self._show = Show.ALL
        self._rows: Rows = np.arange(source.rowCount(), dtype=np.intp)
        source.rowsInserted.connect(self._grow)
        source.modelReset.connect(self._begin)

    @property
    def filtered(self) -> bool:
        """Whether some rows may be hidden."""
        return bool(self._words) or self._show is not Show.ALL

    def find(self, text: str, show: Show) -> None:
        """Show the layers of a kind whose names have all the words of a text."""
        words = tuple(text.split())
        if (words, show) != (self._words, self._show):
            self._words, self._show = words, show
            self._arrange()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Order the rows by a column; by none (-1) in the order they came in."""
        descending = order == Qt.SortOrder.DescendingOrder
        if (column, descending) != (self._column, self._descending):
            self._column, self._descending = column, descending
            self._arrange()

    def count(self, show: Show) -> int:
        """How many layers of a kind there are, shown or not."""
        return int(np.count_nonzero(self._keys.matching((), show)))

    def numbers(self) -> Rows:
        """The rows of the source that are shown, in the order shown."""
        return self._rows

    def places(self, numbers: Iterable[int]) -> Rows:
        """Where rows of the source are shown, ascending; hidden ones are left out."""
        wanted = np.fromiter(numbers, dtype=np.intp)
        return np.flatnonzero(np.isin(self._rows, wanted))

    def rowCount(self, parent: Index | None = None) -> int:
        """One row per layer shown."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, _parent: Index | None = None) -> int:
        """The source's columns."""
        return len(COLUMNS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """What the source says about the row that is shown here."""
        return self._source.cell(int(self._rows[index.row()]), index.column(), role)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The source's titles."""
        return self._source.headerData(section, orientation, role)

    def _arrange(self) -> None:
        self.beginResetModel()
        if self._column >= 0:
            rows = self._keys.arrange(self._column, descending=self._descending)
        else:
            rows = np.arange(self._source.rowCount(), dtype=np.intp)
        self._rows = rows[self._keys.matching(self._words, self._show)[rows]] if self.filtered else rows
        self.endResetModel()

    @Slot(QModelIndex, int, int)
    def _grow(self, _parent: QModelIndex, first: int, last: int) -> None:
        if self._column >= 0 or self.filtered:
            self._arrange()
            return
        self.beginInsertRows(QModelIndex(), first, last)
        self._rows = np.arange(last + 1, dtype=np.intp)
        self.endInsertRows()

    @Slot()
    def _begin(self) -> None:
        self._keys.clear()
        self._arrange()
