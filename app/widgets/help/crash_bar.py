"""A quiet bar that says that the program ended unexpectedly last time, and offers what can be done about it."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtWidgets import QWidget

from app.look.theme import Theme
from app.widgets.basics.basics import push_button
from app.widgets.basics.notice_bar import NoticeBar


class CrashBar(NoticeBar):
    """Offers the report and the file.

    Attributes:
        report_clicked: the person wants the report with the tracebacks.
        file_clicked: the person wants to see the file.
    """

    report_clicked = Signal()
    file_clicked = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        text = QCoreApplication.translate("CrashBar", "The program ended unexpectedly last time.")
        super().__init__(theme, text, parent)
        self.report = push_button(self.tr("Copy report\u2026"), small=True)
        self.report.clicked.connect(self.report_clicked)
        self.file = push_button(self.tr("Show log file"), kind="quiet", small=True)
        self.file.clicked.connect(self.file_clicked)
        self.offer(self.report)
        self.offer(self.file)
