"""Starts the window: the application object, its look, and the report of unexpected errors."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QCoreApplication, QObject, Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QMessageBox

from app.look.icons import app_icon
from app.storage import paths
from app.storage.preferences import PreferenceStore
from app.support.crash_log import CrashLog
from app.system.abandoned_threads import leave_process, left_behind
from app.system.gui_gc import GuiThreadCollector
from app.system.instance_server import FileOpenFilter, InstanceServer, bring_to_front
from app.system.pyside_refcounts import protect_constants
from app.text.language import install_language
from app.window.main_window import MainWindow
from engine import __version__

LOG = logging.getLogger("lora_extractor")


class ErrorReporter(QObject):
    """Takes uncaught exceptions of any thread: writes them to the log file and shows them in a dialog.

    Attributes:
        reported: carries the error's text to the GUI thread.
    """

    reported = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._showing = False
        self.reported.connect(self._show, Qt.ConnectionType.QueuedConnection)

    def install(self) -> None:
        """Become the last resort of the main thread and of all others."""
        sys.excepthook = self._on_main
        threading.excepthook = self._on_thread

    def _on_main(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            QCoreApplication.exit(130)
            return
        self._report("".join(traceback.format_exception(kind, error, trace)))

    def _on_thread(self, failure: threading.ExceptHookArgs) -> None:
        parts = traceback.format_exception(failure.exc_type, failure.exc_value, failure.exc_traceback)
        self._report("".join(parts))

    def _report(self, details: str) -> None:
        LOG.error(details)
        self.reported.emit(details)

    @Slot(str)
    def _show(self, details: str) -> None:
        if self._showing:
            return
        self._showing = True
        box = QMessageBox(QApplication.activeWindow())
        box.setIcon(QMessageBox.Icon.Critical)
        box.setWindowTitle(self.tr("Something went wrong"))
        box.setText(self.tr("An unexpected error happened. Your models are untouched; you can go on working."))
        box.setInformativeText(self.tr("Please report it with the details below."))
        box.setDetailedText(details)
        box.exec()
        self._showing = False


class OpenedFiles(QObject):
    """Passes files that a second start or the system opens to the window."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window

    @Slot(object)
    def take(self, files: list[Path]) -> None:
        """Bring the window to the front, and fill its cards unless they are in use."""
        bring_to_front(self._window)
        self._window.take_files(files)


def run_window(files: Sequence[Path], preferences: PreferenceStore, *, listen: bool) -> int:
    """Show the window and work until it is closed.

    Args:
        files: up to two model files whose sides are not known.
        preferences: what is kept beside the session.
        listen: take the files of later starts.

    Returns:
        The process's exit status.
    """
    crash_log = CrashLog(paths.log_dir())
    ends = crash_log.start()
    application, reporter = begin(preferences.load().language)
    server = InstanceServer(application)
    if listen and server.claim(list(files)):
        crash_log.close()
        return 0
    system = FileOpenFilter(application)
    application.installEventFilter(system)
    window = MainWindow(preferences=preferences)
    opened = OpenedFiles(window)
    server.files_received.connect(opened.take)
    system.files_received.connect(opened.take)
    reporter.reported.connect(window.report_control.remember_error)
    window.take_files(list(files))
    window.report_control.show_ends(ends)
    window.show()
    status = application.exec()
    server.close()
    crash_log.close()
    if left_behind():
        leave_process(status)
    return status


def begin(language: str) -> tuple[QApplication, ErrorReporter]:
    """Create what every window needs: the application, the log file, and an `ErrorReporter`; keep both."""
    protect_constants()
    application = make_application()
    install_language(application, language)
    _start_log_file()
    reporter = ErrorReporter()
    reporter.install()
    return application, reporter


def make_application() -> QApplication:
    """The application object with our name and style; the existing one where there is one."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        application = existing
    else:
        QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
        application = QApplication(sys.argv[:1])
        GuiThreadCollector(application)
    application.setApplicationName(paths.APP_NAME)
    application.setApplicationDisplayName(paths.APP_NAME)
    application.setApplicationVersion(__version__)
    application.setDesktopFileName("lora-extractor")
    application.setStyle("Fusion")
    application.setWindowIcon(app_icon())
    return application


def _start_log_file() -> None:
    """Keep a small log file; a place that cannot be written is no reason not to start."""
    try:
        paths.log_dir().mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(
            paths.log_dir() / "lora-extractor.log", maxBytes=1_000_000, backupCount=2, encoding="utf-8", delay=True
        )
    except OSError:
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
