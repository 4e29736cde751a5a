"""The log: what happened, line by line, with time and level."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from PySide6.QtCore import QCoreApplication, QEvent, QTimer, Slot
from PySide6.QtGui import QColor, QFontDatabase, QGuiApplication, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QComboBox, QPlainTextEdit

from app.run_log import Level, Line
from app.theme import Theme
from app.widgets.basics import Panel, push_button

LINES_KEPT = 5000
FLUSH_MS = 100
SHOWN_FROM = (Level.DEBUG, Level.INFO, Level.WARNING)
ORDER = list(Level)


class LogPanel(Panel):
    """Keeps the newest lines; shows those from a chosen level on."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(QCoreApplication.translate("LogPanel", "Log"))
        self._theme = theme
        self._lines: deque[tuple[str, Level, str]] = deque(maxlen=LINES_KEPT)
        self._waiting: list[tuple[str, Level, str]] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FLUSH_MS)
        self._timer.timeout.connect(self._flush)
        self.level = QComboBox()
        self.level.setAccessibleName(self.tr("Lines shown"))
        for level, title in zip(
            SHOWN_FROM, (self.tr("Every layer"), self.tr("Usual"), self.tr("Warnings and errors")), strict=True
        ):
            self.level.addItem(title, level)
        self.level.setCurrentIndex(1)
        self.level.currentIndexChanged.connect(self._show_all)
        copy = push_button(self.tr("Copy"), small=True)
        copy.setAccessibleName(self.tr("Copy the log"))
        copy.clicked.connect(self._copy)
        clear = push_button(self.tr("Clear"), kind="quiet", small=True)
        clear.setAccessibleName(self.tr("Clear the log"))
        clear.clicked.connect(self._clear)
        for widget in (self.level, copy, clear):
            self.header.addWidget(widget)
        self.text = QPlainTextEdit()
        self.text.setAccessibleName(self.tr("Log"))
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setMaximumBlockCount(LINES_KEPT)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setPlaceholderText(self.tr("What happens is written down here."))
        self.body.addWidget(self.text, 1)

    def add(self, line: Line) -> None:
        """Write a line down; it is shown within a moment."""
        level, text = line
        entry = (datetime.now().strftime("%H:%M:%S"), level, text)
        self._lines.append(entry)
        if self._shown(level):
            self._waiting.append(entry)
            if not self._timer.isActive():
                self._timer.start()

    def as_text(self) -> str:
        """The lines that are shown."""
        return "\n".join(_plain(entry) for entry in self._lines if self._shown(entry[1]))

    def changeEvent(self, event: QEvent) -> None:
        """Write the lines again in the new theme's colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "text"):
            self._show_all()

    @Slot()
    def _flush(self) -> None:
        bar = self.text.verticalScrollBar()
        follow = bar.value() >= bar.maximum() - 4
        cursor = QTextCursor(self.text.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        for entry in self._waiting:
            if not self.text.document().isEmpty():
                cursor.insertBlock()
            cursor.insertText(_plain(entry), self._format(entry[1]))
        self._waiting = []
        if follow:
            bar.setValue(bar.maximum())

    @Slot()
    def _show_all(self) -> None:
        self.text.clear()
        self._waiting = [entry for entry in self._lines if self._shown(entry[1])]
        self._flush()

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.as_text())

    @Slot()
    def _clear(self) -> None:
        self._lines.clear()
        self._waiting = []
        self.text.clear()

    def _shown(self, level: Level) -> bool:
        return ORDER.index(level) >= ORDER.index(Level(self.level.currentData()))

    def _format(self, level: Level) -> QTextCharFormat:
        tokens = self._theme.tokens
        colours = {Level.DEBUG: tokens.muted, Level.WARNING: tokens.warning_text, Level.ERROR: tokens.bad_text}
        style = QTextCharFormat()
        style.setForeground(QColor(colours.get(level, tokens.text)))
        return style


def _plain(entry: tuple[str, Level, str]) -> str:
    time, level, text = entry
    return f"{time}  {level.value:<7}  {text}"
