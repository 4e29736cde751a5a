"""The plot of singular values: one layer with its cut and its unknown tail, or several layers side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPoint, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QWidget

from app.look.theme import Theme
from app.text.translation import decimal, short_number, whole
from app.widgets.basics.plot import QuietPlot, band_colour, round_step
from app.widgets.layers.layer_model import share_text, short_name
from app.widgets.spectrum.data import (
    Measure,
    Numbers,
    Spectrum,
    curve,
    kept_by_rank,
    largest_tail,
    last_rank_shown,
    logarithm,
    most_kept,
)

TOKENS = ("accent", "good", "warning", "read", "bad", "muted")
DASHES: tuple[tuple[float, ...], ...] = ((), (6, 3), (1.5, 2.5), (7, 2.5, 1.5, 2.5), (3, 3), (7, 2, 1.5, 2, 1.5, 2))
COMPARED = len(TOKENS)
HATCH_PIXELS = 9
TICK_PIXELS = 32
SHARE_STEPS = (0.1, 0.2, 0.25, 0.5)
END_PIXELS = 6  # for the whole of a mark at the right edge
LABEL_SHARE = 0.55  # of the width; a cut further right has its words on the left


def curve_pen(theme: Theme, number: int, width: float = 1.5) -> QPen:
    """Colour and dashes of a curve, by its number in the comparison."""
    pen = QPen(QColor(getattr(theme.tokens, TOKENS[number])), width)
    pen.setCosmetic(True)
    if DASHES[number]:
        pen.setDashPattern(DASHES[number])
    return pen


class Hatching(pg.GraphicsObject):  # type: ignore[misc]
    """An area that is hatched in pixels, whatever the scale of the plot."""

    def __init__(self) -> None:
        super().__init__()
        self._area = QPolygonF()
        self._colour = QColor()

    def set_area(self, ranks: Numbers, low: Numbers, high: Numbers) -> None:
        """Hatch between two curves; with no points there is nothing."""
        self.prepareGeometryChange()
        points = [*zip(ranks, high, strict=True), *zip(ranks[::-1], low[::-1], strict=True)]
        self._area = QPolygonF([pg.QtCore.QPointF(float(x), float(y)) for x, y in points])
        self.update()

    def area(self) -> QPolygonF:
        """The outline, in ranks and heights."""
        return self._area

    def set_colour(self, colour: QColor) -> None:
        """Use a colour."""
        self._colour = colour
        self.update()

    def boundingRect(self) -> QRectF:
        """The area's."""
        return self._area.boundingRect()

    def paint(self, painter: QPainter, _option: object, _widget: QWidget | None = None) -> None:
        """Thin diagonal lines within the area."""
        if self._area.isEmpty():
            return
        area = painter.worldTransform().map(self._area)
        painter.save()
        painter.resetTransform()
        path = pg.QtGui.QPainterPath()
        path.addPolygon(area)
        painter.setClipPath(path, Qt.ClipOperation.IntersectClip)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._colour, 1))
        box = area.boundingRect()
        slant = box.height() * 0.6
        start = box.left() - slant - (box.left() - slant) % HATCH_PIXELS
        lines = int((box.right() - start) / HATCH_PIXELS) + 2
        painter.drawLines(
            [
                QLineF(start + step * HATCH_PIXELS, box.bottom(), start + step * HATCH_PIXELS + slant, box.top())
                for step in range(lines)
            ]
        )
        painter.restore()


