"""The queue's tab: its jobs, what can be done with them, and the buttons that run them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMessageBox, QPushButton, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from app.look.theme import Theme
from app.storage.job_queue import Job, JobState, Removal, resumable
from app.widgets.basics.basics import ElidedLabel, Panel, let_shrink, link_button, push_button, set_look, wrapped_label
from app.widgets.basics.dialogs import Ended
from app.widgets.queue.actions import QueueActions
from app.widgets.queue.list import QueueList
from app.widgets.queue.model import QueueModel
from app.widgets.queue.texts import queue_words, removed_words, store_words, summary_words, write_failed_words
from app.work.live_queue import LiveQueue
from app.work.queue_runner import QueueEvent, QueueRunner, QueueStarted, QueueSummary

HINT_WIDTH = 440


class QueuePanel(Panel):
    """Shows the queue and runs it.

    Attributes:
        jobs: the list.
        actions_: what can be done with the chosen jobs.
        add_clicked: what the window shows shall become a job.
        load_clicked: a `Job` that shall be shown in the window.
        open_folder_clicked: a folder that shall be shown in the system's file browser.
    """

    add_clicked = Signal()
    load_clicked = Signal(object)
    open_folder_clicked = Signal(object)

    def __init__(self, theme: Theme, queue: LiveQueue, runner: QueueRunner) -> None:
        super().__init__("")
        self.title.setText(self.tr("Queue"))
        self._queue = queue
        self._runner = runner
        self._removal: Removal | None = None
        self.model = QueueModel(queue, runner)
        self.jobs = QueueList(theme, queue, self.model)
        self.actions_ = QueueActions(queue, self.jobs)
        self._make_header()
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty_state())
        self._stack.addWidget(self.jobs)
        self.body.addWidget(self._stack, 1)
        self.body.addWidget(self._notice_line())
        self.body.addWidget(self._action_line())
        undo = QShortcut(QKeySequence(QKeySequence.StandardKey.Undo), self, context=_WITHIN)
        undo.activated.connect(self._undo)
        self.actions_.load_clicked.connect(self.load_clicked)
        self.actions_.open_folder_clicked.connect(self.open_folder_clicked)
        self.actions_.removed.connect(self._on_removed)
        self.jobs.selection_changed.connect(self._refresh_actions)
        queue.changed.connect(self._refresh)
        queue.write_failed.connect(self._on_write_failed)
        runner.controller.state_changed.connect(self._refresh)
        runner.queue_event.connect(self._on_event)
        self.say(store_words(queue.store), tone="warning")
        self.set_addable(False, self.tr("Choose two models first."))
        self._refresh()

    def set_addable(self, addable: bool, reason: str = "") -> None:
        """Whether what the window shows can become a job, or why not."""
        usual = self.tr("Add the two models and the settings that the window shows now")
        for button in (self.add, self.add_first):
            button.setEnabled(addable)
            button.setToolTip(usual if addable else reason)

    def add_job(self, job: Job) -> None:
        """Put a job at the end of the queue and show it."""
        self._queue.add(job)
        self.say("")
        self.jobs.choose(job.id)

    @Slot()
    def ask_stop(self) -> None:
        """Stop the queue, after asking."""
        if self._runner.running and not self._runner.stopping and self._confirmed():
            self._runner.stop()
            self._refresh()

    def say(self, text: str, *, tone: str = "", undo: bool = False) -> None:
        """Say something in the quiet line below the list; nothing hides it."""
        if not undo:
            self._removal = None
        self.notice.setText(text)
        set_look(self.notice, "tone", tone)
        self.undo.setVisible(undo)
        self._notice.setVisible(bool(text))

    def _make_header(self) -> None:
        self.add = push_button(self.tr("Add current"), small=True)
        self.add.clicked.connect(self.add_clicked)
        self.run = push_button(self.tr("Run all"), kind="primary", small=True)
        self.run.clicked.connect(self._run)
        self.skip = push_button(self.tr("Skip this job"), kind="quiet", small=True)
        self.skip.setToolTip(self.tr("Stop the running job and go on with the next one; its finished layers are kept"))
        self.skip.clicked.connect(self._skip)
        self.stop = push_button(self.tr("Stop"), small=True)
        self.stop.setAccessibleName(self.tr("Stop the queue"))
        self.stop.clicked.connect(self.ask_stop)
        self.clear = _action_button(self.actions_.clear_finished, self.tr("Clear finished"))
        for button in (self.clear, self.add, self.skip, self.run, self.stop):
            self.header.addWidget(button)
        self.header.setSpacing(8)

    def _empty_state(self) -> QWidget:
        self.add_first = push_button(self.tr("Add current"))
        self.add_first.clicked.connect(self.add_clicked)
        head = wrapped_label(self.tr("Several extractions, one after the other"), "name")
        head.setAlignment(Qt.AlignmentFlag.AlignCenter)
        hint = wrapped_label(
            self.tr(
                "Choose two models and their settings in this window and add them here. Then change them and add the "
                "next: another pair, or the same one at another rank. Run all works through the list; a job that "
                "fails does not stop the others. The list is still here after a restart."
            ),
            "muted",
        )
        hint.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        page, words = QWidget(), QWidget()
        let_shrink(words, 260, HINT_WIDTH)
        column = QVBoxLayout(words)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addStretch(2)
        column.addWidget(head)
        column.addWidget(hint)
        column.addWidget(self.add_first, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)
        row = QHBoxLayout(page)
        row.addWidget(words)
        return page

    def _notice_line(self) -> QWidget:
        self._notice = QWidget()
        self.notice = ElidedLabel("", "small", mode=Qt.TextElideMode.ElideRight)
        self.notice.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.undo = link_button(self.tr("Undo"))
        self.undo.setAccessibleName(self.tr("Undo the removal"))
        self.undo.clicked.connect(self._undo)
        row = QHBoxLayout(self._notice)
        row.setContentsMargins(8, 2, 8, 2)
        row.setSpacing(8)
        row.addWidget(self.notice)
        row.addWidget(self.undo)
        row.addStretch(1)
        return self._notice

    def _action_line(self) -> QWidget:
        actions = self.actions_
        self._actions = QWidget()
        row = QHBoxLayout(self._actions)
        row.setContentsMargins(0, 4, 0, 4)
        row.setSpacing(8)
        self._single = (
            _action_button(actions.open_folder, self.tr("Open folder")),
            _action_button(actions.copy_path, self.tr("Copy path")),
            _action_button(actions.copy_details, self.tr("Copy details")),
        )
        for button in (
            _action_button(actions.up, "\u2191"),
            _action_button(actions.down, "\u2193"),
            _action_button(actions.load, self.tr("Load into the window")),
            _action_button(actions.duplicate, self.tr("Duplicate")),
            _action_button(actions.run_again, self.tr("Run again")),
            _action_button(actions.remove, self.tr("Remove")),
        ):
            row.addWidget(button)
        row.addStretch(1)
        for button in self._single:
            row.addWidget(button)
        return self._actions

    @Slot()
    def _refresh(self) -> None:
        jobs, running = self._queue.jobs, self._runner.running
        self.detail.setText(queue_words(jobs))
        self._stack.setCurrentIndex(1 if jobs else 0)
        self._actions.setVisible(bool(jobs))
        for button in (self.clear, self.add):
            button.setVisible(bool(jobs))
        self.run.setVisible(bool(jobs) and not running)
        self.run.setEnabled(self._runner.can_start())
        why = "" if any(map(resumable, jobs)) else self.tr("No job is waiting; \u201cRun again\u201d lets one wait.")
        self.run.setToolTip(why)
        for button in (self.skip, self.stop):
            button.setVisible(running)
            button.setEnabled(running and not self._runner.stopping)
        self._refresh_actions()

    @Slot()
    def _refresh_actions(self) -> None:
        chosen = self.jobs.chosen()
        state = chosen[0].state if len(chosen) == 1 else None
        folder, path, details = self._single
        folder.setVisible(state is JobState.DONE)
        path.setVisible(state is JobState.DONE)
        details.setVisible(state is JobState.FAILED)

    @Slot()
    def _run(self) -> None:
        self.say("")
        if self._runner.start():
            self.stop.setFocus()

    @Slot()
    def _skip(self) -> None:
        self._runner.skip()
        self.model.refresh()
        self._refresh()

    def _confirmed(self) -> bool:
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(self.tr("Stop the queue"))
        box.setText(self.tr("Stop the queue?"))
        text = self.tr("The layer being worked on is finished first. The running job starts anew the next time.")
        if self._runner.keeps_layers:
            text = self.tr(
                "The layer being worked on is finished first. Finished layers are kept, and the next run goes on there."
            )
        box.setInformativeText(text)
        stop = box.addButton(self.tr("Stop"), QMessageBox.ButtonRole.DestructiveRole)
        keep = box.addButton(self.tr("Keep going"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        Ended(self._runner.controller.busy_changed, box)
        box.exec()
        return box.clickedButton() is stop

    @Slot(object)
    def _on_event(self, event: QueueEvent) -> None:
        match event:
            case QueueStarted():
                self._refresh()
            case QueueSummary():
                had_focus = self.stop.hasFocus() or self.skip.hasFocus()
                self._refresh()
                if had_focus:
                    self.jobs.setFocus()
                self.say(summary_words(event))

    @Slot(object)
    def _on_removed(self, removal: Removal) -> None:
        self._removal = removal
        self.say(removed_words(len(removal.rows)), undo=True)

    @Slot()
    def _undo(self) -> None:
        removal = self._removal
        if removal is not None:
            self.say("")
            self._queue.restore(removal)
            self.jobs.choose(*(job.id for _, job in removal.rows))
            self.jobs.setFocus()

    @Slot(object)
    def _on_write_failed(self, error: OSError) -> None:
        self.say(write_failed_words(error), tone="warning")


_WITHIN = Qt.ShortcutContext.WidgetWithChildrenShortcut


def _action_button(action: QAction, text: str) -> QPushButton:
    """A small button that does what an action does, and is enabled when it is."""
    button = _ActionButton(text)
    button.follow(action)
    return button


class _ActionButton(QPushButton):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setAutoDefault(False)
        self.setProperty("compact", True)
        self.setProperty("kind", "quiet")

    def follow(self, action: QAction) -> None:
        self._action = action
        self.setAccessibleName(action.text())
        self.clicked.connect(action.trigger)
        action.changed.connect(self._update)
        self._update()

    @Slot()
    def _update(self) -> None:
        self.setEnabled(self._action.isEnabled())
        keys = self._action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        self.setToolTip(f"{self._action.text()} ({keys})" if keys else self._action.toolTip())
