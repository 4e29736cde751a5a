"""How wide the columns of a table of layers are, and which of them there is room for."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, Slot
from PySide6.QtWidgets import QHeaderView, QTableView

from app.widgets.basics.basics import scaled
from app.widgets.layers.layer_model import COLUMN, COLUMNS

MARGIN = 11  # as the titles have it
LEAST_NAME = 236  # enough for a block within a block and what is in it
KEPT_SAMPLE = "99.9999 %"
BESIDE_BAR = 31
BAR, SHORT_BAR = 70, 24
DROPPED = ("error", "time", "shape", "noise", "real")  # the first of them first
SAMPLES = {
    "shape": "12288 \u00d7 3072",
    "rank": "1,024 \u2264",
    "change": "0.0123 %",
    "real": "99.99 %",
    "noise": "99 %",
    "error": "0.999",
    "time": "99.9 ms",
}
LOOKED_AT = 64  # rows whose texts are measured after a sort or a filter


def columns_for(
    widths: Mapping[str, int], room: int, *, name: int, spare: int
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Which columns have no room, and how wide the others are.

    Args:
        widths: what each column would like to have, but for the name.
        room: width of the table.
        name: least width of the name, which gets all that the others leave.
        spare: what the column with the bar can do without.

    Returns:
        The columns to leave out, and the widths of all others. Together they are as wide as the table, or wider where
        leaving columns out does not help.
    """
    dropped: list[str] = []
    candidates = [key for key in DROPPED if key in widths]
    while candidates and name + sum(width for key, width in widths.items() if key not in dropped) - spare > room:
        dropped.append(candidates.pop(0))
    shown = {key: width for key, width in widths.items() if key not in dropped}
    missing = name + sum(shown.values()) - room
    shown["kept"] -= min(spare, max(0, missing))
    return tuple(dropped), shown | {"name": max(name, room - sum(shown.values()))}


class ColumnWidths(QObject):
    """Sizes the columns of a table by their titles and texts; a width that was set by hand stays."""

    def __init__(self, table: QTableView) -> None:
        super().__init__(table)
        self._table = table
        self._without: Collection[str] = ()
        self._texts: dict[str, int] = {}  # widest text in each column
        self._titles: dict[str, int] = {}  # width of each title
        self._given: dict[str, int] = {}
        self._fitting = False
        self._model: QAbstractItemModel | None = None

    def begin(self, without: Collection[str]) -> None:
        """Look after the table from now on; its model is set."""
        self._without, self._model = without, self._table.model()
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.sectionResized.connect(self._on_resized)
        self._model.rowsInserted.connect(self._on_rows)
        self._model.modelReset.connect(self._on_reset)
        self.measure()

    @Slot()
    def measure(self) -> None:
        """Measure everything anew."""
        if self._model is None:
            return
        metrics, header = self._table.fontMetrics(), self._table.horizontalHeader()
        self._fitting = True
        for number in range(len(COLUMNS)):
            self._table.setColumnHidden(number, False)  # a hidden one has no hint
        self._fitting = False
        self._titles = {key: header.sectionSizeHint(number) for key, number in COLUMN.items()}
        self._texts = {key: metrics.horizontalAdvance(text) for key, text in SAMPLES.items()}
        self._look(0, self._model.rowCount() - 1, ("shape",))
        self._sample()
        self.fit()

    @Slot()
    def fit(self) -> None:
        """Show the columns for which there is room."""
        if self._model is None or self._fitting:
            return
        header, metrics = self._table.horizontalHeader(), self._table.fontMetrics()
        bar = metrics.horizontalAdvance(KEPT_SAMPLE) + BESIDE_BAR
        texts = {key: text + 2 * MARGIN + 2 for key, text in self._texts.items()} | {"kept": bar + scaled(BAR)}
        widths = {
            key: self._given.get(key) or max(text, self._titles[key])
            for key, text in texts.items()
            if key not in self._without
        }
        least = max(bar + scaled(SHORT_BAR), self._titles["kept"])
        dropped, shown = columns_for(
            widths,
            self._table.viewport().width(),
            name=self._given.get("name") or scaled(LEAST_NAME),
            spare=0 if "kept" in self._given else max(0, widths["kept"] - least),
        )
        self._fitting = True
        for number, column in enumerate(COLUMNS):
            self._table.setColumnHidden(number, column.key in dropped or column.key in self._without)
            if column.key in shown:
                header.resizeSection(number, shown[column.key])
        self._fitting = False

    def _look(self, first: int, last: int, keys: Collection[str] = tuple(SAMPLES), every: int = 1) -> bool:
        """Take in texts of some rows; whether there was a wider one."""
        if self._model is None:
            return False
        metrics, before = self._table.fontMetrics(), dict(self._texts)
        for key in keys:
            column = COLUMN[key]
            texts = {str(self._model.index(row, column).data()) for row in range(first, last + 1, every)}
            self._texts[key] = max([self._texts[key], *map(metrics.horizontalAdvance, texts)])
        return self._texts != before

    def _sample(self) -> bool:
        last = self._model.rowCount() - 1 if self._model is not None else -1
        return self._look(0, last, every=1 + max(0, last) // LOOKED_AT)

    @Slot(QModelIndex, int, int)
    def _on_rows(self, _parent: QModelIndex, first: int, last: int) -> None:
        wider = self._look(first, last, ("shape",))
        if self._look(first, last, every=1 + (last - first) // LOOKED_AT) or wider:
            self.fit()

    @Slot()
    def _on_reset(self) -> None:
        if self._sample():
            self.fit()

    @Slot(int, int, int)
    def _on_resized(self, number: int, _before: int, width: int) -> None:
        if not self._fitting and width:
            self._given[COLUMNS[number].key] = width
            self.fit()
