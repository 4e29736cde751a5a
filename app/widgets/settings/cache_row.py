"""The part of the settings dialog about the cache: where it is, what it takes, its limit, and emptying it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QMessageBox, QProgressBar, QVBoxLayout, QWidget

from app.storage.preferences import parse_size, size_text
from app.text.notices import format_bytes
from app.text.window_text import window_error_text
from app.widgets.basics.basics import ElidedLabel, link_button, push_button, set_look
from app.widgets.basics.drops import TextField
from app.widgets.settings.setting_row import SettingRow
from app.work.cache_worker import CacheAnswer, CacheFailed, CacheUse, DecompositionCache
from engine.errors import EngineError


class CacheRow(QWidget):
    """What earlier extractions left on the disk, and how much of it may stay.

    Attributes:
        limit: the row of the limit.
        clear: the button that empties the cache, after asking.
        used: what the cache takes, in words.
    """

    def __init__(self, cache: DecompositionCache, limit_bytes: int) -> None:
        super().__init__()
        self._cache = cache
        self._use: CacheUse | None = None
        self.used = ElidedLabel(self.tr("Looking\u2026"), mode=Qt.TextElideMode.ElideRight)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.bar.setAccessibleName(self.tr("Part of the cache's limit in use"))
        self.clear = push_button(self.tr("Clear now\u2026"), small=True)
        self.clear.setEnabled(False)
        self.clear.clicked.connect(self._ask_clear)
        self.folder = ElidedLabel("", "small")
        self.copy_folder = link_button(self.tr("Copy path"))
        self.copy_folder.setAccessibleName(self.tr("Copy the path of the cache"))
        self.copy_folder.setEnabled(False)
        self.copy_folder.clicked.connect(self._copy_folder)
        place = QWidget()
        line = QHBoxLayout(place)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(8)
        line.addWidget(self.folder, 1)
        line.addWidget(self.copy_folder)
        hint = self.tr(
            "What was computed is kept, so that another rank or precision takes seconds and needs no models."
        )
        amount = SettingRow(self.tr("Cache"), self.used, hint, beside=(self.clear,))
        amount.add_below(self.bar)
        amount.add_below(place)
        self._line = TextField(size_text(limit_bytes))
        self._line.textEdited.connect(self.check)
        self.limit = SettingRow(
            self.tr("Keep at most"), self._line, self.tr("Above this the longest unused go first. 0 keeps nothing.")
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(amount)
        column.addWidget(self.limit)
        cache.answered.connect(self._on_answer)
        cache.measure()

    def value(self) -> int | None:
        """The limit in bytes; None where the text is no size."""
        return parse_size(self._line.text())

    @Slot()
    def check(self) -> bool:
        """Whether the limit can be used; says beside it why not."""
        usable = self.value() is not None
        self.limit.set_trouble("" if usable else self.tr("Write a size such as 10 GB, 500 MB or 2.5 GB."))
        self._refresh_bar()
        return usable

    @Slot(object)
    def _on_answer(self, answer: CacheAnswer) -> None:
        match answer:
            case CacheUse():
                self.show_use(answer)
            case CacheFailed(error):
                self.show_error(error)

    def show_use(self, use: CacheUse) -> None:
        """Say what the cache takes now, and what was removed where something was."""
        self._use = use
        size, freed = format_bytes(use.size_bytes), format_bytes(use.freed_bytes or 0)
        set_look(self.used, "tone", "")
        if use.size_bytes == 0:
            text = self.tr("Empty") if not use.freed_bytes else self.tr("Removed {freed}; nothing is left")
        elif use.freed_bytes is None:
            text = self.tr("{size} in use")
        else:
            text = self.tr("Removed {freed}; {size} belong to a running extraction and stay")
        self.used.setText(text.format(size=size, freed=freed))
        self.folder.setText(str(use.folder))
        self.copy_folder.setEnabled(True)
        self.clear.setEnabled(use.size_bytes > 0)
        self._refresh_bar()

    def show_error(self, error: EngineError) -> None:
        """Say why the cache cannot be looked at or changed."""
        set_look(self.used, "tone", "bad")
        self.used.setText(f"\u26a0 {window_error_text(error)[0]}")
        self.clear.setEnabled(True)

    def _refresh_bar(self) -> None:
        limit = self.value()
        used = self._use.size_bytes if self._use is not None else 0
        share = 1.0 if not limit else min(1.0, used / limit)
        self.bar.setValue(round(1000 * share) if used else 0)
        self.bar.setToolTip(self.used.text())

    @Slot()
    def _ask_clear(self) -> None:
        box = QMessageBox(self.window())
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(self.tr("Clear the cache"))
        text = self.tr("Remove {size} of earlier extractions?")
        box.setText(text.format(size=format_bytes(self._use.size_bytes if self._use else 0)))
        box.setInformativeText(
            self.tr(
                "Your models and LoRAs stay. Extractions that were stopped cannot be continued afterwards, "
                "and another rank needs the models again."
            )
        )
        clear = box.addButton(self.tr("Clear"), QMessageBox.ButtonRole.DestructiveRole)
        keep = box.addButton(self.tr("Keep"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        box.exec()
        if box.clickedButton() is clear:
            self.clear.setEnabled(False)
            self.used.setText(self.tr("Clearing\u2026"))
            self._cache.clear()

    @Slot()
    def _copy_folder(self) -> None:
        if self._use is not None:
            QGuiApplication.clipboard().setText(str(self._use.folder))
