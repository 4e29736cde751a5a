"""How a table of layers looks: rows, bars, widths of the columns; what stands there while there are no rows."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPalette, QResizeEvent
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

from app.look.theme import Theme
from app.widgets.basics.basics import scaled, text_label
from app.widgets.basics.kept_drawing import kept_colour
from app.widgets.layers.layer_columns import BESIDE_BAR, KEPT_SAMPLE, MARGIN, ColumnWidths
from app.widgets.layers.layer_model import COLUMN, COLUMNS, JUDGED_ROLE, SHARE_ROLE
from app.widgets.layers.layer_names import fitted_name

ROW_HEIGHT = 25


class LayerDelegate(QStyledItemDelegate):
    """Paints a cell: its text, or a bar and a number for the share of the change that a layer keeps.

    It does so directly, because the style sheet's way asks the model for eight things per cell, in Python.
    """

    def __init__(self, theme: Theme, parent: QTableView) -> None:
        super().__init__(parent)
        self._theme = theme
        self._names: dict[str, str] = {}  # as shortened, for a width and height of text
        self._names_for = (0, 0)

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
            area.setLeft(
                self._paint_bar(painter, option, float(index.data(SHARE_ROLE)), float(index.data(JUDGED_ROLE)))
            )
            area.setRight(area.right() - 4)
        else:
            area.adjust(MARGIN, 0, -MARGIN, 0)
        side = Qt.AlignmentFlag.AlignRight if COLUMNS[column].right else Qt.AlignmentFlag.AlignLeft
        text = self._fitted(str(index.data()), int(area.width()), option.fontMetrics, name=column == COLUMN["name"])
        painter.setPen(option.palette.color(QPalette.ColorRole.Text))
        painter.drawText(area, side | Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()

    def _fitted(self, text: str, width: int, metrics: QFontMetrics, *, name: bool) -> str:
        if not name:
            return metrics.elidedText(text, Qt.TextElideMode.ElideRight, width)
        if (width, metrics.height()) != self._names_for:
            self._names, self._names_for = {}, (width, metrics.height())
        if text not in self._names:
            self._names[text] = fitted_name(text, width, metrics.horizontalAdvance)
        return self._names[text]

    def _paint_bar(self, painter: QPainter, option: QStyleOptionViewItem, share: float, judged: float) -> float:
        """Paint the bar, in the colour of the share it is judged by; answer where the number beside it begins."""
        tokens = self._theme.tokens
        area = QRectF(option.rect)
        share = min(1.0, max(0.0, share))
        text_width = option.fontMetrics.horizontalAdvance(KEPT_SAMPLE)
        bar = QRectF(area.left() + MARGIN, area.center().y() - 2, max(10.0, area.width() - text_width - BESIDE_BAR), 5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.border))
        painter.drawRoundedRect(bar, 2.5, 2.5)
        painter.setBrush(kept_colour(tokens, judged))
        painter.drawRoundedRect(QRectF(bar.left(), bar.top(), max(5.0, bar.width() * share), 5), 2.5, 2.5)
        return bar.right() + 10


class LayerTable(QTableView):
    """A table on the layer model, without grid and row numbers; the least important columns go in a narrow view."""

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self._columns = ColumnWidths(self)
        self.setAccessibleName(name)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self._set_row_height()
        rows = self.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(40)
        self.setItemDelegate(LayerDelegate(theme, self))

    def arrange(self, without: Collection[str] = ()) -> None:
        """Size the columns, now and whenever there is more or less room; call it once the model is set.

        Args:
            without: keys of columns that are never shown.
        """
        self._columns.begin(without)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width has room for other columns."""
        super().resizeEvent(event)
        self._columns.fit()

    def changeEvent(self, event: QEvent) -> None:
        """Another font needs other widths."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange) and hasattr(self, "_columns"):
            self._set_row_height()
            self._columns.measure()

    def _set_row_height(self) -> None:
        rows = self.verticalHeader()
        rows.setMinimumSectionSize(scaled(ROW_HEIGHT))
        rows.setDefaultSectionSize(scaled(ROW_HEIGHT))


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
