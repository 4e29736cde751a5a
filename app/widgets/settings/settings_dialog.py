"""The settings of the program: how it speaks and looks, where files go, and what computes.

Nothing changes before Save. What changed then is emitted as one value, and the window carries it to where each setting
lives.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.parameters import field_specs
from app.storage import paths
from app.storage.preferences import DialogValues, SettingsChange, parse_size, size_text
from app.widgets.basics.basics import Panel, WheelGuard, push_button, scaled
from app.widgets.basics.drops import TextField
from app.widgets.basics.fields import DeviceEditor, help_of, title_of
from app.widgets.basics.window_placement import resize_on_screen
from app.widgets.settings.cache_row import CacheRow
from app.widgets.settings.setting_row import SettingRow
from app.work.cache_worker import DecompositionCache
from engine.settings import HardwareSettings

SPECS = {spec.name: spec for spec in field_specs(HardwareSettings)}
SIZE = QSize(640, 664)


class SettingsDialog(QDialog):
    """Shows values and lets the person change them.

    Attributes:
        saved: emitted with a `SettingsChange` when something changed and was saved.
    """

    saved = Signal(object)

    def __init__(
        self,
        values: DialogValues,
        languages: Iterable[tuple[str, str]],
        cache: DecompositionCache,
        parent: QWidget | None = None,
        *,
        running: bool = False,
    ) -> None:
        """Show values.

        Args:
            values: as they are now.
            languages: codes and titles to choose from, the system's among them.
            cache: what looks after the cache.
            parent: the window.
            running: an extraction is on its way, so that what it works with cannot be changed.
        """
        super().__init__(parent)
        self._values = values
        self.setWindowTitle(self.tr("Settings"))
        self._guard = WheelGuard()
        column = QVBoxLayout()
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(10)
        for panel in (self._general(list(languages)), self._files(cache), self._computing()):
            column.addWidget(panel)
        column.addStretch(1)
        self._refuse_changes(running)
        content = QWidget()
        content.setProperty("surface", "clear")
        content.setLayout(column)
        area = QScrollArea()
        area.setProperty("surface", "clear")
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setAccessibleName(self.tr("Settings"))
        area.setWidget(content)
        area.viewport().setAutoFillBackground(False)
        content.setAutoFillBackground(False)
        area.setMinimumWidth(content.minimumSizeHint().width())
        self._area = area
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(area, 1)
        outer.addWidget(self._buttons())
        for kind in (QComboBox, QAbstractSpinBox):
            for control in self.findChildren(kind):
                control.installEventFilter(self._guard)
                control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.language.setFocus()
        resize_on_screen(self, self.sizeHint())

    def sizeHint(self) -> QSize:
        """Wide enough for a path, and as high as the smallest window."""
        return QSize(scaled(SIZE.width()), scaled(SIZE.height()))

    def accept(self) -> None:
        """Save, where everything can be used; else show the first thing that cannot."""
        checks = (
            (self.folder_row, self.check_folder),
            (self.cache.limit, self.cache.check),
            (self.device_row, self.check_device),
            (self.budget_row, self.check_budget),
        )
        bad = [row for row, check in checks if not check()]
        if bad:
            bad[0].control.setFocus()
            self._area.ensureWidgetVisible(bad[0])
            return
        change = SettingsChange(self._values, self.values())
        super().accept()
        if change.names:
            self.saved.emit(change)

    def values(self) -> DialogValues:
        """What the dialog shows; only to be asked for where everything can be used."""
        limit, budget = self.cache.value(), self.budget.text().strip()
        assert limit is not None
        return DialogValues(
            language=self.language.currentData(),
            theme=self.theme.currentData(),
            notify=self.notify.isChecked(),
            single_instance=self.single_instance.isChecked(),
            output_dir=self._folder(),
            cache_limit_bytes=limit,
            device=self.device.value(),
            memory_budget=parse_size(budget) if budget else None,
        )

    def _general(self, languages: list[tuple[str, str]]) -> Panel:
        panel = Panel(self.tr("General"))
        values = self._values
        self.language = _choice(languages, values.language)
        hint = self.tr("Takes effect at the next start.")
        panel.body.addWidget(SettingRow(self.tr("Language"), self.language, hint))
        themes = (("system", self.tr("As the system")), ("light", self.tr("Light")), ("dark", self.tr("Dark")))
        self.theme = _choice(themes, values.theme)
        panel.body.addWidget(SettingRow(self.tr("Theme"), self.theme))
        self.notify = QCheckBox(self.tr("Tell me when an extraction ends"))
        self.notify.setChecked(values.notify)
        hint = self.tr("On the desktop, while another window is in front.")
        panel.body.addWidget(SettingRow(self.tr("Notification"), self.notify, hint))
        self.notify.setAccessibleName(self.notify.text())
        self.single_instance = QCheckBox(self.tr("Open files in the window that is there already"))
        self.single_instance.setChecked(values.single_instance)
        hint = self.tr("Otherwise every start has a window of its own.")
        panel.body.addWidget(SettingRow(self.tr("Second start"), self.single_instance, hint))
        self.single_instance.setAccessibleName(self.single_instance.text())
        return panel

    def _files(self, cache: DecompositionCache) -> Panel:
        panel = Panel(self.tr("Files"))
        self.folder = TextField(str(self._values.output_dir))
        self.folder.setCursorPosition(0)
        self.folder.setPlaceholderText(str(paths.default_output_dir()))
        self.folder.editingFinished.connect(self.check_folder)
        self.folder.textEdited.connect(self._folder_edited)
        self.browse = push_button(self.tr("Browse\u2026"), small=True)
        self.browse.setAccessibleName(self.tr("Browse for the output folder"))
        self.browse.clicked.connect(self._browse)
        hint = self.tr("Empty for the usual folder.")
        self.folder_row = SettingRow(self.tr("Output folder"), self.folder, hint, beside=(self.browse,))
        panel.body.addWidget(self.folder_row)
        self.cache = CacheRow(cache, self._values.cache_limit_bytes)
        panel.body.addWidget(self.cache)
        return panel

    def _computing(self) -> Panel:
        panel = Panel(self.tr("Computing"))
        self.device = DeviceEditor(SPECS["device"])
        self.device.set_value(self._values.device)
        self.device.changed.connect(self.check_device)
        self.device_row = SettingRow(title_of(SPECS["device"]), self.device.control, help_of(SPECS["device"]))
        self.budget = TextField("" if self._values.memory_budget is None else size_text(self._values.memory_budget))
        self.budget.setPlaceholderText(self.tr("automatic"))
        self.budget.textEdited.connect(self.check_budget)
        spec = SPECS["memory_budget"]
        self.budget_row = SettingRow(title_of(spec), self.budget, help_of(spec))
        self.computing = panel.detail
        panel.detail.setText(self.tr("also under Hardware, and part of a saved profile"))
        panel.body.addWidget(self.device_row)
        panel.body.addWidget(self.budget_row)
        return panel

    def _buttons(self) -> QFrame:
        bar = QFrame()
        bar.setProperty("panel", "bar")
        cancel = push_button(self.tr("Cancel"))
        cancel.clicked.connect(self.reject)
        self.save = push_button(self.tr("Save"), kind="primary")
        self.save.setDefault(True)
        self.save.clicked.connect(self.accept)
        row = QHBoxLayout(bar)
        row.setContentsMargins(16, 12, 16, 12)
        row.setSpacing(8)
        row.addStretch(1)
        row.addWidget(cancel)
        row.addWidget(self.save)
        return bar

    def _refuse_changes(self, running: bool) -> None:
        """Nothing that a run works with may change under it."""
        if not running:
            return
        for row in (self.folder_row, self.device_row, self.budget_row):
            row.setEnabled(False)
        hint = self.tr("Can be changed when the extraction has ended.")
        self.folder_row.set_hint(hint)
        self.computing.setText(hint)

    def _folder(self) -> Path:
        text = self.folder.text().strip()
        return Path(text) if text else paths.default_output_dir()

    @Slot()
    def check_folder(self) -> bool:
        """Whether the output folder can be used; says beside it why not."""
        trouble = self._folder_trouble(self._folder()) if self.folder.isEnabled() else ""
        self.folder_row.set_trouble(trouble)
        return not trouble

    def _folder_trouble(self, folder: Path) -> str:
        if not folder.is_absolute():
            return self.tr("Write the whole path, from the drive or the root on.")
        try:
            while not folder.exists() and folder != folder.parent:
                folder = folder.parent
            if not folder.exists():
                return self.tr("This drive is not there.")
            if not folder.is_dir():
                return self.tr("{file} is a file and not a folder.").format(file=folder)
        except (OSError, ValueError):
            return self.tr("This cannot be a folder's path.")
        if not os.access(folder, os.W_OK):
            return self.tr("Nothing can be written to {folder}.").format(folder=folder)
        return ""

    @Slot()
    def _folder_edited(self) -> None:
        self.folder_row.set_trouble("")

    @Slot()
    def check_device(self) -> bool:
        """Whether the device's name can be used; says beside it why not."""
        bad = not _accepted(device=self.device.value())
        self.device_row.set_trouble(self.tr("Choose one of the list, or cuda:0,cuda:1 for several.") if bad else "")
        return not bad

    @Slot()
    def check_budget(self) -> bool:
        """Whether the memory budget can be used; says beside it why not."""
        text = self.budget.text().strip()
        bad = bool(text) and not parse_size(text)
        self.budget_row.set_trouble(self.tr("Write a size such as 8 GiB, or nothing.") if bad else "")
        return not bad

    @Slot()
    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Output folder"), str(self._folder()))
        if folder:
            self.folder.setText(str(Path(folder)))
            self.folder.setCursorPosition(0)
            self.check_folder()


def _choice(choices: Iterable[tuple[str, str]], chosen: str) -> QComboBox:
    """A list to choose from; the first is chosen where the value is not in it."""
    combo = QComboBox()
    for value, title in choices:
        combo.addItem(title, value)
    combo.setCurrentIndex(max(0, combo.findData(chosen)))
    return combo


def _accepted(**values: object) -> bool:
    try:
        HardwareSettings.model_validate(values)
    except ValueError:
        return False
    return True
