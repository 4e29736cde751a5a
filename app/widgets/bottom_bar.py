"""The bar at the bottom: what Extract will do, how far it is, and what came of it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QFont, QFontMetrics, QGuiApplication, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QStyleOptionButton, QVBoxLayout

from app.messages import format_bytes, format_seconds, format_share
from app.stylesheet import SMALL
from app.widgets.basics import ElidedLabel, push_button, set_look
from app.widgets.last_result import LastResult
from app.wording import Blocked, kept_text, short_error_text
from engine.errors import EngineError
from engine.events import Progress
from engine.results import ExtractionResult, Kept, OutputFile


class KeyedButton(QPushButton):
    """A button that shows its key in smaller letters behind its text."""

    def __init__(self, text: str, key: str, *, kind: str = "") -> None:
        super().__init__()
        self.setAccessibleName(text)
        self.setAutoDefault(False)
        if kind:
            self.setProperty("kind", kind)
        self._words, self._key = text, key

    def sizeHint(self) -> QSize:
        """As wide as both texts."""
        strong, light = self._fonts()
        width = QFontMetrics(strong).horizontalAdvance(self._words) + QFontMetrics(light).horizontalAdvance(self._key)
        return QSize(width + 10 + 40, 38)

    def minimumSizeHint(self) -> QSize:
        """As wide as both texts."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The button's surface, then the word and the key."""
        super().paintEvent(event)
        strong, light = self._fonts()
        option = QStyleOptionButton()
        self.initStyleOption(option)
        painter = QPainter(self)
        painter.setPen(option.palette.color(QPalette.ColorRole.ButtonText))
        area = self.rect().adjusted(20, 0, -20, 0)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setFont(strong)
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignLeft, self._words)
        painter.setFont(light)
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignRight, self._key)

    def _fonts(self) -> tuple[QFont, QFont]:
        self.ensurePolished()
        strong, light = QFont(self.font()), QFont(self.font())
        strong.setWeight(QFont.Weight.DemiBold)
        light.setWeight(QFont.Weight.Normal)
        light.setPointSizeF(self.font().pointSizeF() * SMALL)
        return strong, light


