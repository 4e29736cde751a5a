"""What the window does beside extracting: settings, the report for a bug, the first start, a crash of the last time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QBoxLayout, QWidget

from app.demo.pair import FINETUNED, ORIGINAL
from app.look.theme import Theme
from app.storage.decompositions import open_store
from app.storage.preferences import DialogValues, PreferenceStore, SettingsChange
from app.support.bug_report import LOG_LINES, ErrorFacts, ReportFacts, error_facts, trace_facts, versions
from app.support.crash_log import UncleanEnds, crash_text
from app.support.redaction import PrivateWords, private_words
from app.system.notifications import Notifier
from app.text.language import LANGUAGES
from app.text.log_lines import Level
from app.widgets.help.bug_report_dialog import BugReportDialog
from app.widgets.help.crash_bar import CrashBar
from app.widgets.help.welcome import WelcomeCard
from app.widgets.run.log_view import LogPanel
from app.widgets.settings.profile_bar import ProfileBar
from app.widgets.settings.settings_dialog import SettingsDialog
from app.window.frame import ViewStack
from app.window.model import WindowModel
from app.work.cache_worker import DecompositionCache
from app.work.controller import Controller
from app.work.requests import DeviceInfo
from engine.errors import EngineError
from engine.settings import HardwareSettings

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
GUIDE = next((page for page in (DOCS / "guide.html",) if page.exists()), DOCS / "guide.md")  # a bundle has pages


@dataclass(frozen=True)
class HelpViews:
    """Where the welcome is shown and its profile chosen, where notices go, and the log that a report ends with."""

    stack: ViewStack
    profiles: ProfileBar
    notices: QBoxLayout
    log: LogPanel


class WindowHelp(QObject):
    """Opens what is rarely needed, and remembers what a report needs.

    Attributes:
        settings_saved: the dialog of the settings was left with Save.
    """

    settings_saved = Signal()

    def __init__(
        self,
        window: QWidget,
        model: WindowModel,
        controller: Controller,
        preferences: PreferenceStore,
        views: HelpViews,
        *,
        theme: Theme,
        notifier: Notifier,
    ) -> None:
        super().__init__(window)
        self._window, self._model, self._controller = window, model, controller
        self._views, self._theme, self._notifier = views, theme, notifier
        self._store = preferences
        self.preferences = preferences.load()
        self._device: DeviceInfo | None = None
        self._error: ErrorFacts | None = None
        self._crashes: tuple[Path, ...] = ()
        self._welcome: WelcomeCard | None = None
        self._cache = DecompositionCache(self)
        notifier.enabled = self.preferences.notify
        model.models_changed.connect(self._on_models)
        controller.device_found.connect(self._on_device)
        controller.failed.connect(self._on_failed)
        views.log.report_clicked.connect(self.report)

    def shut_down(self) -> None:
        """End the thread that looks after the cache."""
        self._cache.shut_down()

    def welcome(self) -> None:
        """Greet a person who starts the program for the first time."""
        card = self._welcome = WelcomeCard(self._theme)
        card.profile_chosen.connect(self._take_profile)
        card.demo_clicked.connect(self.show_demo)
        card.guide_clicked.connect(self.open_guide)
        card.dismissed.connect(self.end_welcome)
        self._controller.device_found.connect(card.show_device)
        self._controller.device_missing.connect(card.show_missing_device)
        self._views.stack.welcome(card)

    @Slot()
    def end_welcome(self) -> None:
        """Show the views of the run."""
        if self._welcome is not None:
            self._welcome = None
            self._model.session.welcomed = True
            self._views.stack.end_welcome()

    @Slot()
    def show_demo(self) -> None:
        """Fill both cards with the pair that ships with the program."""
        self._model.set_models(FINETUNED, ORIGINAL)

    @Slot()
    def open_guide(self) -> None:
        """Open the user guide."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(GUIDE)))

    def show_ends(self, ends: UncleanEnds) -> None:
        """Offer the report of a crash of the last time, quietly; what was killed from outside is for the log only."""
        if ends.killed:
            self._model.write(Level.INFO, self.tr("The last time the program was ended from outside."))
        if not ends.crashes:
            return
        self._crashes = ends.crashes
        bar = CrashBar(self._theme)
        bar.report_clicked.connect(self._report_crash)
        bar.file_clicked.connect(self._show_crash)
        self._views.notices.addWidget(bar)

    @Slot()
    def settings(self) -> None:
        """Open the settings."""
        dialog = SettingsDialog(self._values(), _languages(), self._cache, self._window, running=self._model.locked)
        dialog.saved.connect(self._save)
        dialog.exec()
        dialog.deleteLater()

    @Slot()
    def report(self) -> None:
        """Show the report for a bug."""
        self._show_report("")

    @Slot(str)
    def remember_error(self, trace: str) -> None:
        """Keep an unexpected error for the next report."""
        self._error = trace_facts(trace)

    def _values(self) -> DialogValues:
        request = self._model.request
        hardware = request.hardware or HardwareSettings()
        return DialogValues(
            language=self.preferences.language,
            theme=self._theme.choice,
            notify=self.preferences.notify,
            single_instance=self.preferences.single_instance,
            output_dir=request.output_dir,
            cache_limit_bytes=open_store().limit_bytes,
            device=hardware.device,
            memory_budget=hardware.memory_budget,
        )

    @Slot(object)
    def _save(self, change: SettingsChange) -> None:
        after = change.after
        if change.changed("language", "notify", "single_instance"):
            self.preferences = after.preferences()
            self._write_preferences()
            self._notifier.enabled = after.notify
        if change.changed("theme"):
            self._theme.set_choice(after.theme)
        if change.changed("cache_limit_bytes"):
            self._cache.set_limit(after.cache_limit_bytes)
        if change.changed("device", "memory_budget"):
            self._model.show_hardware({"device": after.device, "memory_budget": after.memory_budget})
        if change.changed("output_dir"):
            self._model.set_output_dir(after.output_dir)
        self._model.settle()
        self.settings_saved.emit()

    def _write_preferences(self) -> None:
        try:
            self._store.save(self.preferences)
        except OSError as error:
            text = self.tr("The settings could not be saved: {error}")
            self._model.write(Level.WARNING, text.format(error=error))

    def _show_report(self, crash: str) -> None:
        request = self._model.request
        facts = ReportFacts(
            versions=versions(),
            device=self._device,
            extraction=request.extraction,
            hardware=request.hardware,
            error=self._error,
            crash=crash,
            log=self._views.log.newest(LOG_LINES),
        )
        dialog = BugReportDialog(facts, self._private(), self._window)
        dialog.exec()
        dialog.deleteLater()

    def _private(self) -> PrivateWords:
        request = self._model.request
        finetuned, original = request.models
        return private_words(finetuned=finetuned, original=original, output_dir=request.output_dir)

    @Slot()
    def _report_crash(self) -> None:
        self._show_report("\n".join(crash_text(file) for file in self._crashes))

    @Slot()
    def _show_crash(self) -> None:
        if self._crashes:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._crashes[0])))

    @Slot(str)
    def _take_profile(self, name: str) -> None:
        self._views.profiles.choose(name)
        self._model.settle()

    @Slot()
    def _on_models(self) -> None:
        if any(self._model.request.models):
            self.end_welcome()

    @Slot(object)
    def _on_device(self, device: DeviceInfo) -> None:
        self._device = device

    @Slot(object)
    def _on_failed(self, error: EngineError) -> None:
        self._error = error_facts(error)


def _languages() -> Iterable[tuple[str, str]]:
    return [(language.code, language.title) for language in LANGUAGES]
