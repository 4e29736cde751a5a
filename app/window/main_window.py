"""The window: puts the parts together and carries what they say to the controller and back."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QSize, QTimer, Slot
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import QApplication, QMainWindow

from app.look.theme import Theme
from app.storage.paths import APP_NAME
from app.storage.preferences import PreferenceStore
from app.storage.profiles import ProfileStore
from app.storage.session import SessionStore, remember_recent
from app.system.notifications import Notifier
from app.text.log_lines import Level
from app.widgets.basics.drops import accept_copy, dropped_paths
from app.widgets.basics.window_placement import FrameWatch, fit_screen, fitting, free_part, least_size
from app.widgets.queue.panel import QueuePanel
from app.window.closing import WindowClosing
from app.window.commands import WindowCommands
from app.window.dropped_files import WindowFiles
from app.window.frame import WindowFrame
from app.window.help import WindowHelp
from app.window.menus import Menus
from app.window.plan_presenter import WindowPlan
from app.window.queue_presenter import WindowQueue
from app.window.run_presenter import WindowRun
from app.window.session_restore import restore_session, session_of
from app.window.verify_presenter import WindowVerify
from app.work.controller import ENDED, Controller, State
from app.work.engine_port import Engine
from app.work.live_queue import LiveQueue
from app.work.queue_runner import QueueRunner
from app.work.requests import Inspected
from engine.settings import HardwareSettings

USUAL_SIZE, LEAST_SIZE = QSize(1280, 800), QSize(1000, 600)
REPLAN_MS = 150
DEVICE_QUESTION_MS = 1500


class MainWindow(QMainWindow):
    """The one window of the application."""

    def __init__(
        self,
        store: SessionStore | None = None,
        *,
        engine: Engine | None = None,
        theme: Theme | None = None,
        queue: LiveQueue | None = None,
        preferences: PreferenceStore | None = None,
    ) -> None:
        """Build everything; the models of the last session are looked at as soon as the event loop runs.

        Args:
            store: what comes back from the last session.
            engine: what inspects, pairs and extracts.
            theme: the colours.
            queue: the jobs.
            preferences: what the settings dialog keeps.
        """
        super().__init__()
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        self._store = store or SessionStore()
        self.session = self._store.load()
        self.theme = theme or Theme(application, self.session.theme)
        self.theme.set_choice(self.session.theme)
        self.profiles = ProfileStore()
        self.output_dir = self.session.output_folder()
        self.controller = Controller(engine, self)
        queue = queue or LiveQueue(parent=self)
        runner = QueueRunner(self.controller, queue, self)
        self.frame = WindowFrame(self.theme, self.profiles, QueuePanel(self.theme, queue, runner))
        self.notifier = Notifier(self)
        self._pair: tuple[Path | None, Path | None] = (None, None)
        self._asked_device: tuple[str, int | None] | None = None
        self._replan_timer = QTimer(self)
        self._replan_timer.setSingleShot(True)
        self._replan_timer.setInterval(REPLAN_MS)
        self._replan_timer.timeout.connect(self.replan)
        self._frame_watch = FrameWatch(self, self._fit_screen)
        self.setWindowTitle(APP_NAME)
        self.setCentralWidget(self.frame)
        self.setAcceptDrops(True)
        self.setMinimumSize(LEAST_SIZE)
        self.resize(fitting(USUAL_SIZE, free_part(self)))
        self.menus = Menus(self)
        self.commands = WindowCommands(self)
        self.run_control = WindowRun(self)
        self.verify_control = WindowVerify(self)
        self.queue_control = WindowQueue(self, queue, runner)
        self.plan_control = WindowPlan(self)
        self.closing = WindowClosing(self)
        self.files = WindowFiles(self)
        preferences = preferences or PreferenceStore()
        self.help = WindowHelp(self, preferences)
        self.commands.connect_controls()
        self._connect()
        self.commands.tell_store_problems(
            self._store.problem, self.profiles.problem, preferences.problem, damaged=self.profiles.damaged
        )
        if not self.session.welcomed and self.session.finetuned is None and self.session.original is None:
            self.help.welcome()
        restore_session(self)

    def set_models(self, finetuned: Path | None, original: Path | None) -> None:
        """Choose both models; either may be None."""
        self.frame.models.set_models(finetuned, original)

    def take_files(self, files: list[Path]) -> None:
        """Fill the cards with files of which it is not said which is which."""
        self.files.take(files)

    @Slot()
    def extract(self) -> None:
        """Start the extraction, or start it as soon as it is planned."""
        self.run_control.extract()

    @Slot()
    def ask_stop(self) -> None:
        """Stop the run, after asking."""
        self.run_control.stop()

    def plan_now(self) -> None:
        """Plan what was changed a moment ago, instead of waiting for more changes."""
        if self._replan_timer.isActive():
            self._replan_timer.stop()
            self.replan()

    @Slot()
    def replan(self) -> None:
        """Pair and plan with what the window shows now."""
        frame = self.frame
        models = frame.models.models()
        if self.controller.busy or self.queue_control.running:
            return
        if models != self._pair:
            self._pair = models
            self.run_control.check_models()
            if None in models:
                frame.models.pair.show_empty()
            else:
                frame.models.pair.show_working()
        hardware = frame.hardware.settings()
        self._ask_device(hardware)
        self.controller.prepare(models, frame.options.settings(), hardware, self.output_dir)
        self.plan_control.refresh_bar()

    def set_output_dir(self, folder: Path) -> None:
        """Write LoRAs to another folder from now on."""
        self.output_dir = folder
        self.replan()

    def save_session(self) -> None:
        """Write down what shall come back at the next start; failing is no reason to bother anyone."""
        self.session = session_of(self)
        try:
            self._store.save(self.session)
        except OSError as error:
            self.frame.run.write(Level.WARNING, self.tr("The session could not be saved: {error}").format(error=error))

    def showEvent(self, event: QShowEvent) -> None:
        """Once the window is there, keep it on its screen, and find out what device will compute."""
        super().showEvent(event)
        if self._asked_device is None:
            self._limit_size()
            self._asked_device = ("", None)
            self._frame_watch.start()
            QTimer.singleShot(DEVICE_QUESTION_MS, self, self._first_device_question)

    def changeEvent(self, event: QEvent) -> None:
        """Keep room for a larger font, and the screen's bounds for a window that fills the screen no longer."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange and self._asked_device is not None:
            self._frame_watch.start()
        if event.type() == QEvent.Type.FontChange and hasattr(self, "files"):
            self._limit_size()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask while something goes on, stop it, and close once it has ended."""
        if not self.closing.ready():
            event.ignore()
            return
        self.save_session()
        self.hide()
        self.controller.shut_down()
        self.help.shut_down()
        event.accept()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files anywhere in the window."""
        if dropped_paths(event) and not self.closing.working():
            accept_copy(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Give dropped files to the cards, once the desktop has its answer."""
        if accept_copy(event):
            self.files.take_later(dropped_paths(event))

    def _limit_size(self) -> None:
        """Let large text have its room; what it needs is known once the style sheet was applied."""
        least = least_size(LEAST_SIZE.expandedTo(self.frame.roomy_size()), self)
        if least != self.minimumSize():
            self.setMinimumSize(least)

    @Slot()
    def _fit_screen(self) -> None:
        self._limit_size()
        fit_screen(self)

    def _connect(self) -> None:
        frame, controller = self.frame, self.controller
        frame.models.changed.connect(self._models_changed)
        frame.options.changed.connect(self._replan_timer.start)
        frame.hardware.changed.connect(self._replan_timer.start)
        controller.inspected.connect(self._on_inspected)
        controller.device_found.connect(frame.hardware.show_device)
        controller.device_missing.connect(frame.hardware.show_missing_device)
        controller.state_changed.connect(self._on_state)

    @Slot()
    def _models_changed(self) -> None:
        finetuned, original = self.frame.models.models()
        self.controller.inspect("finetuned", finetuned)
        self.controller.inspect("original", original)
        if finetuned is not None or original is not None:
            self.help.end_welcome()
        self.replan()

    @Slot(object)
    def _on_inspected(self, answer: Inspected) -> None:
        side = answer.request.side
        card = self.frame.models.finetuned if side == "finetuned" else self.frame.models.original
        if answer.error is not None:
            card.show_error(answer.error)
        elif answer.summary is not None:
            card.show_summary(answer.summary)
            recent = remember_recent(getattr(self.session, f"recent_{side}"), answer.summary.path)
            setattr(self.session, f"recent_{side}", recent)
            card.set_recent(recent)

    @Slot(object)
    def _on_state(self, state: State) -> None:
        if state in ENDED:
            self.frame.run.end()
            self.plan_control.expect_focus()
        self.run_control.show_state(state)
        self.verify_control.show_state(state)
        self.refresh_locks()
        self.plan_control.refresh_bar()

    def refresh_locks(self) -> None:
        """Refuse changes of what a run, a verification or the queue works with."""
        working = self.controller.state in (State.RUNNING, State.STOPPING, State.VERIFYING)
        locked = working or self.queue_control.running
        self.frame.set_locked(locked)
        self.commands.set_running(locked)

    def _ask_device(self, hardware: HardwareSettings | None) -> None:
        """Ask again when the person chose another device."""
        if hardware is None or self._asked_device in (None, ("", None)):
            return
        if self._asked_device != (hardware.device, hardware.memory_budget):
            self._asked_device = (hardware.device, hardware.memory_budget)
            self.controller.describe_device(hardware)

    @Slot()
    def _first_device_question(self) -> None:
        hardware = self.frame.hardware.settings() or HardwareSettings()
        self._asked_device = (hardware.device, hardware.memory_budget)
        if not self.controller.busy:  # a run tells its device itself
            self.controller.describe_device(hardware)
