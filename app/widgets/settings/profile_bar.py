"""Choosing, saving and sharing hardware profiles."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QCoreApplication, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QMenu,
    QMessageBox,
    QWidget,
)

from app.storage.profiles import ProfileStore
from app.text.errors import error_text
from app.widgets.basics.basics import link_button, scaled, text_label
from app.widgets.basics.form import LABEL_WIDTH
from engine.errors import EngineError, ErrorCode
from engine.presets import DEFAULT_PROFILE, HARDWARE_PROFILES
from engine.settings import HardwareSettings

PROFILE_FILES = "JSON (*.json)"


def profile_title(name: str) -> str:
    """A profile's name as it is shown: the shipped ones have one in every language, the person's own only theirs."""
    return QCoreApplication.translate("profiles", name) if name in HARDWARE_PROFILES else name


class ProfileBar(QWidget):
    """The profile list; `menu_button` carries what can be done with profiles.

    Attributes:
        chosen: emitted with the settings of a profile that the person picked.
    """

    chosen = Signal(object)

    def __init__(self, store: ProfileStore) -> None:
        super().__init__()
        self._store = store
        self._current = HardwareSettings()
        self._name = DEFAULT_PROFILE
        label = text_label(self.tr("Profile"), "muted")
        label.setFixedWidth(scaled(LABEL_WIDTH))
        self.combo = QComboBox()
        self.combo.setAccessibleName(self.tr("Hardware profile"))
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.activated.connect(self._picked)
        self.menu_button = link_button(self.tr("manage"))
        self.menu_button.setAccessibleName(self.tr("Manage hardware profiles"))
        self.menu_button.setMenu(self._build_menu())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(label)
        row.addWidget(self.combo, 1)
        self.refresh(self._current)

    @property
    def name(self) -> str:
        """The profile that is chosen, changed since or not."""
        return self._name

    def set_name(self, name: str) -> None:
        """Choose a profile without emitting a signal; an unknown name falls back to the default one."""
        self._name = name if name in self._store.names() else DEFAULT_PROFILE
        self.refresh(self._current)

    def unsaved(self) -> bool:
        """Whether the settings differ from those of the profile."""
        return self._current != self._store.get(self._name)

    def refresh(self, current: HardwareSettings) -> None:
        """Show the profiles, a star behind the chosen one when `current` differs from it."""
        self._current = current
        self.combo.blockSignals(True)
        self.combo.clear()
        for name in self._store.names():
            star = " \u2731" if name == self._name and self.unsaved() else ""
            self.combo.addItem(profile_title(name) + star, name)
        self.combo.setCurrentIndex(self.combo.findData(self._name))
        self.combo.blockSignals(False)
        self.combo.setToolTip(
            self.tr("\u2731 changed since it was chosen")
            if self.unsaved()
            else self.tr("Settings for a kind of machine")
        )

    def choose(self, name: str) -> None:
        """Choose a profile and emit it."""
        self._name = name
        self._current = self._store.get(name)
        self.refresh(self._current)
        self.chosen.emit(self._current)

    @Slot(int)
    def _picked(self, index: int) -> None:
        self.choose(self.combo.itemData(index))

    def _build_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setAccessibleName(self.tr("Profiles"))
        self.save_action = menu.addAction(self.tr("Save"), self.save)
        menu.addAction(self.tr("Save as\u2026"), self.save_as)
        self.rename_action = menu.addAction(self.tr("Rename\u2026"), self.rename)
        self.delete_action = menu.addAction(self.tr("Delete\u2026"), self.delete)
        menu.addSeparator()
        menu.addAction(self.tr("Import\u2026"), self.import_profiles)
        menu.addAction(self.tr("Export\u2026"), self.export_profile)
        menu.addSeparator()
        self.reset_action = menu.addAction(self.tr("Reset to profile"), self.reset)
        menu.aboutToShow.connect(self._update_menu)
        return menu

    @Slot()
    def _update_menu(self) -> None:
        own = not self._store.is_shipped(self._name)
        self.save_action.setEnabled(own and self.unsaved())
        self.rename_action.setEnabled(own)
        self.delete_action.setEnabled(own)
        self.reset_action.setEnabled(self.unsaved())

    @Slot()
    def save(self) -> None:
        """Write the settings into the chosen own profile."""
        self._try_save(self._name)

    @Slot()
    def save_as(self) -> None:
        """Ask for a name and write the settings under it."""
        suggestion = self.tr("My profile") if self._store.is_shipped(self._name) else self._name
        name = self._ask_name(self.tr("Save profile as"), suggestion)
        if not name or (name in self._store.own_names() and name != self._name and not self._may_replace(name)):
            return
        self._try_save(name)

    @Slot()
    def rename(self) -> None:
        """Ask for a new name of the chosen own profile."""
        name = self._ask_name(self.tr("Rename profile"), self._name)
        if not name:
            return
        try:
            self._store.rename(self._name, name)
        except EngineError as error:
            self._show_error(error)
            return
        self.set_name(name)

    @Slot()
    def delete(self) -> None:
        """Remove the chosen own profile, after asking."""
        question = self.tr("Delete the profile \u201c{name}\u201d?").format(name=self._name)
        if QMessageBox.question(self, self.tr("Delete profile"), question) != QMessageBox.StandardButton.Yes:
            return
        try:
            self._store.delete(self._name)
        except EngineError as error:
            self._show_error(error)
            return
        self.set_name(DEFAULT_PROFILE)

    @Slot()
    def reset(self) -> None:
        """Back to what the profile says."""
        self.choose(self._name)

    @Slot()
    def import_profiles(self) -> None:
        """Ask for a file and add its profiles; the first of them is chosen."""
        file, _ = QFileDialog.getOpenFileName(self, self.tr("Import profile"), "", PROFILE_FILES)
        if not file:
            return
        try:
            names = self._store.import_file(Path(file))
        except EngineError as error:
            self._show_error(error)
            return
        self.choose(names[0])

    @Slot()
    def export_profile(self) -> None:
        """Ask for a file and write the chosen profile to it."""
        safe = "".join(letter if letter.isalnum() or letter in " -_" else "_" for letter in self._name).strip()
        file, _ = QFileDialog.getSaveFileName(self, self.tr("Export profile"), f"{safe}.json", PROFILE_FILES)
        if not file:
            return
        try:
            self._store.export_file(self._name, Path(file))
        except EngineError as error:
            self._show_error(error)

    def _try_save(self, name: str) -> None:
        try:
            self._store.save(name, self._current)
        except EngineError as error:
            self._show_error(error)
            return
        self.set_name(name.strip())

    def _ask_name(self, title: str, suggestion: str) -> str:
        name, accepted = QInputDialog.getText(self, title, self.tr("Name"), text=suggestion)
        return name.strip() if accepted else ""

    def _may_replace(self, name: str) -> bool:
        error = EngineError(ErrorCode.PROFILE_EXISTS, name=name)
        question = f"{error_text(error)[0]}\n\n{self.tr('Replace it?')}"
        answer = QMessageBox.question(self, self.tr("Save profile as"), question)
        return answer == QMessageBox.StandardButton.Yes

    def _show_error(self, error: EngineError) -> None:
        message, remedy = error_text(error)
        QMessageBox.warning(self, self.tr("Hardware profiles"), f"{message}\n\n{remedy}".strip())
