"""The queue: the request added to it, a job loaded from it, its runs shown, and its end announced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QAction

from app.storage.job_queue import Job, new_job
from app.system.notifications import Notifier
from app.text.log_lines import Level
from app.text.window_text import why_not
from app.widgets.queue.panel import QueuePanel
from app.widgets.queue.texts import store_words, summary_words, write_failed_words
from app.window.frame import Tab, ViewTabs
from app.window.model import WindowModel
from app.work.live_queue import LiveQueue
from app.work.queue_runner import JobEnded, JobStarted, QueueEvent, QueueRunner, QueueSummary
from app.work.requests import PlanRequest
from engine.planning.plan import Plan
from engine.results import Coverage
from engine.settings import ExtractionSettings


@dataclass(frozen=True)
class QueueViews:
    """What shows the queue: its panel, the tabs that this is in, and the menu's entry that adds to it."""

    panel: QueuePanel
    tabs: ViewTabs
    add: QAction


class WindowQueue(QObject):
    """Connects the queue and its runner with the window's request.

    Attributes:
        job_started: a `PlanRequest`, its `Plan` and the job's name: its run begins right after.
        ended: the queue has ended, with a `QueueSummary`.
    """

    job_started = Signal(object, object, str)
    ended = Signal(object)

    def __init__(
        self,
        parent: QObject,
        model: WindowModel,
        queue: LiveQueue,
        runner: QueueRunner,
        views: QueueViews,
        notifier: Notifier,
    ) -> None:
        super().__init__(parent)
        self._model, self._runner, self._notifier = model, runner, notifier
        self._panel, self._tabs, self._add = views.panel, views.tabs, views.add
        model.request_changed.connect(self._offer)
        self._panel.add_clicked.connect(self.add_current)
        self._panel.load_clicked.connect(self._load)
        queue.write_failed.connect(self._on_write_failed)
        runner.queue_event.connect(self._on_event)
        trouble = store_words(queue.store)
        if trouble:
            model.write(Level.WARNING, trouble)

    @Slot()
    def add_current(self) -> None:
        """Put the pair and the settings that the window shows behind the other jobs."""
        request = self._model.request
        finetuned, original = request.models
        if finetuned is None or original is None or request.extraction is None or request.hardware is None:
            return
        coverage = self._coverage(finetuned, original, request.extraction)
        extraction, hardware, folder = request.extraction, request.hardware, request.output_dir
        self._panel.add_job(new_job(finetuned, original, extraction, hardware, folder, coverage, request.also))
        self._tabs.show_tab(Tab.QUEUE)

    def _coverage(self, finetuned: Path, original: Path, settings: ExtractionSettings) -> Coverage | None:
        """How much of a pair can be compared, where that is planned."""
        current = self._runner.controller.current
        if current is None or current.plan is None:
            return None
        asked = current.request
        same = (asked.finetuned, asked.original, asked.extraction) == (finetuned, original, settings)
        return current.plan.coverage if same else None

    @Slot()
    def run_all(self) -> None:
        """Start the queue."""
        self._tabs.show_tab(Tab.QUEUE)
        self._runner.start()

    def ask_stop(self) -> None:
        """Stop the queue, after asking."""
        self._panel.ask_stop()

    @Slot()
    def _offer(self) -> None:
        """Say whether what the window shows can be added."""
        request = self._model.request
        blocked = why_not(request.models, request.troubles, None)
        self._panel.set_addable(blocked is None, blocked.reason if blocked else "")
        self._add.setEnabled(blocked is None)

    @Slot(object)
    def _load(self, job: Job) -> None:
        self._model.show_extraction(job.extraction, job.also)
        self._model.show_hardware(job.hardware.model_dump())
        self._model.set_models(job.finetuned, job.original)
        self._model.set_output_dir(job.output_dir)

    @Slot(object)
    def _on_event(self, event: QueueEvent) -> None:
        match event:
            case JobStarted(job, plan):
                self._on_job_started(job, plan)
            case JobEnded(job):
                self._on_job_ended(job)
            case QueueSummary():
                self._on_ended(event)

    def _on_job_started(self, job: Job, plan: Plan) -> None:
        request = PlanRequest(0, job.finetuned, job.original, job.extraction, job.hardware, job.output_dir, job.also)
        self.job_started.emit(request, plan, job.finetuned.name)

    def _on_job_ended(self, job: Job) -> None:
        if job.failure is not None:
            text = self.tr("{name}: {message} {remedy}")
            words = text.format(name=job.finetuned.name, message=job.failure.message, remedy=job.failure.remedy)
            self._model.write(Level.ERROR, words)

    def _on_ended(self, summary: QueueSummary) -> None:
        words = summary_words(summary)
        self._model.write(Level.INFO, words)
        self.ended.emit(summary)
        self._notifier.notify(self.tr("The queue is done"), words)

    @Slot(object)
    def _on_write_failed(self, error: OSError) -> None:
        self._model.write(Level.WARNING, write_failed_words(error))
