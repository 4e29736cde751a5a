"""The list behind "why?": every tensor that is left out, with the reason in words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSize, Qt, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractItemView, QDialog, QHBoxLayout, QHeaderView, QTableView, QVBoxLayout, QWidget

from app.text.notices import left_out_text
from app.text.translation import plural, whole
from app.widgets.basics.basics import push_button, wrapped_label
from app.widgets.basics.window_placement import resize_on_screen
from engine.results import LeftOut

Index = QModelIndex | QPersistentModelIndex


class LeftOutModel(QAbstractTableModel):
    """Name and reason."""

    def __init__(self, left_out: Sequence[LeftOut]) -> None:
        super().__init__()
        self._rows = [(item.name, left_out_text(item)) for item in left_out]

    def rowCount(self, parent: Index | None = None) -> int:
        """One row per tensor."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, _parent: Index | None = None) -> int:
        """Name and reason."""
        return 2

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Text of a cell."""
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self._rows[index.row()][index.column()]
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Titles of the columns."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return (self.tr("Layer"), self.tr("Why it is left out"))[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def as_text(self) -> str:
        """All rows, tab-separated."""
        return "\n".join("\t".join(row) for row in self._rows)


class LeftOutDialog(QDialog):
    """Shows what is left out of the LoRA and why."""

    def __init__(self, left_out: Sequence[LeftOut], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Left out"))
        resize_on_screen(self, QSize(760, 440))
        self.model = LeftOutModel(left_out)
        intro = wrapped_label(
            plural(
                "LeftOutDialog",
                "{count} tensor is not in the LoRA. Everything else is.",
                "These {count} tensors are not in the LoRA. Everything else is.",
                len(left_out),
            ).format(count=whole(len(left_out))),
            "muted",
        )
        table = QTableView()
        table.setAccessibleName(self.tr("What is left out"))
        table.setModel(self.model)
        table.setShowGrid(False)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(28)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        table.horizontalHeader().setHighlightSections(False)
        copy = push_button(self.tr("Copy list"))
        copy.clicked.connect(self._copy)
        close = push_button(self.tr("Close"), kind="primary")
        close.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.addWidget(copy)
        buttons.addStretch(1)
        buttons.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(intro)
        column.addWidget(table, 1)
        column.addLayout(buttons)

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.model.as_text())
