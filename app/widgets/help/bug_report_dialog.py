"""Shows the report for a bug before it is copied, so that a person sees what they give away."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Slot
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QCheckBox, QDialog, QFileDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.support.bug_report import ReportFacts, report_text
from app.support.redaction import PrivateWords
from app.widgets.basics.basics import ElidedLabel, push_button, scaled, set_look, wrapped_label
from app.widgets.basics.window_placement import resize_on_screen
from engine.disk import write_readable


class BugReportDialog(QDialog):
    """The text, what is left out of it, and where it goes."""

    def __init__(self, facts: ReportFacts, private: PrivateWords, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._facts, self._private = facts, private
        self.setWindowTitle(self.tr("Report for a bug"))
        lead = wrapped_label(
            self.tr("Copy this text into your report, and say what you did and what you expected."), "muted"
        )
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setProperty("framed", True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName(self.tr("The report"))
        self.with_paths = QCheckBox(self.tr("With file paths and names"))
        self.with_paths.setAccessibleName(self.with_paths.text())
        self.with_paths.toggled.connect(self._show_text)
        self.note = ElidedLabel("", "small")
        self.copy = push_button(self.tr("Copy"), kind="primary")
        self.copy.setDefault(True)
        self.copy.clicked.connect(self._copy)
        self.save = push_button(self.tr("Save as\u2026"))
        self.save.clicked.connect(self._save)
        close = push_button(self.tr("Close"))
        close.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.with_paths)
        buttons.addWidget(self.note, 1)
        for button in (close, self.save, self.copy):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(lead)
        column.addWidget(self.text, 1)
        column.addLayout(buttons)
        resize_on_screen(self, QSize(scaled(760), scaled(560)))
        self._show_text()
        self.copy.setFocus()

    def report(self) -> str:
        """The text as it is shown."""
        return report_text(self._facts, None if self.with_paths.isChecked() else self._private)

    @Slot()
    def _show_text(self) -> None:
        bar = self.text.verticalScrollBar()
        position = bar.value()
        self.text.setPlainText(self.report())
        bar.setValue(position)
        self._say("")

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.report())
        self._say(self.tr("Copied"))

    @Slot()
    def _save(self) -> None:
        name = "lora-extractor-report.txt"
        chosen, _kind = QFileDialog.getSaveFileName(self, self.tr("Save the report"), name, self.tr("Text (*.txt)"))
        if not chosen:
            return
        try:
            write_readable(Path(chosen), self.report())
        except OSError as error:
            text = self.tr("Could not be saved: {reason}")
            self._say(text.format(reason=error.strerror or str(error)), "bad")
            return
        self._say(self.tr("Saved as {name}").format(name=Path(chosen).name))

    def _say(self, text: str, tone: str = "good") -> None:
        set_look(self.note, "tone", tone)
        self.note.setText(text)
