"""The panel of the spectrum: the singular values of the chosen layer, or of several to compare."""

from __future__ import annotations

import itertools

from PySide6.QtCore import QEvent, QObject, Qt, Slot
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QComboBox, QGridLayout, QSizePolicy

from app.look.theme import Theme
from app.text.noise import layer_words
from app.text.translation import plural, translator, whole
from app.widgets.basics.basics import let_shrink, text_label
from app.widgets.basics.legend import LegendEntry, Swatch
from app.widgets.basics.plot_panel import PlotPanel
from app.widgets.layers.layer_choice import LayerChoice
from app.widgets.layers.layer_model import LayerModel, share_text, short_name
from app.widgets.layers.layer_names import ELLIPSIS, first_parts, fitted_name
from app.widgets.spectrum.data import Measure, Spectrum, distinct_names, last_rank_shown, spectrum_of
from app.widgets.spectrum.plot import COMPARED, TOKENS, SpectrumPlot, curve_pen
from engine.results import LayerResult

_tr = translator("SpectrumPanel")

MARGINS = 32  # of the panel, left and right together
SPACING = 14  # between legend entries
SWATCH_WIDTH = 34


class CurveSwatch(Swatch):
    """A piece of one of the compared curves, dashes and all."""

    def __init__(self, theme: Theme, number: int) -> None:
        super().__init__(theme, TOKENS[number])
        self._number = number
        self.setFixedSize(SWATCH_WIDTH, 10)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the line in the theme's colour."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(curve_pen(self._theme, self._number, 2))
        painter.drawLine(0, 5, self.width(), 5)


