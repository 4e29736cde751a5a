"""What the window does around its queue: adding what it shows, loading a job, showing its runs, telling the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from app.storage.job_queue import Job, new_job
from app.text.log_lines import Level
from app.text.window_text import why_not
from app.widgets.queue.texts import store_words, summary_words, write_failed_words
from app.window.frame import Tab
from app.work.live_queue import LiveQueue
from app.work.queue_runner import QueueRunner, QueueSummary
from app.work.requests import PlanRequest
from engine.planning.plan import Plan

if TYPE_CHECKING:
    from app.window.main_window import MainWindow


class WindowQueue(QObject):
    """Connects the queue, its runner and its panel with the window.

    Attributes:
        ended: the queue has ended, with a `QueueSummary`.
    """

    ended = Signal(object)

    def __init__(self, window: MainWindow, queue: LiveQueue, runner: QueueRunner) -> None:
        super().__init__(window)
        self._window, self._queue, self._runner = window, queue, runner
        panel = window.frame.queue
        panel.add_clicked.connect(self.add_current)
        panel.load_clicked.connect(self._load)
        panel.open_folder_clicked.connect(window.commands.open_folder)
        queue.write_failed.connect(self._on_write_failed)
        runner.job_started.connect(self._on_job_started)
        runner.job_ended.connect(self._on_job_ended)
        runner.running_changed.connect(self._on_running)
        runner.ended.connect(self._on_ended)
        runner.ended.connect(self.ended)
        trouble = store_words(queue.store)
        if trouble:
            window.frame.run.write(Level.WARNING, trouble)

    @property
    def running(self) -> bool:
        """Whether the queue works, or is between two of its jobs."""
        return self._runner.running

    @property
    def keeps_layers(self) -> bool:
        """Whether the layers of the running job outlive a stop."""
        return self._runner.keeps_layers

    def offer(self) -> None:
        """Say whether what the window shows can be added."""
        frame = self._window.frame
        troubles = (*frame.options.troubles(), *frame.hardware.troubles())
        blocked = why_not(frame.models.models(), troubles, None)
        frame.queue.set_addable(blocked is None, blocked.reason if blocked else "")
        self._window.menus.actions["add_to_queue"].setEnabled(blocked is None)

    @Slot()
    def add_current(self) -> None:
        """Put the pair and the settings that the window shows behind the other jobs."""
        window, frame = self._window, self._window.frame
        finetuned, original = frame.models.models()
        extraction, hardware = frame.options.settings(), frame.hardware.settings()
        if finetuned is None or original is None or extraction is None or hardware is None:
            return
        frame.queue.add_job(new_job(finetuned, original, extraction, hardware, window.output_dir))
        frame.show_tab(Tab.QUEUE)

    @Slot()
    def run_all(self) -> None:
        """Start the queue."""
        self._window.frame.show_tab(Tab.QUEUE)
        self._runner.start()

    def ask_stop(self) -> None:
        """Stop the queue, after asking."""
        self._window.frame.queue.ask_stop()

    def stop(self) -> None:
        """Stop the queue without asking."""
        self._runner.stop()

    @Slot(object)
    def _load(self, job: Job) -> None:
        window, frame = self._window, self._window.frame
        frame.options.show_settings(job.extraction)
        frame.hardware.show_settings(job.hardware)
        window.set_models(job.finetuned, job.original)
        window.set_output_dir(job.output_dir)

    @Slot(object, object)
    def _on_job_started(self, job: Job, plan: Plan) -> None:
        request = PlanRequest(0, job.finetuned, job.original, job.extraction, job.hardware, job.output_dir)
        self._window.run_control.show_start(request, plan, job.finetuned.name)

    @Slot(object)
    def _on_job_ended(self, job: Job) -> None:
        if job.failure is not None:
            text = self.tr("{name}: {message} {remedy}")
            words = text.format(name=job.finetuned.name, message=job.failure.message, remedy=job.failure.remedy)
            self._window.frame.run.write(Level.ERROR, words)

    @Slot(bool)
    def _on_running(self, _running: bool) -> None:
        self._window.refresh_locks()

    @Slot(object)
    def _on_ended(self, summary: QueueSummary) -> None:
        words = summary_words(summary)
        self._window.frame.run.write(Level.INFO, words)
        self._window.run_control.check_models()
        self._window.replan()
        self._window.notifier.tell(self.tr("The queue is done"), words)

    @Slot(object)
    def _on_write_failed(self, error: OSError) -> None:
        self._window.frame.run.write(Level.WARNING, write_failed_words(error))
