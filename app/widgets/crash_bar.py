"""A quiet bar that says that the program ended unexpectedly last time, and offers what can be done about it."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent, QSize, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QWidget

from app.icons import icon
from app.theme import Theme
from app.widgets.basics import ElidedLabel, push_button

ICON = 18


class CrashBar(QFrame):
    """Shown above or below the window's content; hides itself when it is dismissed.

    Attributes:
        report_clicked: the person wants the report with the tracebacks.
        file_clicked: the person wants to see the file.
        dismissed: the person has seen it.
    """

    report_clicked = Signal()
    file_clicked = Signal()
    dismissed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setProperty("panel", "plain")
        text = QCoreApplication.translate("CrashBar", "The program ended unexpectedly last time.")
        self.setAccessibleName(text)
        self._sign = QLabel()
        self._sign.setFixedSize(ICON, ICON)
        self.text = ElidedLabel(text)
        self.report = push_button(self.tr("Copy report\u2026"), small=True)
        self.report.clicked.connect(self.report_clicked)
        self.file = push_button(self.tr("Show log file"), kind="quiet", small=True)
        self.file.clicked.connect(self.file_clicked)
        self.dismiss = push_button(self.tr("Dismiss"), kind="quiet", small=True)
        self.dismiss.clicked.connect(self.hide)
        self.dismiss.clicked.connect(self.dismissed)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 12, 8)
        row.setSpacing(8)
        row.addWidget(self._sign)
        row.addWidget(self.text, 1)
        for button in (self.report, self.file, self.dismiss):
            row.addWidget(button)
        self._recolour()

    def changeEvent(self, event: QEvent) -> None:
        """Draw the sign in the new theme's colour."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "dismiss"):
            self._recolour()

    def _recolour(self) -> None:
        drawing = icon("warning", self._theme.tokens.warning_text, ICON)
        self._sign.setPixmap(drawing.pixmap(QSize(ICON, ICON), self.devicePixelRatioF()))
