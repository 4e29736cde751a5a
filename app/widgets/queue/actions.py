"""What can be done with the chosen jobs: one action each, for the menu, the buttons and the keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QMenu

from app.storage.job_queue import Job, Jobs, JobState, Removal, running_row, stepped
from app.widgets.queue.list import QueueList
from app.widgets.queue.texts import failure_details
from app.work.live_queue import LiveQueue

ENDED = (JobState.DONE, JobState.FAILED, JobState.STOPPED)


class QueueActions(QObject):
    """The actions, enabled as the chosen jobs allow.

    Attributes:
        up, down, load, duplicate, run_again, remove, open_folder, copy_path, copy_details, clear_finished: the actions.
        load_clicked: the `Job` that shall be shown in the window.
        open_folder_clicked: a folder that shall be shown in the system's file browser.
        removed: a `Removal` that can be undone.
    """

    load_clicked = Signal(object)
    open_folder_clicked = Signal(object)
    removed = Signal(object)

    def __init__(self, queue: LiveQueue, jobs: QueueList) -> None:
        super().__init__(jobs)
        self._queue = queue
        self._list = jobs
        self.up = self._action(self.tr("Move up"), self._up, "Alt+Up")
        self.down = self._action(self.tr("Move down"), self._down, "Alt+Down")
        self.load = self._action(self.tr("Load into the window"), self._load, "Return", "Enter")
        self.duplicate = self._action(self.tr("Duplicate"), self._duplicate, "Ctrl+Shift+D")
        self.run_again = self._action(self.tr("Run again"), self._run_again, "Ctrl+R")
        self.open_folder = self._action(self.tr("Open folder"), self._open_folder)
        self.copy_path = self._action(self.tr("Copy path"), self._copy_path, "Ctrl+C")
        self.copy_details = self._action(self.tr("Copy error details"), self._copy_details, "Ctrl+Shift+C")
        self.remove = self._action(self.tr("Remove"), self._remove, "Delete", "Backspace")
        self.clear_finished = QAction(self.tr("Clear finished"), self)
        self.clear_finished.setToolTip(self.tr("Take the jobs that are done out of the list; their files stay"))
        self.clear_finished.triggered.connect(self._clear_finished)
        jobs.selection_changed.connect(self.refresh)
        jobs.menu_wanted.connect(self.show_menu)
        jobs.doubleClicked.connect(self._load)
        queue.changed.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Offer what makes sense for the chosen jobs."""
        chosen, jobs = self._list.chosen(), self._queue.jobs
        ids = {job.id for job in chosen}
        one = chosen[0] if len(chosen) == 1 else None
        self.up.setEnabled(stepped(jobs, ids, up=True) != jobs)
        self.down.setEnabled(stepped(jobs, ids, up=False) != jobs)
        self.load.setEnabled(one is not None and running_row(jobs) is None)
        self.duplicate.setEnabled(bool(chosen))
        self.run_again.setEnabled(any(job.state in ENDED for job in chosen))
        self.remove.setEnabled(any(job.state is not JobState.RUNNING for job in chosen))
        self.open_folder.setEnabled(one is not None)
        self.copy_path.setEnabled(any(job.result is not None for job in chosen))
        self.copy_details.setEnabled(any(job.failure is not None for job in chosen))
        self.clear_finished.setEnabled(any(job.state is JobState.DONE for job in jobs))

    @Slot(QPoint)
    def show_menu(self, where: QPoint) -> None:
        """Show what the chosen jobs allow."""
        menu = self.menu()
        menu.exec(where)
        menu.deleteLater()

    def menu(self) -> QMenu:
        """A menu of what the chosen jobs allow; what has no meaning for them is not in it."""
        menu = QMenu(self._list)
        menu.setAccessibleName(self.tr("What can be done with the chosen jobs"))
        groups: Sequence[Sequence[QAction]] = (
            (self.load, self.duplicate, self.run_again),
            (self.open_folder, self.copy_path, self.copy_details),
            (self.up, self.down),
            (self.remove,),
        )
        optional = (self.run_again, self.copy_path, self.copy_details)
        for group in groups:
            if not menu.isEmpty():
                menu.addSeparator()
            menu.addActions([action for action in group if action.isEnabled() or action not in optional])
        return menu

    def _action(self, text: str, slot: Callable[[], None], *keys: str) -> QAction:
        action = QAction(text, self)
        action.setShortcuts([QKeySequence(key) for key in keys])
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        action.triggered.connect(slot)
        self._list.addAction(action)
        return action

    def _ids(self) -> tuple[str, ...]:
        return tuple(job.id for job in self._list.chosen())

    @Slot()
    def _up(self) -> None:
        self._queue.step(self._ids(), up=True)
        self._list.scrollTo(self._list.currentIndex())

    @Slot()
    def _down(self) -> None:
        self._queue.step(self._ids(), up=False)
        self._list.scrollTo(self._list.currentIndex())

    @Slot()
    def _load(self) -> None:
        chosen = self._list.chosen()
        if len(chosen) == 1 and self.load.isEnabled():
            self.load_clicked.emit(chosen[0])

    @Slot()
    def _duplicate(self) -> None:
        before = {job.id for job in self._queue.jobs}
        self._queue.duplicate(self._ids())
        self._list.choose(*(job.id for job in self._queue.jobs if job.id not in before))

    @Slot()
    def _run_again(self) -> None:
        self._queue.run_again(self._ids())

    @Slot()
    def _remove(self) -> None:
        self._take_out(self._list.chosen())

    @Slot()
    def _clear_finished(self) -> None:
        self._take_out(tuple(job for job in self._queue.jobs if job.state is JobState.DONE))

    def _take_out(self, jobs: Jobs) -> None:
        """Remove, and leave the focus on what comes next."""
        removal: Removal = self._queue.remove({job.id for job in jobs})
        if not removal.rows:
            return
        if self._queue.jobs and not self._list.chosen():
            row = min(removal.rows[0][0], len(self._queue.jobs) - 1)
            self._list.choose(self._queue.jobs[row].id)
        self.removed.emit(removal)

    @Slot()
    def _open_folder(self) -> None:
        for job in self._list.chosen()[:1]:
            self.open_folder_clicked.emit(_folder(job))

    @Slot()
    def _copy_path(self) -> None:
        written = [str(file) for job in self._list.chosen() if job.result is not None for file in job.result.files]
        QGuiApplication.clipboard().setText("\n".join(written))

    @Slot()
    def _copy_details(self) -> None:
        details = [failure_details(job) for job in self._list.chosen() if job.failure is not None]
        QGuiApplication.clipboard().setText("\n\n".join(details))


def _folder(job: Job) -> object:
    """Where the job's file is, or will be."""
    return job.result.file.parent if job.result is not None else job.output_dir
