"""How a table of layers looks: rows, bars, widths of the columns; what stands there while there are no rows."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QStackedWidget,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from app.theme import Theme
from app.widgets.basics import scaled, text_label
from app.widgets.layer_model import COLUMN, COLUMNS, FELL_SHORT, SHARE_ROLE

ROW_HEIGHT = 25
WIDTHS = {"shape": 124, "rank": 68, "change": 84, "kept": 176, "error": 68, "time": 76}
MARGIN = 11  # as the titles have it


class LayerDelegate(QStyledItemDelegate):
    """Paints a cell: its text, or a bar and a number for the share of the change that a layer keeps.

    It does so directly, because the style sheet's way asks the model for eight things per cell, in Python.
    """

    def __init__(self, theme: Theme, parent: QTableView) -> None:
        super().__init__(parent)
        self._theme = theme

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Row background, line above, content; a mark at the row that the keyboard is on."""
        tokens = self._theme.tokens
        area = QRectF(option.rect)
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, QColor(tokens.accent_background))
        painter.setPen(QColor(tokens.border))
        painter.drawLine(area.topLeft(), area.topRight())
        column = index.column()
        if column == 0 and option.state & QStyle.StateFlag.State_HasFocus:
            painter.fillRect(QRectF(area.left(), area.top() + 1, 2, area.height() - 1), QColor(tokens.accent))
        if column == COLUMN["kept"]:
            area.setLeft(self._paint_bar(painter, option, float(index.data(SHARE_ROLE))))
            area.setRight(area.right() - 4)
        else:
            area.adjust(MARGIN, 0, -MARGIN, 0)
        side = Qt.AlignmentFlag.AlignRight if COLUMNS[column].right else Qt.AlignmentFlag.AlignLeft
        text = option.fontMetrics.elidedText(str(index.data()), Qt.TextElideMode.ElideMiddle, int(area.width()))
        painter.setPen(option.palette.color(QPalette.ColorRole.Text))
        painter.drawText(area, side | Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()

    def _paint_bar(self, painter: QPainter, option: QStyleOptionViewItem, share: float) -> float:
        """Paint the bar; answer where the number beside it begins."""
        tokens = self._theme.tokens
        area = QRectF(option.rect)
        share = min(1.0, max(0.0, share))
        text_width = option.fontMetrics.horizontalAdvance("99.9999 %")
        bar = QRectF(area.left() + MARGIN, area.center().y() - 2, max(10.0, area.width() - text_width - 31), 5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.border))
        painter.drawRoundedRect(bar, 2.5, 2.5)
        painter.setBrush(QColor(tokens.good if share >= FELL_SHORT else tokens.warning))
        painter.drawRoundedRect(QRectF(bar.left(), bar.top(), max(5.0, bar.width() * share), 5), 2.5, 2.5)
        return bar.right() + 10


class LayerTable(QTableView):
    """A table on the layer model, without grid and row numbers."""

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        rows = self.verticalHeader()
        rows.hide()
        rows.setMinimumSectionSize(scaled(ROW_HEIGHT))
        rows.setDefaultSectionSize(scaled(ROW_HEIGHT))
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(40)
        self.setItemDelegate(LayerDelegate(theme, self))

    def arrange(self) -> None:
        """Give the name what the other columns leave; call it once the model is set."""
        header = self.horizontalHeader()
        for number, column in enumerate(COLUMNS):
            if column.key == "name":
                header.setSectionResizeMode(number, QHeaderView.ResizeMode.Stretch)
            else:
                header.setSectionResizeMode(number, QHeaderView.ResizeMode.Interactive)
                header.resizeSection(number, scaled(WIDTHS[column.key]))


def hint_or_table(hint: str, table: QTableView, nothing: str = "") -> QStackedWidget:
    """A stack of the words for an empty table, shown first, the table, and the words where nothing matches."""
    stack = QStackedWidget()
    stack.addWidget(_words(hint))
    stack.addWidget(table)
    stack.addWidget(_words(nothing))
    return stack


def _words(text: str) -> QLabel:
    label = text_label(text, "muted")
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setWordWrap(True)
    return label
