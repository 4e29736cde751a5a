"""Starts the window: the application object, its look, and what happens to errors nobody expected."""

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

from app import paths
from app.gui_garbage import GuiThreadCollector
from app.icons import app_icon
from app.telling_apart import tell_apart
from app.widgets.main_window import MainWindow
from engine import __version__

LOG = logging.getLogger("lora_extractor")


class ErrorReporter(QObject):
    """Takes errors that nobody caught, on any thread: writes them to the log file and tells the person.

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


def run_window(
    files: Sequence[Path] = (),
    *,
    finetuned: Path | None = None,
    original: Path | None = None,
) -> int:
    """Show the window and work until it is closed.

    Args:
        files: up to two model files of which it is not said which is which.
        finetuned: the fine-tuned model.
        original: the original model.

    Returns:
        The process's exit status.
    """
    application, _reporter = begin()
    window = MainWindow()
    finetuned, original = _sides(list(files), finetuned, original)
    if finetuned is not None or original is not None:
        window.set_models(finetuned, original)
    window.show()
    return application.exec()


def begin() -> tuple[QApplication, ErrorReporter]:
    """What every window needs: the application, the log file, and somebody who reports errors; keep both."""
    application = make_application()
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


def _sides(files: list[Path], finetuned: Path | None, original: Path | None) -> tuple[Path | None, Path | None]:
    """Find a side for files that came without one."""
    if finetuned is None and original is None and len(files) >= 2:
        return tell_apart(files[0], files[1])
    for file in files[:2]:
        if finetuned is None:
            finetuned = file
        elif original is None:
            original = file
    return finetuned, original


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