class SpectrumPlot(QuietPlot):
    """Singular values over their index, largest first, or the share of the change that each rank keeps.

    Attributes:
        hatching: the values that were not computed: anywhere in the hatched area.
        cut_text: what is written at the cut; empty for several layers.
    """

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__(theme, name)
        self._spectra: tuple[Spectrum, ...] = ()
        self._measure = Measure.VALUES
        self.cut_text = ""
        self._stored = self.plot(fillLevel=0.0, pen=None, skipFiniteCheck=True)
        self._computed = self.plot(fillLevel=0.0, pen=None, skipFiniteCheck=True)
        self.hatching = Hatching()
        self.addItem(self.hatching)
        self._curves = [self.plot(skipFiniteCheck=True, antialias=True) for _ in TOKENS]
        self._cut = pg.InfiniteLine(angle=90)
        self._label = pg.TextItem(anchor=(0, 0))
        self._ends = pg.ScatterPlotItem(size=8, pxMode=True)
        for item in (self._cut, self._label, self._ends):
            self.addItem(item, ignoreBounds=True)
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setStyle(tickLength=0)
            axis.enableAutoSIPrefix(False)
        self.restyle()

    @property
    def spectra(self) -> tuple[Spectrum, ...]:
        """What is drawn."""
        return self._spectra

    def show_spectra(self, spectra: Sequence[Spectrum], measure: Measure) -> None:
        """Draw one spectrum with cut and tail, or up to `COMPARED` of them to compare."""
        self._spectra, self._measure = tuple(spectra[:COMPARED]), measure
        self._redraw()

    def curve_points(self, number: int) -> tuple[Numbers, Numbers]:
        """The points of a curve as drawn."""
        ranks, heights = self._curves[number].getData()
        return ranks, heights

    def restyle(self) -> None:
        """Take the theme's colours."""
        super().restyle()
        tokens = self.theme.tokens
        for number, line in enumerate(self._curves):
            line.setPen(curve_pen(self.theme, number))
        self._stored.setBrush(pg.mkBrush(band_colour(tokens.accent, 56)))
        self._computed.setBrush(pg.mkBrush(band_colour(tokens.accent, 20)))
        self.hatching.set_colour(band_colour(tokens.muted, 110))
        self._cut.setPen(pg.mkPen(tokens.warning, width=1))
        self._label.setColor(QColor(tokens.warning_text))
        self._label.setFont(self.font())
        self._redraw()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Only as many ticks as can be read."""
        super().resizeEvent(event)
        if getattr(self, "_ready", False):
            self._redraw()

    def text_at(self, position: QPoint) -> str:
        """The numbers at a place in the widget; empty where there are none."""
        view = self.getPlotItem().getViewBox()
        rank = round(view.mapSceneToView(self.mapToScene(position)).x())
        lines = []
        for spectrum in self._spectra:
            if 1 <= rank <= spectrum.known:
                kept = share_text(float(kept_by_rank(spectrum)[rank]))
                text = self.tr("{layer}: value {rank} is {value}, rank {rank} keeps {kept}")
                value = short_number(float(f"{spectrum.values[rank - 1]:.4g}"))
                lines.append(text.format(layer=short_name(spectrum.name), rank=whole(rank), value=value, kept=kept))
            elif spectrum.known < rank <= min(spectrum.full, self.viewRange()[0][1]):
                text = self.tr("{layer}: only the first {known} of {full} values were computed")
                known, full = whole(spectrum.known), whole(spectrum.full)
                lines.append(text.format(layer=short_name(spectrum.name), known=known, full=full))
        return "\n".join(lines)

    def _redraw(self) -> None:
        several = len(self._spectra) > 1
        units = [float(spectrum.values[0]) or 1.0 if several else 1.0 for spectrum in self._spectra]
        curves = [curve(item, self._measure, unit=unit) for item, unit in zip(self._spectra, units, strict=True)]
        for number, line in enumerate(self._curves):
            line.setData(*(curves[number] if number < len(curves) else ([], [])))
        end = last_rank_shown(self._spectra) if curves else 1
        begin = min((float(ranks[0]) for ranks, _ in curves), default=0.0)
        low, top = self._range([heights[: end + 1] for _, heights in curves])
        edge = END_PIXELS * (end - begin) / max(60, self.width() - 60) if several else 0.0
        self.setXRange(begin, end + edge, padding=0)
        self.setYRange(low, top, padding=0)
        self._ticks(end, low, top, shares=several or self._measure is Measure.KEPT)
        self._draw_one(end, low, top)
        colours = [QColor(getattr(self.theme.tokens, token)) for token in TOKENS]
        spots = [
            {"pos": (item.rank, np.interp(item.rank, ranks, heights)), "brush": colour, "pen": None}
            for item, (ranks, heights), colour in zip(self._spectra, curves, colours, strict=False)
        ]
        self._ends.setData(spots if several else [])

    def _range(self, seen: Sequence[Numbers]) -> tuple[float, float]:
        if not seen:
            return 0.0, 1.0
        if self._measure is Measure.KEPT:
            return 0.0, 1.06
        highest = max(float(heights.max()) for heights in seen)
        if self._measure is Measure.VALUES:
            return 0.0, max(highest, 1e-12) * 1.06
        lowest = min(float(heights.min()) for heights in seen)
        margin = max(0.12, 0.08 * (highest - lowest))
        return lowest - margin, highest + margin

    def _draw_one(self, end: int, low: float, top: float) -> None:
        """Fill, cut and tail of a single spectrum; nothing of them for several."""
        alone = self._spectra[0] if len(self._spectra) == 1 else None
        for item in (self._cut, self._label, self.hatching):
            item.setVisible(alone is not None)
        self.cut_text = ""
        if alone is None:
            for band in (self._stored, self._computed):
                band.setData([], [])
            return
        ranks, heights = curve(alone, self._measure, unit=1.0)
        for band, part in ((self._stored, ranks <= alone.rank), (self._computed, ranks >= alone.rank)):
            band.setFillLevel(low)
            band.setData(ranks[part], heights[part])
        self._draw_tail(alone, end, low)
        self.cut_text = self.tr("rank {rank} keeps {kept}").format(rank=whole(alone.rank), kept=share_text(alone.kept))
        self._cut.setValue(alone.rank)
        self._label.setText(self.cut_text)
        kept_above = self._measure is Measure.KEPT
        self._label.setAnchor((1 if alone.rank > LABEL_SHARE * end else 0, 1 if kept_above else 0))
        self._label.setPos(alone.rank, low if kept_above else top)

    def _draw_tail(self, spectrum: Spectrum, end: int, low: float) -> None:
        if end <= spectrum.known:
            self.hatching.set_area(*[np.array([])] * 3)
            return
        ranks = np.linspace(spectrum.known, end, 64)
        if self._measure is Measure.KEPT:
            high = most_kept(spectrum, ranks)
            base = np.full_like(ranks, float(kept_by_rank(spectrum)[-1]))
        else:
            high = largest_tail(spectrum, ranks)
            high = logarithm(high, float(spectrum.values[0])) if self._measure is Measure.LOG else high
            high, base = np.maximum(high, low), np.full_like(ranks, low)
        self.hatching.set_area(ranks, base, high)

    def _ticks(self, end: int, low: float, top: float, *, shares: bool) -> None:
        width, height = max(60, self.width() - 60), max(24, self.height() - 24)
        step = max(1, round(round_step(end / max(1, min(8, width // 64)))))
        marks = [(rank, whole(rank)) for rank in range(step, end + 1, step) if rank < end * 0.98 or rank == end]
        self.getPlotItem().getAxis("bottom").setTicks([marks])
        count = max(1, min(4, height // TICK_PIXELS))
        if self._measure is Measure.LOG:
            decades = range(int(np.ceil(low)), int(np.floor(top)) + 1)
            every = max(1, -(-len(decades) // count))
            levels = [(float(power), _power_text(power, shares=shares)) for power in decades if power % every == 0]
        else:
            fits = [step for step in SHARE_STEPS if int(1.001 / step) <= count]
            apart = (fits or [1.0])[0] if shares else round_step(top / count)
            heights = [apart * number for number in range(1, int(top / apart + 1e-6) + 1)]
            levels = [
                (at, self.tr("{percent} %").format(percent=decimal(100 * at, 0)) if shares else short_number(at))
                for at in heights
            ]
        self.getPlotItem().getAxis("left").setTicks([levels])


def _power_text(power: int, *, shares: bool) -> str:
    return f"{short_number(10.0 ** (power + 2))} %" if shares else short_number(10.0**power)
