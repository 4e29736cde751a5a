"""The first tab: memory over time, batches by stage, and the newest layers, while a run goes on."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from app.messages import format_bytes
from app.theme import Theme
from app.widgets.basics import Panel, link_button, text_label
from app.widgets.layer_model import LayerModel
from app.widgets.layer_table import NewestLayers
from app.widgets.plots import STAGES, BatchPlot, MemoryPlot
from app.wording import short_seconds
from engine.events import BatchDone, Event, MemorySample, Planned
from engine.results import StageSeconds

FLUSH_MS = 120


class Swatch(QWidget):
    """The mark of a legend entry: a block of colour, or a dashed line."""

    def __init__(self, theme: Theme, token: str, *, dashed: bool = False) -> None:
        super().__init__()
        self._theme, self._token, self._dashed = theme, token, dashed
        self.setFixedSize(16 if dashed else 10, 10)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the mark in the theme's colour."""
        colour = QColor(getattr(self._theme.tokens, self._token))
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._dashed:
            painter.setPen(QPen(colour, 2, Qt.PenStyle.DashLine))
            painter.drawLine(0, 5, self.width(), 5)
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            painter.drawRoundedRect(self.rect(), 2.5, 2.5)


def _legend_entry(theme: Theme, token: str, text: str, *, dashed: bool = False) -> QWidget:
    entry = QWidget()
    row = QHBoxLayout(entry)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(5)
    row.addWidget(Swatch(theme, token, dashed=dashed))
    row.addWidget(text_label(text, "legend"))
    return entry


class PlotPanel(Panel):
    """A panel with a plot in it, or the words that say when there will be one."""

    def __init__(self, title: str, hint: str) -> None:
        super().__init__(title)
        self._hint: QLabel = text_label(hint, "muted")
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint.setWordWrap(True)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._hint)
        self.body.addWidget(self._stack, 1)

    def set_plot(self, plot: QWidget) -> None:
        """Give it the plot."""
        self._stack.addWidget(plot)

    def show_plot(self) -> None:
        """From now on the plot is shown."""
        self._stack.setCurrentIndex(1)

    def clear(self) -> None:
        """Back to the words."""
        self._stack.setCurrentIndex(0)
        self.detail.setText("")


class RunPanel(QWidget):
    """Shows a run as it goes."""

    def __init__(self, theme: Theme, layers: LayerModel) -> None:
        super().__init__()
        self._planned: Planned | None = None
        self._run_peak = 0
        self._batches = 0
        self._seconds = StageSeconds()
        self._waiting: list[StageSeconds] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FLUSH_MS)
        self._timer.timeout.connect(self._flush)

        self.memory = PlotPanel(
            self.tr("Device memory"), self.tr("While an extraction runs, the memory it uses is drawn here.")
        )
        self.memory_plot = MemoryPlot(theme, self.tr("Plot of device memory over time"))
        self.memory.set_plot(self.memory_plot)
        self.span = link_button(self.tr("last 2 min"))
        self.span.setCheckable(True)
        self.span.setToolTip(self.tr("Show the last two minutes instead of the whole run"))
        self.span.toggled.connect(self._span_toggled)
        self.memory.header.addWidget(_legend_entry(theme, "accent", self.tr("this run")))
        self.whole_device = _legend_entry(theme, "muted", self.tr("whole device"), dashed=True)
        self.memory.header.addWidget(self.whole_device)
        self.memory.header.addWidget(self.span)

        self.batches = PlotPanel(self.tr("Batches"), self.tr("One bar per batch: where its time went."))
        self.batch_plot = BatchPlot(theme, self.tr("Plot of the time of each batch by stage"))
        self.batches.set_plot(self.batch_plot)
        titles = (self.tr("read"), self.tr("upload"), self.tr("compute"), self.tr("write"))
        for stage, title in zip(STAGES, titles, strict=True):
            self.batches.header.addWidget(_legend_entry(theme, stage, title))

        self.layers = NewestLayers(theme, layers)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(self.memory, 5)
        column.addWidget(self.batches, 4)
        column.addWidget(self.layers, 4)

    def clear(self) -> None:
        """Show nothing of the last run any more."""
        self._timer.stop()
        self._reset()
        self.memory.clear()
        self.batches.clear()
        self.layers.clear()

    def take(self, event: Event) -> None:
        """Show an event of the run."""
        if isinstance(event, Planned):
            self._start(event)
        elif isinstance(event, MemorySample):
            self._sample(event)
        elif isinstance(event, BatchDone):
            self._waiting.append(event.seconds)
            if not self._timer.isActive():
                self._timer.start()

    def _start(self, planned: Planned) -> None:
        self._reset()
        self._planned = planned
        # On the CPU only this run is measured: a second curve would repeat the first.
        self.whole_device.setVisible(planned.device != "cpu")
        self.memory_plot.show_device(planned.device != "cpu")
        share = planned.threshold_bytes / max(1, planned.device_total_bytes)
        self.memory_plot.start(
            planned.device_total_bytes,
            planned.threshold_bytes,
            self.tr("limit {percent} %").format(percent=round(share * 100)),
        )
        self.batch_plot.start()
        self.layers.start(planned.layers)
        self.memory.detail.setText(planned.device_title)
        self.batches.detail.setText("")
        self.memory.show_plot()
        self.batches.show_plot()

    def _sample(self, sample: MemorySample) -> None:
        self.memory_plot.add(sample)
        self._run_peak = max(self._run_peak, sample.run_bytes)
        title = self._planned.device_title if self._planned else ""
        text = self.tr("{title} \u00b7 this run {run} \u00b7 peak {peak} \u00b7 in use {used} of {total}")
        if self._planned is not None and self._planned.device == "cpu":
            text = self.tr("{title} \u00b7 this run {run} of {total} budget \u00b7 peak {peak}")
        self.memory.detail.setText(
            text.format(
                title=title,
                run=format_bytes(sample.run_bytes),
                used=format_bytes(sample.device_used_bytes),
                total=format_bytes(sample.device_total_bytes),
                peak=format_bytes(self._run_peak),
            )
        )

    def _reset(self) -> None:
        self._planned = None
        self._run_peak = self._batches = 0
        self._seconds = StageSeconds()
        self._waiting = []

    @Slot()
    def _flush(self) -> None:
        """Draw the batches that came in since the last time."""
        if not self._waiting:
            return
        self.batch_plot.add(self._waiting)
        for batch in self._waiting:
            self._seconds = StageSeconds(
                self._seconds.read + batch.read,
                self._seconds.upload + batch.upload,
                self._seconds.compute + batch.compute,
                self._seconds.write + batch.write,
            )
        self._batches += len(self._waiting)
        last = self._waiting[-1].total
        self._waiting = []
        total = self._seconds.total
        data = (self._seconds.read + self._seconds.upload) / total if total else 0.0
        text = self.tr("last {last} \u00b7 mean {mean} \u00b7 {share} % of the time for reading and uploading")
        self.batches.detail.setText(
            text.format(last=short_seconds(last), mean=short_seconds(total / self._batches), share=round(data * 100))
        )

    @Slot(bool)
    def _span_toggled(self, recent: bool) -> None:
        self.span.setText(self.tr("whole run") if recent else self.tr("last 2 min"))
        self.span.setAccessibleName(self.span.text())
        self.memory_plot.show_recent_only(recent)
