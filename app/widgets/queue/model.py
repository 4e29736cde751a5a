"""The queue as a list model: it follows each change row by row, so that selection and focus stay with their jobs."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QAbstractListModel, QByteArray, QMimeData, QModelIndex, QPersistentModelIndex, Qt, Slot

from app.storage.job_queue import Job, Jobs, JobState
from app.widgets.queue.texts import job_tooltip, spoken
from app.work.live_queue import LiveQueue
from app.work.queue_runner import QueueEvent, QueueRunner
from engine.events import Progress

Index = QModelIndex | QPersistentModelIndex
JOB_ROLE = Qt.ItemDataRole.UserRole
PROGRESS_ROLE = Qt.ItemDataRole.UserRole + 1
STOPPING_ROLE = Qt.ItemDataRole.UserRole + 2
MIME_TYPE = "application/x-lora-extractor-jobs"


class QueueModel(QAbstractListModel):
    """One row per job; rows can be dragged, but not the running one."""

    def __init__(self, queue: LiveQueue, runner: QueueRunner) -> None:
        super().__init__()
        self._queue = queue
        self._runner = runner
        self._jobs: Jobs = queue.jobs
        queue.changed.connect(self._follow)
        runner.queue_event.connect(self._on_event)

    def job(self, row: int) -> Job:
        """The job in a row."""
        return self._jobs[row]

    def row_of(self, job_id: str) -> int | None:
        """The row of a job, if it has one."""
        return next((row for row, job in enumerate(self._jobs) if job.id == job_id), None)

    def rowCount(self, parent: Index | None = None) -> int:
        """One row per job."""
        return 0 if parent is not None and parent.isValid() else len(self._jobs)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Name, job, progress, words."""
        job = self._jobs[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return job.finetuned.name
        if role == JOB_ROLE:
            return job
        if role == PROGRESS_ROLE:
            return self._progress(job)
        if role == STOPPING_ROLE:
            return job.state is JobState.RUNNING and self._runner.stopping
        if role == Qt.ItemDataRole.ToolTipRole:
            return job_tooltip(job)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return spoken(job, self._progress(job), index.row(), len(self._jobs))
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Rows can be chosen and dragged; things are dropped between them, not on them."""
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
        if self._jobs[index.row()].state is not JobState.RUNNING:
            flags |= Qt.ItemFlag.ItemIsDragEnabled
        return flags

    def supportedDropActions(self) -> Qt.DropAction:
        """Copy: after a Move, Qt's list would take the dragged rows out itself; `dropMimeData` puts them in order."""
        return Qt.DropAction.CopyAction

    def mimeTypes(self) -> list[str]:
        """What a drag of jobs carries."""
        return [MIME_TYPE]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """The dragged jobs' ids."""
        data = QMimeData()
        ids = [self._jobs[index.row()].id for index in indexes]
        data.setData(MIME_TYPE, QByteArray("\n".join(ids).encode()))
        return data

    def dropMimeData(self, data: QMimeData, action: Qt.DropAction, row: int, _column: int, parent: Index) -> bool:
        """Put the dropped jobs before a row; -1 is the end."""
        ids = self.dropped(data)
        if action != Qt.DropAction.CopyAction or not ids:
            return False
        if row < 0:
            row = parent.row() if parent.isValid() else len(self._jobs)
        self._queue.move(ids, row)
        return True

    def dropped(self, data: QMimeData) -> tuple[str, ...]:
        """Ids of the jobs of this queue that a drag carries."""
        known = {job.id for job in self._jobs}
        carried = bytes(data.data(MIME_TYPE).data()).decode(errors="replace").split("\n")
        return tuple(job_id for job_id in carried if job_id in known)

    @Slot()
    def refresh(self) -> None:
        """Show all rows anew, because what is said of them changed."""
        if self._jobs:
            self.dataChanged.emit(self.index(0), self.index(len(self._jobs) - 1))

    @Slot()
    def _follow(self) -> None:
        """Change from the rows shown to those of the queue: take out, reorder, put in, then repaint what differs."""
        wanted = self._queue.jobs
        self._take_out({job.id for job in wanted})
        self._reorder(wanted)
        self._put_in(wanted)
        for row, (old, new) in enumerate(zip(self._jobs, wanted, strict=True)):
            if old != new:
                self._jobs = (*self._jobs[:row], new, *self._jobs[row + 1 :])
                self.dataChanged.emit(self.index(row), self.index(row))

    def _take_out(self, staying: set[str]) -> None:
        for row in range(len(self._jobs) - 1, -1, -1):
            if self._jobs[row].id not in staying:
                self.beginRemoveRows(QModelIndex(), row, row)
                self._jobs = (*self._jobs[:row], *self._jobs[row + 1 :])
                self.endRemoveRows()

    def _reorder(self, wanted: Jobs) -> None:
        old = {job.id: job for job in self._jobs}
        order = tuple(old[job.id] for job in wanted if job.id in old)
        if order == self._jobs:
            return
        self.layoutAboutToBeChanged.emit()
        rows = {job.id: row for row, job in enumerate(order)}
        before = self.persistentIndexList()
        after = [self.index(rows[self._jobs[index.row()].id]) for index in before]
        self._jobs = order
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _put_in(self, wanted: Jobs) -> None:
        shown = {job.id for job in self._jobs}
        for row, job in enumerate(wanted):
            if job.id not in shown:
                self.beginInsertRows(QModelIndex(), row, row)
                self._jobs = (*self._jobs[:row], job, *self._jobs[row:])
                self.endInsertRows()

    def _progress(self, job: Job) -> Progress | None:
        return self._runner.progress if job.state is JobState.RUNNING else None

    @Slot(object)
    def _on_event(self, event: QueueEvent) -> None:
        if not isinstance(event, Progress):
            return
        row = next((row for row, job in enumerate(self._jobs) if job.state is JobState.RUNNING), None)
        if row is not None:
            self.dataChanged.emit(self.index(row), self.index(row))
