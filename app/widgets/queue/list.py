"""The list of jobs: selection, and dragging to another place with a line that shows where they will land."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QAbstractItemView, QListView

from app.look.theme import Theme
from app.storage.job_queue import Job, landing
from app.widgets.basics.drops import accept_copy
from app.widgets.queue.delegate import JobDelegate
from app.widgets.queue.model import MIME_TYPE, QueueModel
from app.work.live_queue import LiveQueue

DROP_LINE = 2
KNOB = 4


class QueueList(QListView):
    """Jobs, one below the other.

    Attributes:
        selection_changed: emitted when other jobs are chosen, and when the chosen ones change.
        menu_wanted: the global position for a menu on the chosen jobs.
    """

    selection_changed = Signal()
    menu_wanted = Signal(QPoint)

    def __init__(self, theme: Theme, queue: LiveQueue, model: QueueModel) -> None:
        super().__init__()
        self._theme = theme
        self._queue = queue
        self._model = model
        self._drop_row: int | None = None
        self.setAccessibleName(self.tr("Jobs of the queue"))
        self.setModel(model)
        self.setItemDelegate(JobDelegate(theme, self))
        self.setFrameShape(QListView.Shape.NoFrame)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # Not InternalMove: there Qt's list never offers Copy, and every drop is answered with Copy. Only its own drags
        # are taken, see dragEnterEvent.
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDefaultDropAction(Qt.DropAction.CopyAction)
        self.setDragDropOverwriteMode(False)
        self.setDropIndicatorShown(False)
        self.selectionModel().selectionChanged.connect(self.selection_changed)
        model.dataChanged.connect(self.selection_changed)
        model.layoutChanged.connect(self.selection_changed)
        model.rowsRemoved.connect(self.selection_changed)
        model.rowsInserted.connect(self.selection_changed)
        theme.changed.connect(self.viewport().update)

    def chosen(self) -> tuple[Job, ...]:
        """The chosen jobs, in the order of the queue."""
        rows = sorted(index.row() for index in self.selectionModel().selectedRows())
        return tuple(self._model.job(row) for row in rows)

    def choose(self, *ids: str) -> None:
        """Choose these jobs and no others; the first becomes the current one."""
        selection = self.selectionModel()
        flags = selection.SelectionFlag
        selection.clearSelection()
        for job_id in reversed(ids):
            row = self._model.row_of(job_id)
            if row is not None:
                selection.setCurrentIndex(self._model.index(row), flags.Select)
        self.scrollTo(self.currentIndex())

    def viewportSizeHint(self) -> QSize:
        """As tall as its rows."""
        return QSize(super().viewportSizeHint().width(), self.sizeHintForRow(0) * self._model.rowCount())

    def drop_row(self, position: QPoint, ids: tuple[str, ...]) -> int:
        """The row before which jobs land that are dropped here."""
        index = self.indexAt(position)
        row = self._model.rowCount()
        if index.isValid():
            row = index.row() + (position.y() > self.visualRect(index).center().y())
        return landing(self._queue.jobs, ids, row)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer what can be done with the chosen jobs, at the mouse or, by key, below the current one."""
        where = event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            where = self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).bottomLeft() + QPoint(32, 0))
        if self.chosen():
            self.menu_wanted.emit(where)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take jobs of this list; anything else goes to the window."""
        if event.mimeData().hasFormat(MIME_TYPE) and event.source() is self:
            super().dragEnterEvent(event)
            accept_copy(event)
        else:
            event.ignore()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """Show where the jobs would land."""
        ids = self._model.dropped(event.mimeData())
        if not ids or event.source() is not self:
            event.ignore()
            return
        super().dragMoveEvent(event)
        accept_copy(event)
        self._show_drop_row(self.drop_row(event.position().toPoint(), ids))

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Show no place any more."""
        super().dragLeaveEvent(event)
        self._show_drop_row(None)

    def dropEvent(self, event: QDropEvent) -> None:
        """Move the jobs to the line."""
        ids = self._model.dropped(event.mimeData())
        row = self.drop_row(event.position().toPoint(), ids)
        self.dragLeaveEvent(QDragLeaveEvent())  # what Qt does at the end of a drag: no more scrolling, no line
        if ids and accept_copy(event):
            self._model.dropMimeData(event.mimeData(), event.dropAction(), row, 0, self.rootIndex())

    def paintEvent(self, event: QPaintEvent) -> None:
        """The rows, and the line of a drag above them."""
        super().paintEvent(event)
        if self._drop_row is None:
            return
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._theme.tokens.accent), DROP_LINE))
        painter.setBrush(QColor(self._theme.tokens.panel))
        y = self._line_height(self._drop_row)
        painter.drawLine(2 * KNOB + 2, y, self.viewport().width() - 2, y)
        painter.drawEllipse(QPoint(KNOB + 2, y), KNOB - 1, KNOB - 1)

    def _show_drop_row(self, row: int | None) -> None:
        if row != self._drop_row:
            self._drop_row = row
            self.viewport().update()

    def _line_height(self, row: int) -> int:
        last = self._model.rowCount() - 1
        if row <= last:
            y = self.visualRect(self._model.index(row)).top()
        else:
            y = self.visualRect(self._model.index(last)).bottom() + 1
        return min(max(y, KNOB), self.viewport().height() - KNOB)
