"""The live plots: device memory over time, and the time of each batch by stage."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QPen, QResizeEvent

from app.look.theme import Theme
from app.text.translation import short_number
from app.text.window_text import short_seconds
from app.widgets.basics.plot import QuietPlot, band_colour, round_step
from app.widgets.run.memory_marks import EventMarks
from engine.events import MemorySample
from engine.results import StageSeconds

STAGES = ("read", "upload", "compute", "write")
BATCHES_SHOWN = 60
SAMPLES_KEPT = 14_400  # an hour at 4 Hz; older ones are thinned out
GIGABYTE = 1e9
SERIES = ("seconds", "run", "resident", "prefetched", "device")  # staged lies on top of resident
CURVES = ("run", "prefetched", "resident", "device")  # from the back to the front
BANDS = {"run": ("accent", 40), "prefetched": ("read", 64), "resident": ("accent", 80)}  # colour and how opaque
REACH_PIXELS = 6  # how near to a mark the mouse has to be
TEXTS_SHOWN = 5
LABEL_PIXELS = 22  # what the words at the limit need
AXIS_PIXELS = 24  # what the time axis needs
TICK_PIXELS = 24  # apart enough to be read
FAR_BELOW = 0.1  # of the limit: a run that needs less is drawn at its own scale


class TimeAxis(pg.AxisItem):  # type: ignore[misc]
    """Seconds since the start of the run, or minutes where they are many."""

    def tickStrings(self, values: Sequence[float], _scale: float, spacing: float) -> list[str]:
        """Texts of the ticks."""
        if spacing >= 60:
            return [f"{short_number(value / 60)} min" for value in values]
        return [f"{short_number(value)} s" for value in values]


class MemoryPlot(QuietPlot):
    """What this run and what all programs hold of the device's memory, the limit, and where room was made.

    Attributes:
        marks: where something was offloaded, the batch changed, or memory ran out.
    """

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__(theme, name, {"bottom": TimeAxis("bottom")})
        self._series: dict[str, deque[float]] = {key: deque(maxlen=SAMPLES_KEPT) for key in SERIES}
        self._total = 0.0
        self._recent_only = False
        self._curves = {
            key: self.plot(fillLevel=None if key == "device" else 0.0, skipFiniteCheck=True) for key in CURVES
        }
        self._limit = pg.InfiniteLine(angle=0, label="", labelOpts={"position": 0.02, "anchors": [(0, 1), (0, 1)]})
        self._limit.hide()
        self.addItem(self._limit)
        self._limit_text, self._limit_size = "", 0.0
        self.marks = EventMarks(self)
        self.showGrid(x=False, y=True, alpha=0.12)
        left, bottom = self.getPlotItem().getAxis("left"), self.getPlotItem().getAxis("bottom")
        left.setStyle(tickLength=0)
        bottom.setStyle(tickLength=0)
        bottom.enableAutoSIPrefix(False)
        self.restyle()

    @property
    def peak_bytes(self) -> float:
        """The most that this run held."""
        return max(self._series["run"], default=0.0) * GIGABYTE

    @property
    def scaled_to_run(self) -> bool:
        """Whether the limit lies far above what is drawn, so that the run would be a line on the floor below it."""
        return 0.0 < self._highest() < FAR_BELOW * self._limit_size

    def show_recent_only(self, recent: bool) -> None:
        """Show the last two minutes, or everything since the start of the run."""
        self._recent_only = recent
        self._redraw()

    def show_device(self, shown: bool) -> None:
        """Draw what all programs hold, or only what this run holds."""
        self._curves["device"].setVisible(shown)
        self._redraw()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep room for the limit's words, and only as many ticks as can be read."""
        super().resizeEvent(event)
        if getattr(self, "_ready", False):
            self._redraw()

    def text_at(self, position: QPoint) -> str:
        """The words of the marks at a place in the widget; empty where there are none."""
        view = self.getPlotItem().getViewBox()
        seconds = view.mapSceneToView(self.mapToScene(position)).x()
        texts = [mark.text for mark in self.marks.near(seconds, view.viewPixelSize()[0] * REACH_PIXELS)]
        more = len(texts) - TEXTS_SHOWN
        return "\n".join(texts[:TEXTS_SHOWN]) + (f"\n+ {more}" if more > 0 else "")

    def start(self, total_bytes: int, limit_bytes: int, limit_text: str) -> None:
        """Empty the plot and draw the limit for a new run."""
        for series in self._series.values():
            series.clear()
        self.marks.clear()
        self._total = total_bytes / GIGABYTE
        self._limit_size = limit_bytes / GIGABYTE
        self._limit.show()
        self._limit_text = limit_text
        self._redraw()

    def add(self, sample: MemorySample) -> None:
        """Draw one more sample."""
        bands = (sample.resident_bytes, sample.resident_bytes + sample.prefetched_bytes)
        values = (sample.seconds, *(size / GIGABYTE for size in (sample.run_bytes, *bands, sample.device_used_bytes)))
        for key, value in zip(SERIES, values, strict=True):
            self._series[key].append(value)
        self._redraw()

    def restyle(self) -> None:
        """Take the theme's colours."""
        super().restyle()
        tokens = self.theme.tokens
        self._curves["run"].setPen(pg.mkPen(tokens.accent, width=1))
        self._curves["device"].setPen(pg.mkPen(tokens.muted, width=1, style=Qt.PenStyle.DashLine))
        for key, (token, alpha) in BANDS.items():
            self._curves[key].setBrush(pg.mkBrush(band_colour(getattr(tokens, token), alpha)))
            if key != "run":
                self._curves[key].setPen(pg.mkPen(None))
        self._limit.label.setColor(QColor(tokens.bad_text))
        self._redraw()
        self.marks.restyle(tokens)

    def _redraw(self) -> None:
        times = np.fromiter(self._series["seconds"], float)
        last = float(times[-1]) if times.size else 0.0
        start = max(0.0, last - 120.0) if self._recent_only else 0.0
        for key in CURVES:
            self._curves[key].setData(times, np.fromiter(self._series[key], float))
        self.setXRange(start, max(last, start + 1.0), padding=0)
        below_label = max(0.3, 1 - LABEL_PIXELS / self._inner_height())
        top = max(self._total * 1.04, self._limit_size / below_label, 1e-3)
        beyond = self.scaled_to_run
        if beyond:
            top = self._highest() / below_label
        self._show_limit(top * below_label if beyond else self._limit_size, beyond=beyond)
        self._ticks(top)
        self.setYRange(0, top, padding=0)
        self.marks.place(top, top / self._inner_height())

    def _inner_height(self) -> int:
        return max(24, int(self.height()) - AXIS_PIXELS)

    def _highest(self) -> float:
        """The most that is drawn, in gigabytes."""
        drawn = ("run", "device") if self._curves["device"].isVisible() else ("run",)
        return max((max(self._series[key], default=0.0) for key in drawn), default=0.0)

    def _show_limit(self, at: float, *, beyond: bool) -> None:
        """Draw the limit as a line, or only say, with an arrow, that it is beyond what the plot shows."""
        self._limit.setPen(pg.mkPen(None) if beyond else QPen(pg.mkPen(self.theme.tokens.bad, width=1)))
        self._limit.label.setFormat(f"\u2191 {self._limit_text}" if beyond else self._limit_text)
        self._limit.setValue(at)

    def _ticks(self, top: float) -> None:
        if not self._total:
            return
        highest = min(self._total, top)
        step = round_step(highest / max(1, min(4, self._inner_height() // TICK_PIXELS)))
        marks = [(step * number, size_text(step * number)) for number in range(1, int(highest / step + 1e-9) + 1)]
        self.getPlotItem().getAxis("left").setTicks([marks])


class BatchPlot(QuietPlot):
    """One bar per batch, its parts stacked: read, upload, compute, write."""

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__(theme, name)
        self._batches: deque[StageSeconds] = deque(maxlen=BATCHES_SHOWN)
        self._bars = {stage: pg.BarGraphItem(x=[], height=[], width=0.76, y0=[]) for stage in STAGES}
        for bars in self._bars.values():
            self.addItem(bars)
        self.getPlotItem().hideAxis("bottom")
        left = self.getPlotItem().getAxis("left")
        left.setStyle(tickLength=0)
        left.enableAutoSIPrefix(False)
        self.restyle()

    def start(self) -> None:
        """Empty the plot for a new run."""
        self._batches.clear()
        self._redraw()

    def add(self, batches: Sequence[StageSeconds]) -> None:
        """Draw some more batches."""
        self._batches.extend(batches)
        self._redraw()

    def restyle(self) -> None:
        """Take the theme's colours."""
        super().restyle()
        for stage, bars in self._bars.items():
            colour = getattr(self.theme.tokens, stage)
            bars.setOpts(brush=pg.mkBrush(colour), pen=pg.mkPen(None))

    def _redraw(self) -> None:
        positions = np.arange(len(self._batches), dtype=float)
        base = np.zeros(len(self._batches))
        for stage, bars in self._bars.items():
            height = np.array([getattr(batch, stage) for batch in self._batches], dtype=float)
            bars.setOpts(x=positions, y0=base, height=height)
            base = base + height
        highest = float(base.max()) if base.size else 0.0
        self.setXRange(-0.6, max(40.0, len(self._batches) - 0.4), padding=0)
        self.setYRange(0, max(highest, 1e-3) * 1.1, padding=0)
        step = round_step(highest / 2) if highest else 1.0
        marks = [(step * number, short_seconds(step * number)) for number in range(1, int(highest * 1.05 / step) + 1)]
        self.getPlotItem().getAxis("left").setTicks([marks])


def size_text(gigabytes: float) -> str:
    """``2 GB``, ``60 MB``, ``300 kB``: a size beside the axis."""
    for unit, size in (("GB", 1.0), ("MB", 1e-3)):
        if gigabytes >= 0.9999 * size:
            return f"{short_number(gigabytes / size)} {unit}"
    return f"{short_number(gigabytes * 1e6)} kB"
