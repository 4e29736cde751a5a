"""What the window does beside extracting: settings, the report for a bug, the first start, a crash of the last time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QUrl, Slot
from PySide6.QtGui import QDesktopServices

from app.demo.pair import FINETUNED, ORIGINAL
from app.storage.decompositions import open_store
from app.storage.preferences import DialogValues, PreferenceStore, SettingsChange
from app.support.bug_report import LOG_LINES, ErrorFacts, ReportFacts, error_facts, trace_facts, versions
from app.support.crash_log import UncleanEnds, crash_text
from app.support.redaction import PrivateWords, private_words
from app.text.language import LANGUAGES
from app.text.log_lines import Level
from app.widgets.help.bug_report_dialog import BugReportDialog
from app.widgets.help.crash_bar import CrashBar
from app.widgets.help.welcome import WelcomeCard
from app.widgets.settings.settings_dialog import SettingsDialog
from app.work.cache_worker import DecompositionCache
from app.work.requests import DeviceInfo
from engine.errors import EngineError
from engine.settings import HardwareSettings

if TYPE_CHECKING:
    from app.window.main_window import MainWindow

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
GUIDE = next((page for page in (DOCS / "guide.html",) if page.exists()), DOCS / "guide.md")  # a bundle has pages


class WindowHelp(QObject):
    """Opens what is rarely needed, and remembers what a report needs."""

    def __init__(self, window: MainWindow, preferences: PreferenceStore) -> None:
        super().__init__(window)
        self._window = window
        self._store = preferences
        self.preferences = preferences.load()
        self._device: DeviceInfo | None = None
        self._error: ErrorFacts | None = None
        self._crashes: tuple[Path, ...] = ()
        self._welcome: WelcomeCard | None = None
        self._cache = DecompositionCache(self)
        window.notifier.enabled = self.preferences.notify
        window.controller.device_found.connect(self._on_device)
        window.controller.failed.connect(self._on_failed)
        window.frame.run.log.report_clicked.connect(self.report)

    def shut_down(self) -> None:
        """End the thread that looks after the cache."""
        self._cache.shut_down()

    def welcome(self) -> None:
        """Greet somebody who is here for the first time."""
        card = self._welcome = WelcomeCard(self._window.theme)
        card.profile_chosen.connect(self._take_profile)
        card.demo_clicked.connect(self.show_demo)
        card.guide_clicked.connect(self.open_guide)
        card.dismissed.connect(self.end_welcome)
        self._window.controller.device_found.connect(card.show_device)
        self._window.controller.device_missing.connect(card.show_missing_device)
        self._window.frame.welcome(card)

    @Slot()
    def end_welcome(self) -> None:
        """Show the views of the run."""
        if self._welcome is not None:
            self._welcome = None
            self._window.session.welcomed = True
            self._window.frame.end_welcome()

    @Slot()
    def show_demo(self) -> None:
        """Fill both cards with the pair that ships with the program."""
        self._window.set_models(FINETUNED, ORIGINAL)

    @Slot()
    def open_guide(self) -> None:
        """Open the user guide."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(GUIDE)))

    def show_ends(self, ends: UncleanEnds) -> None:
        """Offer the report of a crash of the last time, quietly; what was killed from outside is for the log only."""
        log = self._window.frame.run
        if ends.killed:
            log.write(Level.INFO, self.tr("The last time the program was ended from outside."))
        if not ends.crashes:
            return
        self._crashes = ends.crashes
        bar = CrashBar(self._window.theme)
        bar.report_clicked.connect(self._report_crash)
        bar.file_clicked.connect(self._show_crash)
        self._window.frame.notices.addWidget(bar)

    @Slot()
    def settings(self) -> None:
        """Open the settings."""
        window = self._window
        running = window.controller.busy or window.queue_control.running
        dialog = SettingsDialog(self._values(), _languages(), self._cache, window, running=running)
        dialog.saved.connect(self._save)
        dialog.exec()
        dialog.deleteLater()

    @Slot()
    def report(self) -> None:
        """Show the report for a bug."""
        self._show_report("")

    @Slot(str)
    def remember_error(self, trace: str) -> None:
        """An error that nobody expected; the next report has it."""
        self._error = trace_facts(trace)

    def _values(self) -> DialogValues:
        window = self._window
        hardware = window.frame.hardware.settings() or HardwareSettings()
        return DialogValues(
            language=self.preferences.language,
            theme=window.theme.choice,
            notify=self.preferences.notify,
            single_instance=self.preferences.single_instance,
            output_dir=window.output_dir,
            cache_limit_bytes=open_store().limit_bytes,
            device=hardware.device,
            memory_budget=hardware.memory_budget,
        )

    @Slot(object)
    def _save(self, change: SettingsChange) -> None:
        window, after = self._window, change.after
        if change.changed("language", "notify", "single_instance"):
            self.preferences = after.preferences()
            self._write_preferences()
            window.notifier.enabled = after.notify
        if change.changed("theme"):
            window.commands.choose_theme(after.theme)
        if change.changed("cache_limit_bytes"):
            self._cache.set_limit(after.cache_limit_bytes)
        if change.changed("device", "memory_budget"):
            values = {"device": after.device, "memory_budget": after.memory_budget}
            window.frame.hardware.show_values(values)
        if change.changed("output_dir"):
            window.output_dir = after.output_dir
        if change.changed("output_dir", "device", "memory_budget"):
            window.replan()
        window.save_session()

    def _write_preferences(self) -> None:
        try:
            self._store.save(self.preferences)
        except OSError as error:
            text = self.tr("The settings could not be saved: {error}")
            self._window.frame.run.write(Level.WARNING, text.format(error=error))

    def _show_report(self, crash: str) -> None:
        frame = self._window.frame
        facts = ReportFacts(
            versions=versions(),
            device=self._device,
            extraction=frame.options.settings(),
            hardware=frame.hardware.settings(),
            error=self._error,
            crash=crash,
            log=frame.run.log.newest(LOG_LINES),
        )
        dialog = BugReportDialog(facts, self._private(), self._window)
        dialog.exec()
        dialog.deleteLater()

    def _private(self) -> PrivateWords:
        finetuned, original = self._window.frame.models.models()
        return private_words(finetuned=finetuned, original=original, output_dir=self._window.output_dir)

    @Slot()
    def _report_crash(self) -> None:
        self._show_report("\n".join(crash_text(file) for file in self._crashes))

    @Slot()
    def _show_crash(self) -> None:
        if self._crashes:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._crashes[0])))

    @Slot(str)
    def _take_profile(self, name: str) -> None:
        hardware = self._window.frame.hardware
        hardware.profiles.set_name(name)
        hardware.show_settings(self._window.profiles.get(name))
        self._window.replan()

    @Slot(object)
    def _on_device(self, device: DeviceInfo) -> None:
        self._device = device

    @Slot(object)
    def _on_failed(self, error: EngineError) -> None:
        self._error = error_facts(error)


def _languages() -> Iterable[tuple[str, str]]:
    return [(language.code, language.title) for language in LANGUAGES]