class BottomBar(QFrame):
    """Two lines of words, a progress bar, and the buttons that go with the moment.

    Attributes:
        extract_clicked, stop_clicked, folder_clicked, open_folder_clicked: the buttons.
    """

    extract_clicked = Signal()
    stop_clicked = Signal()
    folder_clicked = Signal()
    open_folder_clicked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "bar")
        self._output: OutputFile | None = None
        self._error: EngineError | None = None
        self.headline = ElidedLabel("", "title")
        self.detail = ElidedLabel("", "small", mode=Qt.TextElideMode.ElideRight)
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(self.tr("Progress"))
        self.last = LastResult()
        self.last.open_folder_clicked.connect(self.open_folder_clicked)
        self.copy_details = push_button(self.tr("Copy details"))
        self.copy_path = push_button(self.tr("Copy path"), kind="quiet")
        self.open_folder = push_button(self.tr("Open folder"))
        self.folder = push_button(self.tr("Output folder\u2026"), kind="quiet")
        self.folder.setToolTip(self.tr("Choose the folder that LoRAs are written to"))
        self.extract = KeyedButton(self.tr("Extract"), "Ctrl \u21b5", kind="primary")
        self.stop = KeyedButton(self.tr("Stop"), "Esc")
        self.copy_details.clicked.connect(self._copy_details)
        self.copy_path.clicked.connect(self._copy_path)
        self.open_folder.clicked.connect(self._open_folder)
        self.folder.clicked.connect(self.folder_clicked)
        self.extract.clicked.connect(self.extract_clicked)
        self.stop.clicked.connect(self.stop_clicked)
        words = QVBoxLayout()
        words.setSpacing(3)
        words.addStretch(1)
        words.addWidget(self.headline)
        words.addWidget(self.detail)
        words.addWidget(self.progress)
        words.addWidget(self.last)
        words.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 6, 16, 6)
        row.setSpacing(8)
        row.addLayout(words, 1)
        row.addSpacing(8)
        for button in (self.copy_details, self.copy_path, self.open_folder, self.folder, self.extract, self.stop):
            row.addWidget(button)
        self.setMinimumHeight(60)
        self.progress.hide()
        self.last.hide()

    def show_blocked(self, blocked: Blocked) -> None:
        """Extract cannot start, and why."""
        headline = f"\u26a0 {blocked.reason}" if blocked.bad else blocked.reason
        self._show(headline, blocked.remedy, (self.folder, self.extract), tone="bad" if blocked.bad else "")
        self.extract.setEnabled(False)
        self.extract.setToolTip(blocked.reason)

    def show_planning(self) -> None:
        """The plan is being made; for a moment only."""
        self.extract.setEnabled(False)

    def show_ready(self, name: str, size_bytes: int, folder: Path, kept: Kept | None = None) -> None:
        """Extract will write this file; `kept` is what earlier runs left for it."""
        headline = self.tr("Will write {name}").format(name=name)
        size, place = self.tr("at most {size}"), self.tr("in {folder}")
        parts = (size.format(size=format_bytes(size_bytes)), kept_text(kept), place.format(folder=folder))
        detail = " \u00b7 ".join(part for part in parts if part)
        self._show(headline, detail, (self.folder, self.extract))
        self.extract.setEnabled(True)
        self.extract.setToolTip("")

    def show_started(self, layers: int) -> None:
        """The run has begun."""
        self.last.set_output(None)
        self._show(self.tr("Starting\u2026"), self.tr("{count} layers").format(count=layers), (self.stop,))
        self.progress.setValue(0)
        self.progress.show()
        self.stop.setEnabled(True)
        self.stop.setFocus()

    def show_progress(self, progress: Progress) -> None:
        """How far the run is."""
        layer = min(progress.layers_total, progress.layers_done + 1)
        self.headline.setText(self.tr("Layer {layer} of {total}").format(layer=layer, total=progress.layers_total))
        parts = [self.tr("{time} gone").format(time=format_seconds(progress.elapsed))]
        if progress.remaining is not None:
            parts = [self.tr("{time} left").format(time=format_seconds(progress.remaining))]
        if progress.energy_so_far is not None:
            parts.append(
                self.tr("{share} of the change kept so far").format(share=format_share(progress.energy_so_far))
            )
        self.detail.setText(" \u00b7 ".join(parts))
        self.progress.setValue(round(progress.share * 1000))

    def show_stopping(self) -> None:
        """The run ends as soon as its layer is done."""
        self.headline.setText(self.tr("Stopping after this layer\u2026"))
        self.detail.setText(self.tr("A layer that has begun cannot be interrupted."))
        self.stop.setEnabled(False)

    def show_stopped(self, done: int, total: int, *, kept: bool) -> None:
        """The run was stopped; `kept` where the next one goes on from there."""
        headline = self.tr("Stopped after {done} of {total} layers")
        detail = self.tr("Nothing was written. Extract starts again from the first layer.")
        if kept:
            headline = self.tr("Stopped: {done} of {total} layers are kept; Extract continues from there")
            detail = self.tr("No LoRA was written yet.")
        self._show(headline.format(done=done, total=total), detail, (self.folder, self.extract))

    def show_result(self, result: ExtractionResult) -> None:
        """The run is over and its file is in place."""
        output = result.outputs[0]
        self.last.set_output(output)
        text = self.tr("{size} \u00b7 {time} \u00b7 keeps {mean} of the change, {worst} in the weakest layer")
        detail = text.format(
            size=format_bytes(output.size_bytes),
            time=format_seconds(result.seconds),
            mean=format_share(output.mean_energy_retained),
            worst=format_share(output.worst_energy_retained),
        )
        buttons = (self.copy_path, self.open_folder, self.folder, self.extract)
        self._show(f"\u2713 {output.path.name}", detail, buttons, output=output)

    def show_failed(self, error: EngineError) -> None:
        """The run failed: what happened and what to do."""
        message, remedy = short_error_text(error)
        buttons = (self.copy_details, self.folder, self.extract)
        self._show(f"\u26a0 {message}", remedy, buttons, tone="bad", error=error)

    def set_extract_enabled(self, enabled: bool) -> None:
        """After a run: Extract can be pressed again once the next plan is there."""
        self.extract.setEnabled(enabled)

    def _show(
        self,
        headline: str,
        detail: str,
        buttons: tuple[QPushButton, ...],
        *,
        tone: str = "",
        output: OutputFile | None = None,
        error: EngineError | None = None,
    ) -> None:
        self._output, self._error = output, error
        self.headline.setText(headline)
        set_look(self.headline, "tone", tone)
        self.detail.setText(detail)
        for label in (self.headline, self.detail):
            label.set_wrapping(tone == "bad")
        self.progress.hide()
        self.last.setVisible(output is None and self.last.output is not None)
        for button in (self.copy_details, self.copy_path, self.open_folder, self.folder, self.extract, self.stop):
            button.setVisible(button in buttons)

    @Slot()
    def _copy_path(self) -> None:
        if self._output is not None:
            QGuiApplication.clipboard().setText(str(self._output.path))

    @Slot()
    def _open_folder(self) -> None:
        if self._output is not None:
            self.open_folder_clicked.emit(self._output.path.parent)

    @Slot()
    def _copy_details(self) -> None:
        if self._error is not None:
            message, remedy = short_error_text(self._error)
            details = str(self._error.data.get("traceback", ""))
            QGuiApplication.clipboard().setText("\n".join((message, remedy, str(self._error), details)).strip())
