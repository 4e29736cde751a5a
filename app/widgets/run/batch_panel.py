"""The panel of the batches: a bar for each, where the time went in words, and how long the device waited."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Slot

from app.look.theme import Theme
from app.text.notices import counted, format_share
from app.text.translation import translator
from app.text.window_text import short_seconds
from app.widgets.basics.legend import LegendEntry, Swatch
from app.widgets.basics.plot_panel import PlotPanel
from app.widgets.run.plots import STAGES, BatchPlot
from engine.events import BatchDone, Event, Finished, Planned
from engine.results import ExtractionResult, StageSeconds

_tr = translator("BatchPanel")

FLUSH_MS = 120


class BatchPanel(PlotPanel):
    """Time by batch and by stage.

    Attributes:
        plot: the plot.
        stages: per stage its colour, its seconds in this run and their share.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__(_tr("Batches"), _tr("One bar per batch: where its time went."))
        self._batches, self._worked = 0, 0.0
        self._seconds = StageSeconds()
        self._waiting: list[BatchDone] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FLUSH_MS)
        self._timer.timeout.connect(self._flush)
        self.plot = BatchPlot(theme, self.tr("Plot of the time of each batch by stage"))
        self.plot.setToolTip(
            self.tr("The stages' times in each batch, added up over its layers; stages and batches overlap.")
        )
        self.set_plot(self.plot)
        self._titles = dict(
            zip(STAGES, (self.tr("read"), self.tr("upload"), self.tr("compute"), self.tr("write")), strict=True)
        )
        self.stages = {
            stage: LegendEntry(Swatch(theme, stage), title, shrinking=True) for stage, title in self._titles.items()
        }
        for entry in self.stages.values():
            self.line.addWidget(entry)
        self.line.addStretch(1)

    def take(self, event: Event) -> None:
        """Show an event of the run."""
        if isinstance(event, Planned):
            self._start()
        elif isinstance(event, BatchDone):
            self._waiting.append(event)
            if not self._timer.isActive():
                self._timer.start()
        elif isinstance(event, Finished):
            self._flush()
            self._show_result(event.result)

    def clear(self) -> None:
        """Back to the words."""
        super().clear()
        self._timer.stop()
        self._batches, self._worked = 0, 0.0
        self._seconds = StageSeconds()
        self._waiting = []
        for stage, entry in self.stages.items():
            entry.set_text(self._titles[stage])

    def _start(self) -> None:
        self.clear()
        self.plot.start()
        self.show_plot()

    @Slot()
    def _flush(self) -> None:
        """Draw the batches that came in since the last time."""
        if not self._waiting:
            return
        batches, self._waiting = self._waiting, []
        for seconds in (batch.seconds for batch in batches):
            self._seconds = StageSeconds(*(getattr(self._seconds, stage) + getattr(seconds, stage) for stage in STAGES))
        # Layers of earlier runs are only written: bars of nothing, which would make the mean one of nothing too.
        worked = [batch for batch in batches if batch.seconds.total > batch.seconds.write]
        if worked:
            self.plot.add([batch.seconds for batch in worked])
            self._batches += len(worked)
            self._worked += sum(map(_took, worked))
            text = self.tr("last {last} \u00b7 mean {mean}")
            self.detail.setText(text.format(last=short_seconds(_took(worked[-1])), mean=self._mean()))
        self._show_stages()

    def _show_stages(self) -> None:
        total = self._seconds.total
        for stage, entry in self.stages.items():
            seconds = getattr(self._seconds, stage)
            percent = round(100 * seconds / total) if total else 0
            text = self.tr("{stage} {percent} %")
            entry.set_text(text.format(stage=self._titles[stage], percent=percent))
            text = self.tr("{time} of {total}, added up over layers that are worked on side by side")
            entry.setToolTip(text.format(time=short_seconds(seconds), total=short_seconds(total)))

    def _show_result(self, result: ExtractionResult) -> None:
        """Say how well the device was fed, and what needed no work."""
        parts = []
        if self._batches:
            parts.append(self.tr("mean {mean}").format(mean=self._mean()))
        if result.layers_reused < result.layers_looked_at:
            text = self.tr("the device waited {share} of the time for data")
            parts.append(text.format(share=format_share(result.waited_share)))
        if result.layers_reused:
            text = self.tr("{kept} of {layers} came from earlier runs")
            parts.append(text.format(kept=result.layers_reused, layers=counted(result.layers_looked_at, "layer")))
        self.detail.setText(" \u00b7 ".join(parts))

    def _mean(self) -> str:
        return short_seconds(self._worked / self._batches)


def _took(batch: BatchDone) -> float:
    """What a batch took by the clock; its layers' times added up say more than that where they overlap."""
    return batch.wall_seconds or batch.seconds.total
