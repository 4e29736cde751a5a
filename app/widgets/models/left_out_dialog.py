"""The list behind "why?": what is left out, grouped by reason and name, and in each group every tensor."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QGuiApplication, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QAbstractItemView, QDialog, QHBoxLayout, QHeaderView, QTreeView, QVBoxLayout, QWidget

from app.text.left_out import group_left_out, parameters_text
from app.text.notices import left_out_text
from app.text.translation import plural, whole
from app.widgets.basics.basics import push_button, wrapped_label
from app.widgets.basics.window_placement import resize_on_screen
from engine.results import LeftOut

NAME, SIZE, WHY = range(3)
OPEN_UP_TO = 12  # tensors that are all shown from the start, below their groups


class LeftOutModel(QStandardItemModel):
    """A row for each group, and below it one for each of its tensors: name, size, reason."""

    def __init__(self, left_out: Sequence[LeftOut]) -> None:
        super().__init__()
        self._left_out = tuple(left_out)
        self.groups = group_left_out(left_out)
        self.setHorizontalHeaderLabels([self.tr("Layers"), self.tr("Size"), self.tr("Why it is left out")])
        for group in self.groups:
            row = _row(group.pattern, group.size, group.why)
            if len(group.items) > 1:
                for item in group.items:
                    row[NAME].appendRow(_row(item.name, _size(item), left_out_text(item)))
            self.appendRow(row)

    def as_text(self) -> str:
        """All tensors, tab-separated."""
        return "\n".join(f"{item.name}\t{left_out_text(item)}" for item in self._left_out)


class LeftOutDialog(QDialog):
    """Shows what is left out of the LoRA and why."""

    def __init__(self, left_out: Sequence[LeftOut], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Left out"))
        resize_on_screen(self, QSize(860, 460))
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
        column.addWidget(self._tree(), 1)
        column.addLayout(buttons)

    def _tree(self) -> QTreeView:
        tree = QTreeView()
        tree.setAccessibleName(self.tr("What is left out"))
        tree.setModel(self.model)
        tree.setUniformRowHeights(True)
        tree.setProperty("rows", "roomy")
        tree.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        tree.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header = tree.header()
        header.setStretchLastSection(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(SIZE, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(WHY, QHeaderView.ResizeMode.Stretch)
        if sum(len(group.items) for group in self.model.groups) <= OPEN_UP_TO:
            tree.expandAll()
        return tree

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.model.as_text())


def _row(*texts: str) -> list[QStandardItem]:
    items = [QStandardItem(text) for text in texts]
    for item, text in zip(items, texts, strict=True):
        item.setToolTip(text)
    return items


def _size(item: LeftOut) -> str:
    return parameters_text(item.numel) if item.numel else ""
