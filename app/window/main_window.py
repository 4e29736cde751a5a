"""The main window: builds the shared model, the views and the presenters, and connects them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QSize, Slot
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import QApplication, QMainWindow

from app.look.theme import Theme
from app.storage.paths import APP_NAME
from app.storage.preferences import PreferenceStore
from app.storage.profiles import ProfileStore
from app.storage.session import SessionStore
from app.system.notifications import Notifier
from app.widgets.basics.drops import accept_copy, dropped_paths
from app.widgets.basics.window_placement import FrameWatch, fit_screen, fitting, free_part, least_size
from app.widgets.queue.panel import QueuePanel
from app.window.closing import WindowClosing
from app.window.commands import CommandViews, WindowCommands
from app.window.device_presenter import WindowDevice
from app.window.dropped_files import WindowFiles
from app.window.find_presenter import WindowFind
from app.window.frame import WindowFrame
from app.window.menus import Menus
from app.window.model import WindowModel
from app.window.plan_presenter import PlanViews, WindowPlan
from app.window.queue_presenter import QueueViews, WindowQueue
from app.window.report_presenter import ReportViews, WindowReport
from app.window.request_presenter import RequestViews, WindowRequest
from app.window.run_presenter import RunViews, WindowRun
from app.window.session_restore import SessionViews, WindowSession
from app.window.settings_presenter import WindowSettings
from app.window.verify_presenter import WindowVerify
from app.window.welcome_presenter import WelcomeViews, WindowWelcome
from app.work.controller import Controller, State
from app.work.engine_port import Engine
from app.work.live_queue import LiveQueue
from app.work.queue_runner import QueueRunner

USUAL_SIZE, LEAST_SIZE = QSize(1280, 800), QSize(1000, 600)


class MainWindow(QMainWindow):
    """The one window of the application.

    Attributes:
        model: the state that the presenters share.
        controller: plans, runs and verifies.
        frame, menus: the views.
        theme, profiles, notifier: what views and presenters use.
        commands, request_control, device_control, run_control, verify_control, queue_control, plan_control,
            session_control, closing, find_control, files, welcome_control, settings_control, report_control: the
            presenters, one a subject.
    """

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
        store = store or SessionStore()
        preferences = preferences or PreferenceStore()
        session = store.load()
        self.theme = theme or Theme(application, session.theme)
        self.theme.set_choice(session.theme)
        self.profiles = ProfileStore()
        self.notifier = Notifier(self)
        self.controller = Controller(engine, self)
        self._queue = queue or LiveQueue(parent=self)
        self._runner = QueueRunner(self.controller, self._queue, self)
        self.frame = WindowFrame(self.theme, self.profiles, QueuePanel(self.theme, self._queue, self._runner))
        self.model = WindowModel(self.controller, session, self)
        self.model.written.connect(self.frame.run.write)
        self.setWindowTitle(APP_NAME)
        self.setCentralWidget(self.frame)
        self.setAcceptDrops(True)
        self.setMinimumSize(LEAST_SIZE)
        self.resize(fitting(USUAL_SIZE, free_part(self)))
        self._was_shown = False
        self._frame_watch = FrameWatch(self, self._fit_screen)
        self.menus = Menus(self)
        self._make_presenters(store, preferences)
        self._connect_presenters()
        self._connect_menus()
        self.session_control.report_problems(
            store.problem, self.profiles.problem, preferences.problem, damaged=self.profiles.damaged
        )
        if not session.welcomed and session.finetuned is None and session.original is None:
            self.welcome_control.show()
        self.session_control.restore(self.profiles)

    def _make_presenters(self, store: SessionStore, preferences: PreferenceStore) -> None:
        """Make them in the order in which they follow the controller: an outcome is shown before what can come next."""
        frame, model, controller, theme, notifier = self.frame, self.model, self.controller, self.theme, self.notifier
        queue_views = QueueViews(frame.queue, frame.tabs, self.menus.actions["add_to_queue"])
        command_views = CommandViews(
            frame.models, frame.options, frame.stack, frame.run.layers, frame.run.result.files, frame.queue, frame.bar
        )
        session_views = SessionViews(frame.models, frame.options, frame.hardware, frame.notices)
        welcome_views = WelcomeViews(frame.stack, frame.hardware.profiles)
        report_views = ReportViews(frame.notices, frame.run.log)
        self.commands = WindowCommands(self, model, self.menus, command_views, theme)
        request_views = RequestViews(frame.models, frame.options, frame.hardware)
        self.request_control = WindowRequest(self, model, controller, request_views)
        self.device_control = WindowDevice(self, model, controller, frame.hardware)
        self.run_control = WindowRun(self, model, controller, RunViews(frame.bar, frame.run, frame.tabs), notifier)
        self.verify_control = WindowVerify(self, model, controller, frame.bar, frame.run.result.files)
        self.queue_control = WindowQueue(self, model, self._queue, self._runner, queue_views, notifier)
        self.session_control = WindowSession(self, model, controller, store, session_views, theme)
        self.closing = WindowClosing(self, model, controller, self._runner)
        self.find_control = WindowFind(self, model, frame.models)
        self.files = WindowFiles(self, model, frame.models, frame.notices, theme)
        self.welcome_control = WindowWelcome(self, model, controller, welcome_views, theme)
        self.settings_control = WindowSettings(self, model, preferences, theme=theme, notifier=notifier)
        self.report_control = WindowReport(self, model, controller, report_views, theme)
        self.plan_control = WindowPlan(self, model, controller, PlanViews(frame.models.pair, frame.bar, frame.options))

    def _connect_presenters(self) -> None:
        """What one presenter announces and another one does."""
        plan, run, queue, save = self.plan_control, self.run_control, self.queue_control, self.session_control.save
        plan.planning.connect(run.check_models)
        plan.planning.connect(self.device_control.ask_again)
        plan.extract_offered.connect(self.commands.set_extract_enabled)
        plan.kept_known.connect(run.show_kept)
        plan.planned.connect(run.start_if_wanted)
        run.starting.connect(save)
        queue.job_started.connect(run.show_start)
        queue.ended.connect(plan.replan)
        self.settings_control.saved.connect(save)
        self.find_control.folders_changed.connect(save)
        self.frame.bar.stop_clicked.connect(self.ask_stop)

    def _connect_menus(self) -> None:
        """The commands that belong to a presenter; `WindowCommands` has the others."""
        menus, actions = self.menus, self.menus.actions
        actions["extract"].triggered.connect(self.extract)
        actions["stop"].triggered.connect(self.ask_stop)
        actions["add_to_queue"].triggered.connect(self.queue_control.add_current)
        actions["run_queue"].triggered.connect(self.queue_control.run_all)
        actions["verify"].triggered.connect(self.verify_control.choose)
        actions["settings"].triggered.connect(self.settings_control.open)
        menus.start_over.triggered.connect(self.run_control.start_over)
        menus.free_memory.triggered.connect(self.controller.free_memory)
        menus.copy_command.triggered.connect(self.run_control.copy_command)
        menus.guide.triggered.connect(self.welcome_control.open_guide)
        menus.demo.triggered.connect(self.welcome_control.show_demo)
        menus.bug_report.triggered.connect(self.report_control.report)

    def set_models(self, finetuned: Path | None, original: Path | None) -> None:
        """Choose both models; either may be None."""
        self.model.set_models(finetuned, original)

    def take_files(self, files: list[Path]) -> None:
        """Fill the cards with files whose sides are not known."""
        self.files.take(files)

    @Slot()
    def extract(self) -> None:
        """Start the extraction, or start it as soon as it is planned."""
        self.run_control.extract()

    @Slot()
    def ask_stop(self) -> None:
        """Stop what is going on, after asking where something would be lost or left undone."""
        if self.controller.state is State.VERIFYING:
            self.verify_control.stop()
        elif self.model.queue_running:
            self.queue_control.ask_stop()
        else:
            self.run_control.stop()

    def showEvent(self, event: QShowEvent) -> None:
        """Once the window is there, keep it on its screen, and find out what device will compute."""
        super().showEvent(event)
        if not self._was_shown:
            self._was_shown = True
            self._limit_size()
            self._frame_watch.start()
            self.device_control.ask_later()

    def changeEvent(self, event: QEvent) -> None:
        """Keep room for a larger font, and the screen's bounds for a window that fills the screen no longer."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange and self._was_shown:
            self._frame_watch.start()
        if event.type() == QEvent.Type.FontChange and hasattr(self, "files"):
            self._limit_size()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask while something goes on, stop it, and close once it has ended."""
        if not self.closing.ready():
            event.ignore()
            return
        self.session_control.save()
        self.hide()
        self.controller.shut_down()
        self.settings_control.shut_down()
        self.find_control.shut_down()
        event.accept()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files anywhere in the window."""
        if dropped_paths(event) and not self.model.working:
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