class SpectrumPanel(PlotPanel):
    """Follows the choice of layers and the rows of a run.

    Attributes:
        measure: the control that says what is drawn.
        plot: the plot.
        legend: an entry per curve that can be compared.
    """

    def __init__(self, theme: Theme, model: LayerModel, choice: LayerChoice) -> None:
        super().__init__(_tr("Spectrum"), "")
        self._model, self._choice = model, choice
        self._shown: tuple[LayerResult, ...] = ()
        self._named, self._more = "", ""  # of one layer: its name, and what is said besides
        self._entries: list[tuple[str, str]] = []  # of the legend: name, name with the share kept
        self.measure = QComboBox()
        let_shrink(self.measure, 96)
        self.measure.setAccessibleName(self.tr("What the curve shows"))
        for measure, title in {
            Measure.VALUES: self.tr("Singular values"),
            Measure.LOG: self.tr("Log scale"),
            Measure.KEPT: self.tr("Change kept"),
        }.items():
            self.measure.addItem(title, measure)
        tooltips = (
            self.tr("Singular values of the change, the largest first"),
            self.tr("The same on a logarithmic scale"),
            self.tr("How much of the change each rank would keep"),
        )
        for number, words in enumerate(tooltips):
            self.measure.setItemData(number, words, Qt.ItemDataRole.ToolTipRole)
        self.measure.currentIndexChanged.connect(self._draw)
        self.header.addWidget(self.measure)
        self.plot = SpectrumPlot(theme, self.tr("Plot of singular values by index"))
        self.set_plot(self.plot)
        self._name = text_label("", "small")
        self._name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._name.hide()
        self.line.addWidget(self._name, 1)
        self._legend_grid = QGridLayout()
        self._legend_grid.setHorizontalSpacing(SPACING)
        self._legend_grid.setVerticalSpacing(2)
        self.line.addLayout(self._legend_grid, 1)
        self.legend = [LegendEntry(CurveSwatch(theme, number), shrinking=True) for number in range(COMPARED)]
        self._place_legend()
        self.detail.installEventFilter(self)
        choice.changed.connect(self.refresh)
        model.rowsInserted.connect(self.refresh)
        model.modelReset.connect(self.refresh)
        self.clear()
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show the chosen layers that are there; nothing changes where they are the same as before."""
        found = (self._model.find(name) for name in self._choice.names)
        rows = tuple(row for row in found if row is not None)
        if len(rows) != len(self._shown) or any(one is not other for one, other in zip(rows, self._shown, strict=True)):
            self._shown = rows
            self._draw()

    def clear(self) -> None:
        """Back to the words."""
        self._named = ""
        super().clear()
        self._hint.setText(self.tr("Choose a layer in the table or in the change map to see its singular values."))
        self.measure.setEnabled(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More lines of legend where there is no room for one."""
        super().resizeEvent(event)
        self._place_legend()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Say beside the title what there is room for."""
        if watched is self.detail and event.type() in (QEvent.Type.Resize, QEvent.Type.FontChange):
            self._fit_detail()
        return super().eventFilter(watched, event)

    def changeEvent(self, event: QEvent) -> None:
        """A larger font may need another arrangement."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "legend"):
            self._place_legend()

    @Slot()
    def _draw(self) -> None:
        spectra = [spectrum for row in self._shown if (spectrum := spectrum_of(row)) is not None]
        self.plot.show_spectra(spectra, Measure(self.measure.currentData()))
        if not spectra:
            self.clear()
            if self._shown:
                self._explain()
            return
        self.measure.setEnabled(True)
        self.show_plot()
        self._line_widget.setVisible(len(spectra) > 1)
        if len(spectra) == 1:
            self._describe_one(spectra[0])
        else:
            self._describe_several(spectra)

    def _explain(self) -> None:
        """Why the chosen layers have no spectrum."""
        row, count = self._shown[0], len(self._shown)
        if count > 1:
            self._hint.setText(self.tr("The chosen layers are stored whole: they have no spectrum and no cut."))
        elif row.rank is None:
            self._hint.setText(self.tr("The difference itself is stored for this layer: no rank, no spectrum, no cut."))
        else:
            self._hint.setText(self.tr("The singular values of this layer were not kept."))
        self._show_name(short_name(row.name) if count == 1 else "")

    def _describe_one(self, spectrum: Spectrum) -> None:
        parts = [short_name(spectrum.name)]
        if spectrum.known < last_rank_shown([spectrum]):
            text = self.tr("{known} of {full} values known")
            parts.append(text.format(known=whole(spectrum.known), full=whole(spectrum.full)))
        noise = next((row.noise for row in self._shown if row.name == spectrum.name), None)
        parts += [words for words in (layer_words(noise),) if words]
        hidden = sum(spectrum_of(row) is None for row in self._shown)
        self._show_name(parts[0], " \u00b7 ".join([*parts[1:], *self._whole_text(hidden)]))
        self.plot.setAccessibleDescription(" \u00b7 ".join([parts[0], self.plot.cut_text, *parts[1:]]))

    def _describe_several(self, spectra: list[Spectrum]) -> None:
        drawn = spectra[:COMPARED]
        shared, names = distinct_names([short_name(spectrum.name) for spectrum in drawn])
        kept = [share_text(spectrum.kept) for spectrum in drawn]
        text, words = self.tr("{layer} {kept}"), self.tr("{layer}: rank {rank} keeps {kept}")
        self._entries = [(name, text.format(layer=name, kept=share)) for name, share in zip(names, kept, strict=True)]
        texts = [
            words.format(layer=short_name(spectrum.name), rank=whole(spectrum.rank), kept=share)
            for spectrum, share in zip(drawn, kept, strict=True)
        ]
        for entry, line in zip(self.legend, texts, strict=False):
            entry.setToolTip(line)
        self._place_legend()
        parts = [shared] if shared else []
        if len(drawn) < len(spectra):
            text = self.tr("the first {shown} of {chosen}")
            parts.append(text.format(shown=whole(len(drawn)), chosen=whole(len(spectra))))
        if Measure(self.measure.currentData()) is not Measure.KEPT:
            parts.append(self.tr("each as a share of its largest"))
        parts += self._whole_text(len(self._shown) - len(spectra))
        self._named = ""
        self._name.hide()
        self.line.setStretchFactor(self._legend_grid, 1)
        self.detail.setText(" \u00b7 ".join(parts))
        self.plot.setAccessibleDescription("\n".join(texts))

    def _show_name(self, name: str, more: str = "") -> None:
        self._named, self._more = name, more
        self.detail.setText(name)
        self._fit_detail()

    def _fit_detail(self) -> None:
        """A layer's name and what else there is to say of it; the name alone, even shortened, where room is short."""
        if not self._named:
            return
        room, measure = self.detail.width(), self.detail.fontMetrics().horizontalAdvance
        parts = [part for part in (self._named, self._more) if part]
        both = " \u00b7 ".join(parts)
        text = first_parts(parts, room, measure)
        shortened = fitted_name(self._named, room, measure) if measure(text) > room else text
        # A name without its block says little: it has the line above the plot to itself.
        below = shortened.startswith(ELLIPSIS) and self._stack.currentWidget() is self.plot
        if below:
            room = self.width() - MARGINS
            text = first_parts(parts, room, measure)
            self._name.setText(fitted_name(self._named, room, measure) if measure(text) > room else text)
        self._name.setVisible(below)
        self.line.setStretchFactor(self._legend_grid, 0 if below else 1)
        self._line_widget.setVisible(below)
        self.detail.setText("" if below else shortened)
        self.detail.setToolTip("" if below or shortened == both else both)

    def _whole_text(self, count: int) -> list[str]:
        text = plural("SpectrumPanel", "{count} more has none", "{count} more have none", count)
        return [text.format(count=whole(count))] if count else []

    def _place_legend(self) -> None:
        """Names with what they keep in one line or two, else names alone."""
        metrics = self.legend[0].label.fontMetrics()
        room = self.width() - MARGINS + SPACING
        used = len(self._entries)
        for texts, lines in itertools.product(([long for _, long in self._entries], self._names()), (1, 2)):
            columns = max(1, -(-used // lines))
            widest = max(map(metrics.horizontalAdvance, texts), default=0) + SWATCH_WIDTH + 5 + SPACING
            if columns * widest <= room:
                break
        for number, entry in enumerate(self.legend):
            entry.set_text(texts[number] if number < used else "")
            self._legend_grid.addWidget(entry, number // columns, number % columns)
        for column in range(COMPARED + 1):
            self._legend_grid.setColumnStretch(column, 1 if column == columns else 0)

    def _names(self) -> list[str]:
        return [name for name, _ in self._entries]
