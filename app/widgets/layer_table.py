"""The table of layers: sortable and searchable in its tab, following the run in the small one."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSortFilterProxyModel, Qt, Slot
from PySide6.QtGui import QColor, QPainter, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QStackedWidget,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from app.theme import Theme
from app.widgets.basics import Panel, scaled, text_label
from app.widgets.layer_model import COLUMNS, KEPT, NUMBER_ROLE, SHARE_ROLE, SORT_ROLE, LayerModel

ROW_HEIGHT = 25
WIDTHS = {"shape": 150, "rank": 72, "kept": 190, "error": 72, "time": 84}


class KeptDelegate(QStyledItemDelegate):
    """The share of the change that a layer keeps, as a bar and as a number."""

    def __init__(self, theme: Theme, parent: QTableView) -> None:
        super().__init__(parent)
        self._theme = theme

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Row background, bar, number."""
        tokens = self._theme.tokens
        share = min(1.0, max(0.0, float(index.data(SHARE_ROLE))))
        area = QRectF(option.rect)
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, QColor(tokens.accent_background))
        painter.setPen(QColor(tokens.border))
        painter.drawLine(area.topLeft(), area.topRight())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        text_width = option.fontMetrics.horizontalAdvance("99.9999 %")
        bar = QRectF(area.left() + 11, area.center().y() - 2, max(10.0, area.width() - text_width - 31), 5)
        painter.setBrush(QColor(tokens.border))
        painter.drawRoundedRect(bar, 2.5, 2.5)
        painter.setBrush(QColor(tokens.good if share >= 0.8 else tokens.warning))
        painter.drawRoundedRect(QRectF(bar.left(), bar.top(), max(5.0, bar.width() * share), 5), 2.5, 2.5)
        painter.setPen(option.palette.color(QPalette.ColorRole.Text))
        text = area.adjusted(bar.width() + 21, 0, -4, 0)
        painter.drawText(text, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, str(index.data()))
        painter.restore()


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
        self.setItemDelegateForColumn(KEPT, KeptDelegate(theme, self))

    def arrange(self) -> None:
        """Give the name what the other columns leave; call it once the model is set."""
        header = self.horizontalHeader()
        for number, column in enumerate(COLUMNS):
            if column.key == "name":
                header.setSectionResizeMode(number, QHeaderView.ResizeMode.Stretch)
            else:
                header.setSectionResizeMode(number, QHeaderView.ResizeMode.Interactive)
                header.resizeSection(number, scaled(WIDTHS[column.key]))


def hint_or_table(hint: str, table: QTableView) -> QStackedWidget:
    """A stack of the words for an empty table, shown first, and the table."""
    label = text_label(hint, "muted")
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    stack = QStackedWidget()
    stack.addWidget(label)
    stack.addWidget(table)
    return stack


class NewestLayers(Panel):
    """The small table below the plots: the layers done so far, the newest first."""

    def __init__(self, theme: Theme, model: LayerModel) -> None:
        super().__init__(model.tr("Layers"))
        self._total = 0
        self.table = LayerTable(theme, self.tr("Newest layers"))
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(model)
        self._proxy.setSortRole(NUMBER_ROLE)
        self._proxy.sort(0, Qt.SortOrder.DescendingOrder)
        self.table.setModel(self._proxy)
        self.table.arrange()
        self.table.setColumnHidden([column.key for column in COLUMNS].index("error"), True)
        self.table.setMinimumHeight(ROW_HEIGHT * 2)
        self._stack = hint_or_table(self.tr("The newest layers appear here."), self.table)
        self.body.addWidget(self._stack, 1)
        model.rowsInserted.connect(self._count)
        self._model = model

    def clear(self) -> None:
        """A run is about to begin; nothing is known of it yet."""
        self._total = 0
        self._stack.setCurrentIndex(0)
        self._count()

    def start(self, total: int) -> None:
        """A new run with so many layers begins."""
        self._total = total
        self._stack.setCurrentIndex(1)
        self._count()

    @Slot()
    def _count(self) -> None:
        text = self.tr("{done} of {total}").format(done=self._model.rowCount(), total=self._total)
        self.detail.setText(text if self._total else "")


class LayersPanel(Panel):
    """All layers, to sort and to search."""

    def __init__(self, theme: Theme, model: LayerModel) -> None:
        super().__init__(model.tr("Layers"))
        self._model = model
        self.search = QLineEdit()
        self.search.setProperty("role", "find")
        self.search.setPlaceholderText(self.tr("Find a layer\u2026"))
        self.search.setAccessibleName(self.tr("Find a layer"))
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(220)
        self.search.textChanged.connect(self._filter)
        self.header.addWidget(self.search)
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(model)
        self._proxy.setSortRole(SORT_ROLE)
        self._proxy.setFilterKeyColumn(0)
        self._proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.table = LayerTable(theme, self.tr("Layers"))
        self.table.setModel(self._proxy)
        self.table.setSortingEnabled(True)
        self.table.horizontalHeader().setSortIndicatorClearable(True)
        self.table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.table.arrange()
        hint = self.tr("Finished layers appear here, with how much of each change is kept.")
        self._stack = hint_or_table(hint, self.table)
        self.body.addWidget(self._stack, 1)
        model.rowsInserted.connect(self._count)
        model.modelReset.connect(self._count)
        self._count()

    def shown(self) -> int:
        """How many rows are shown."""
        return self._proxy.rowCount()

    @Slot(str)
    def _filter(self, text: str) -> None:
        self._proxy.setFilterFixedString(text.strip())
        self._count()

    @Slot()
    def _count(self) -> None:
        total = self._model.rowCount()
        self._stack.setCurrentIndex(1 if total else 0)
        self.search.setEnabled(total > 0)
        if not total:
            self.detail.setText("")
        elif self.search.text().strip():
            self.detail.setText(self.tr("{shown} of {total}").format(shown=self.shown(), total=total))
        else:
            self.detail.setText(f"{total:,}")
