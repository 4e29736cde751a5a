"""The log: events line by line, with time and level, to search, copy, save and clear."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication, QEvent, QTimer, Signal, Slot
from PySide6.QtGui import QColor, QFontDatabase, QGuiApplication, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPlainTextEdit

from app.look.theme import Theme
from app.text.log_lines import Level, Line
from app.widgets.basics.basics import Panel, let_shrink, push_button
from app.widgets.basics.drops import TextField
from engine.disk import write_readable

LINES_KEPT = 20_000
FLUSH_MS = 100
SEARCH_MS = 150
SEARCH_WIDTH = 200
SHOWN_FROM = (Level.DEBUG, Level.INFO, Level.WARNING)
ORDER = list(Level)


class Entry(NamedTuple):
    """A line of the log: when, how much it matters, and what it says."""

    time: str
    level: Level
    text: str

    def plain(self) -> str:
        """The line as it is shown and copied."""
        return f"{self.time}  {self.level.value:<7}  {self.text}"


class LogPanel(Panel):
    """Keeps the newest lines; shows those from a chosen level on that have a text in them.

    Attributes:
        report_clicked: emitted when the person wants a report for a bug.
    """

    report_clicked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(QCoreApplication.translate("LogPanel", "Log"))
        self._theme = theme
        self._lines: deque[Entry] = deque(maxlen=LINES_KEPT)
        self._waiting: list[Entry] = []
        self._timer = self._single_shot(FLUSH_MS, self._flush)
        self._search_timer = self._single_shot(SEARCH_MS, self._show_all)
        self.search = TextField()
        self.search.setProperty("role", "find")
        self.search.setPlaceholderText(self.tr("Find in the log\u2026"))
        self.search.setAccessibleName(self.tr("Find in the log"))
        self.search.setClearButtonEnabled(True)
        let_shrink(self.search, 96, SEARCH_WIDTH)
        self.search.textChanged.connect(self._search_timer.start)
        self.level = QComboBox()
        self.level.setAccessibleName(self.tr("Lines shown"))
        for level, title in zip(
            SHOWN_FROM, (self.tr("Every layer"), self.tr("Usual"), self.tr("Warnings and errors")), strict=True
        ):
            self.level.addItem(title, level)
        self.level.setCurrentIndex(1)
        let_shrink(self.level, 96)
        self.level.currentIndexChanged.connect(self._show_all)
        self.header.addWidget(self.level)
        self.header.addWidget(self.search)
        self.text = QPlainTextEdit()
        self.text.setAccessibleName(self.tr("Log"))
        self.text.setReadOnly(True)
        self.text.setMaximumBlockCount(LINES_KEPT)
        self.text.setTabChangesFocus(True)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setPlaceholderText(self.tr("What happens is written down here."))
        self.body.addWidget(self.text, 1)
        self.body.addLayout(self._buttons())

    def add(self, line: Line) -> None:
        """Write a line down; it is shown within a moment."""
        level, text = line
        entry = Entry(datetime.now().strftime("%H:%M:%S"), level, text)
        self._lines.append(entry)
        if self._shown(entry):
            self._waiting.append(entry)
            if not self._timer.isActive():
                self._timer.start()

    def as_text(self) -> str:
        """The lines that are shown."""
        return "\n".join(entry.plain() for entry in self._lines if self._shown(entry))

    def newest(self, count: int) -> tuple[str, ...]:
        """The newest lines of all levels, oldest first, shown or not."""
        first = max(0, len(self._lines) - count)
        return tuple(entry.plain() for number, entry in enumerate(self._lines) if number >= first)

    def changeEvent(self, event: QEvent) -> None:
        """Write the lines again in the new theme's colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "text"):
            self._show_all()

    def _buttons(self) -> QHBoxLayout:
        self.report = push_button(self.tr("Report a bug\u2026"), kind="quiet", small=True)
        self.report.clicked.connect(self.report_clicked)
        self.copy = push_button(self.tr("Copy"), small=True)
        self.copy.setAccessibleName(self.tr("Copy the log"))
        self.copy.clicked.connect(self._copy)
        self.save = push_button(self.tr("Save as\u2026"), small=True)
        self.save.setAccessibleName(self.tr("Save the log"))
        self.save.clicked.connect(self._save)
        self.clear = push_button(self.tr("Clear"), kind="quiet", small=True)
        self.clear.setAccessibleName(self.tr("Clear the log"))
        self.clear.clicked.connect(self._clear)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.report)
        row.addStretch(1)
        for button in (self.clear, self.save, self.copy):
            row.addWidget(button)
        self._refresh_detail()
        return row

    def _single_shot(self, interval: int, slot: object) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval)
        timer.timeout.connect(slot)
        return timer

    @Slot()
    def _flush(self) -> None:
        bar = self.text.verticalScrollBar()
        follow = bar.value() >= bar.maximum() - 4
        self._append(self._waiting)
        self._waiting = []
        if follow:
            bar.setValue(bar.maximum())
        self._refresh_detail()

    @Slot()
    def _show_all(self) -> None:
        self._search_timer.stop()
        self.text.clear()
        self._waiting = []
        self._append([entry for entry in self._lines if self._shown(entry)])
        self.text.verticalScrollBar().setValue(self.text.verticalScrollBar().maximum())
        self._refresh_detail()

    def _append(self, entries: list[Entry]) -> None:
        """Write lines at the end; neighbours of one level in one piece, which is many times as fast."""
        cursor = QTextCursor(self.text.document())
        cursor.beginEditBlock()
        cursor.movePosition(QTextCursor.MoveOperation.End)
        first = self.text.document().isEmpty()
        for level, group in groupby(entries, key=lambda entry: entry.level):
            text = "\n".join(entry.plain() for entry in group)
            cursor.insertText(text if first else f"\n{text}", self._format(level))
            first = False
        cursor.endEditBlock()

    def _refresh_detail(self) -> None:
        self.text.setPlaceholderText(
            self.tr("No line has this in it.") if self._lines else self.tr("What happens is written down here.")
        )
        empty = self.text.document().isEmpty()
        self.copy.setEnabled(not empty)
        self.save.setEnabled(not empty)
        self.clear.setEnabled(bool(self._lines))
        if not self.search.text().strip():
            self._say("")
            return
        shown = sum(map(self._shown, self._lines))
        self._say(self.tr("{shown} of {all} lines").format(shown=f"{shown:,}", all=f"{len(self._lines):,}"))

    def _say(self, text: str) -> None:
        self.detail.setText(text)

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.as_text())
        self._say(self.tr("Copied"))

    @Slot()
    def _save(self) -> None:
        name = f"lora-extractor-{datetime.now():%Y-%m-%d-%H%M}.log"
        kinds = self.tr("Log (*.log *.txt)")
        chosen, _kind = QFileDialog.getSaveFileName(self, self.tr("Save the log"), name, kinds)
        if not chosen:
            return
        try:
            write_readable(Path(chosen), self.as_text())
        except OSError as error:
            text = self.tr("The log could not be saved: {reason}")
            self.add((Level.ERROR, text.format(reason=error.strerror or str(error))))
            return
        self._say(self.tr("Saved as {name}").format(name=Path(chosen).name))

    @Slot()
    def _clear(self) -> None:
        self._lines.clear()
        self._show_all()

    def _shown(self, entry: Entry) -> bool:
        if ORDER.index(entry.level) < ORDER.index(Level(self.level.currentData())):
            return False
        wanted = self.search.text().strip().casefold()
        return not wanted or wanted in entry.plain().casefold()

    def _format(self, level: Level) -> QTextCharFormat:
        tokens = self._theme.tokens
        colours = {Level.DEBUG: tokens.muted, Level.WARNING: tokens.warning_text, Level.ERROR: tokens.bad_text}
        style = QTextCharFormat()
        style.setForeground(QColor(colours.get(level, tokens.text)))
        return style
