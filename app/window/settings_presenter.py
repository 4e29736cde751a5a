"""The dialog of the settings: collects its values, and applies what was changed."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QWidget

from app.look.theme import Theme
from app.storage.decompositions import open_store
from app.storage.preferences import DialogValues, PreferenceStore, SettingsChange
from app.system.notifications import Notifier
from app.text.language import LANGUAGES
from app.text.log_lines import Level
from app.widgets.settings.settings_dialog import SettingsDialog
from app.window.model import WindowModel
from app.work.cache_worker import DecompositionCache
from engine.settings import HardwareSettings


class WindowSettings(QObject):
    """Opens the dialog, and applies what was changed in it.

    Attributes:
        preferences: the settings that are kept beside the session.
        saved: the dialog was left with Save.
    """

    saved = Signal()

    def __init__(
        self, window: QWidget, model: WindowModel, preferences: PreferenceStore, *, theme: Theme, notifier: Notifier
    ) -> None:
        super().__init__(window)
        self._window, self._model = window, model
        self._theme, self._notifier = theme, notifier
        self._store = preferences
        self.preferences = preferences.load()
        self._cache = DecompositionCache(self)
        notifier.enabled = self.preferences.notify

    def shut_down(self) -> None:
        """End the thread of the cache."""
        self._cache.shut_down()

    @Slot()
    def open(self) -> None:
        """Open the dialog."""
        dialog = SettingsDialog(self._values(), _languages(), self._cache, self._window, running=self._model.locked)
        dialog.saved.connect(self._save)
        dialog.exec()
        dialog.deleteLater()

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
        self.saved.emit()

    def _write_preferences(self) -> None:
        try:
            self._store.save(self.preferences)
        except OSError as error:
            text = self.tr("The settings could not be saved: {error}")
            self._model.write(Level.WARNING, text.format(error=error))


def _languages() -> Iterable[tuple[str, str]]:
    return [(language.code, language.title) for language in LANGUAGES]
