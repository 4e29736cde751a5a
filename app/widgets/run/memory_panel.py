"""The panel of the device's memory: the plot, what is kept and read ahead in words, and where room was made."""

from __future__ import annotations

from PySide6.QtCore import Slot

from app.look.theme import Theme
from app.text.estimates import format_memory
from app.text.notices import counted, format_bytes
from app.text.translation import translator
from app.widgets.basics.basics import link_button
from app.widgets.basics.legend import LegendEntry, Swatch
from app.widgets.basics.plot_panel import PlotPanel
from app.widgets.run.memory_marks import KINDS, SYMBOLS, TOKENS, mark_of, mark_title
from app.widgets.run.plots import BANDS, MemoryPlot
from engine.events import BlocksResident, Event, Finished, MemorySample, Planned

_tr = translator("MemoryPanel")


class MemoryPanel(PlotPanel):
    """Memory over time.

    Attributes:
        plot: the plot.
        kept, ahead: how much is kept for the next run, and read ahead; hidden while nothing is.
        marks: a legend entry per kind of mark; hidden while there is none.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__(_tr("Device memory"), _tr("While an extraction runs, the memory it uses is drawn here."))
        self._planned: Planned | None = None
        self._peak = self._promised = 0
        self.plot = MemoryPlot(theme, self.tr("Plot of device memory over time"))
        self.set_plot(self.plot)
        self.span = link_button(self.tr("last 2 min"))
        self.span.setCheckable(True)
        self.span.setToolTip(self.tr("Show the last two minutes instead of the whole run"))
        self.span.toggled.connect(self._span_toggled)
        self.header.addWidget(LegendEntry(Swatch(theme, "accent"), self.tr("this run")))
        self.whole_device = LegendEntry(Swatch(theme, "muted", dashed=True), self.tr("whole device"))
        self.header.addWidget(self.whole_device)
        self.header.addWidget(self.span)
        self.kept, self.ahead = (
            LegendEntry(Swatch(theme, token, alpha=alpha + 80))
            for token, alpha in (BANDS["resident"], BANDS["prefetched"])
        )
        self.marks = {
            kind: LegendEntry(Swatch(theme, TOKENS[kind], symbol=SYMBOLS[kind]), mark_title(kind)) for kind in KINDS
        }
        for widget in (self.kept, self.ahead):
            self.line.addWidget(widget)
        self.line.addStretch(1)
        for entry in self.marks.values():
            self.line.addWidget(entry)

    def take(self, event: Event) -> None:
        """Show an event of the run."""
        if isinstance(event, Planned):
            self._start(event)
        elif isinstance(event, MemorySample):
            self._sample(event)
        elif isinstance(event, BlocksResident):
            self._show_kept(event)
        elif isinstance(event, Finished):
            self._promised = event.result.promised_device_bytes
            self.end()
        else:
            mark = mark_of(event)
            if mark is not None:
                self.plot.marks.add(mark)
                entry = self.marks[mark.kind]
                count = self.plot.marks.count(mark.kind)
                entry.set_text(
                    self.tr("{title} {count}\u00d7").format(title=mark_title(mark.kind), count=count)
                    if count > 1
                    else mark_title(mark.kind)
                )
                entry.setToolTip(mark.text)

    def end(self) -> None:
        """The run is over and holds nothing any more: say the most that it held."""
        if self._planned is not None and self._peak:
            text = self.tr("{title} \u00b7 this run: peak {peak} of {total}")
            if self._has_budget:
                text = self.tr("{title} \u00b7 this run: peak {peak} of {total} budget")
            elif self._planned.device == "cpu":
                text = self.tr("{title} \u00b7 this run: peak {peak} of {total} free before")
            total = format_memory(self._planned.device_total_bytes)
            words = text.format(title=self._planned.device_title, peak=format_memory(self._peak), total=total)
            if self._promised:
                promise = self.tr("{words} \u00b7 at most {promised} promised")
                words = promise.format(words=words, promised=format_memory(self._promised))
            self.detail.setText(words)

    def clear(self) -> None:
        """Back to the words."""
        super().clear()
        self._planned = None
        self._peak = self._promised = 0

    @property
    def _has_budget(self) -> bool:
        """Whether what the run may take of the memory was set, rather than found free."""
        return self._planned is not None and self._planned.hardware.memory_budget is not None

    def _start(self, planned: Planned) -> None:
        self._planned = planned
        self._peak = self._promised = 0
        # On the CPU only this run is measured: a second curve would repeat the first.
        self.whole_device.setVisible(planned.device != "cpu")
        self.plot.show_device(planned.device != "cpu")
        share = planned.threshold_bytes / max(1, planned.device_total_bytes)
        self.plot.start(
            planned.device_total_bytes,
            planned.threshold_bytes,
            # beside the processor's budget a second figure would be taken for another budget
            (self.tr("limit {percent} %") if planned.device == "cpu" else self.tr("limit {percent} %, {size}")).format(
                percent=round(share * 100), size=format_memory(planned.threshold_bytes)
            ),
        )
        self.detail.setText(planned.device_title)
        for entry in (self.kept, self.ahead, *self.marks.values()):
            entry.set_text("")
        self.show_plot()

    def _sample(self, sample: MemorySample) -> None:
        self.plot.add(sample)
        self._peak = max(self._peak, sample.run_bytes)
        title = self._planned.device_title if self._planned else ""
        text = self.tr("{title} \u00b7 this run {run} \u00b7 peak {peak} \u00b7 in use {used} of {total}")
        if self._has_budget:
            text = self.tr("{title} \u00b7 this run {run} of {total} budget \u00b7 peak {peak}")
        elif self._planned is not None and self._planned.device == "cpu":
            text = self.tr("{title} \u00b7 this run {run} of {total} free before \u00b7 peak {peak}")
        self.detail.setText(
            text.format(
                title=title,
                run=format_bytes(sample.run_bytes),
                used=format_bytes(sample.device_used_bytes),
                total=format_memory(sample.device_total_bytes),
                peak=format_memory(self._peak),
            )
        )
        if not sample.run_bytes:
            self.end()
        kept, ahead = self.tr("{size} kept for the next run"), self.tr("{size} read ahead")
        for entry, words, size in (
            (self.kept, kept, sample.resident_bytes),
            (self.ahead, ahead, sample.prefetched_bytes),
        ):
            entry.set_text(words.format(size=format_bytes(size)) if size else "")

    def _show_kept(self, event: BlocksResident) -> None:
        """The work is over: nothing is read ahead any more."""
        text = self.tr("{size} kept for the next run ({blocks})")
        size, blocks = format_bytes(event.kept_bytes), counted(event.kept, "block")
        self.kept.set_text(text.format(size=size, blocks=blocks) if event.kept else "")
        self.ahead.set_text("")

    @Slot(bool)
    def _span_toggled(self, recent: bool) -> None:
        self.span.setText(self.tr("whole run") if recent else self.tr("last 2 min"))
        self.span.setAccessibleName(self.span.text())
        self.plot.show_recent_only(recent)
