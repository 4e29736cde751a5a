"""The card that answers "what if the rank were another?" from a finished run, and writes or extracts that."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.look.theme import Theme
from app.text.quality import answer_words, ranks_and_size, size_text, span_text
from app.widgets.basics.basics import Panel, WheelGuard, push_button, scaled, text_label, wrapped_label
from app.widgets.basics.form import LABEL_WIDTH
from app.widgets.basics.kept_drawing import KeptCurve, ShareBar
from app.widgets.basics.sliders import NumberSlider
from app.widgets.result.rank_modes import MEGABYTE, Way, ways
from engine.analysis.exploration import Answer, Exploration
from engine.decompose.rank_rules import RankPolicy
from engine.presets import RANK_STOPS

WIDE = 560  # from this width on there is room for the curve
ROW_HEIGHT = 24


class ExplorePanel(Panel):
    """A choice, a slider, three figures, a sentence and one button.

    Attributes:
        write_clicked: emitted with the settings of the run changed to the choice.
    """

    write_clicked = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__("")
        self.title.setText(self.tr("Try another rank"))
        self._exploration: Exploration | None = None
        self._answer: Answer | None = None
        self._available = True
        self._guard = WheelGuard()
        self._hint = wrapped_label("", "muted")
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.by = QComboBox()
        self.by.setAccessibleName(self.tr("Choose by"))
        self.by.setMinimumWidth(scaled(LABEL_WIDTH))
        self.by.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.by.installEventFilter(self._guard)
        self.by.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.by.currentIndexChanged.connect(self._way_chosen)
        self.slider = NumberSlider(1, 2)
        self.slider.set_names(self.tr("Rank"), "")
        self.slider.slider.installEventFilter(self._guard)
        self.slider.changed.connect(self._moved)
        self.file_size, self.mean_kept, self.worst_kept = (text_label("", "title") for _ in range(3))
        self._mean_bar, self._worst_bar = ShareBar(theme), ShareBar(theme)
        self.words = wrapped_label("", "small")
        self.write = push_button(self.tr("Write this one"), kind="primary")
        self.write.clicked.connect(self._write)
        self.curve = KeptCurve(theme)
        self.curve.hide()
        self._choice = QHBoxLayout()
        self._content = self._make_content()
        self._stack = QStackedWidget()
        self._stack.addWidget(self._hint)
        self._stack.addWidget(self._content)
        self.body.addWidget(self._stack, 1)
        order = (self.by, self.slider.slider, self.slider.number, self.write)
        for first, second in pairwise(order):
            QWidget.setTabOrder(first, second)
        self.clear()

    @property
    def exploration(self) -> Exploration | None:
        """What the figures come from; the next run's `Exploration` takes it as `earlier`."""
        return self._exploration

    @property
    def answer(self) -> Answer | None:
        """The choice that is shown."""
        return self._answer

    def clear(self) -> None:
        """There is no run to explore, or the models are others now."""
        self._exploration = self._answer = None
        self._say(
            self.tr("After a run, see here at once what another rank would keep and how large the file would be.")
        )

    def show_exploration(self, exploration: Exploration, *, available: bool = True) -> None:
        """Offer the ranks of a finished run, beginning with its own.

        Args:
            exploration: of the run.
            available: its decomposition was kept, so that smaller ranks can be written without the models.
        """
        self._exploration, self._available, self._answer = exploration, available, None
        if not exploration.names:
            self._say(self.tr("This file holds whole differences only; there is no rank to choose."))
            return
        self._answer = exploration.at(exploration.policy)
        whole = exploration.coverage.complete
        self._mean_title.setText(self.tr("Change kept, mean") if whole else self.tr("Kept of what was compared"))
        self.mean_kept.setAccessibleName(self._mean_title.text())
        self.by.blockSignals(True)
        self.by.clear()
        for place, way in enumerate(ways(exploration, RANK_STOPS)):
            self.by.addItem(way.title, way)
            self.by.setItemData(place, way.meaning, Qt.ItemDataRole.ToolTipRole)
            if way.rule == exploration.settings.lora_type:
                self.by.setCurrentIndex(place)
        self.by.blockSignals(False)
        self._stack.setCurrentWidget(self._content)
        self._way_chosen()

    def set_running(self, running: bool) -> None:
        """While a run goes on nothing can be chosen."""
        self._content.setEnabled(not running)

    def show_rank(self, rank: int) -> None:
        """Show what a rank would give; where a rule chose the ranks, what it would give with that as its limit."""
        exploration = self._exploration
        if exploration is None or not exploration.names:
            return
        own = exploration.policy
        if own.lora_type == "standard":
            self.by.setCurrentIndex(0)
            self.slider.set_value(rank)
        self._show(exploration.at(RankPolicy(own.lora_type, rank, own.adaptive_param)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show the curve where there is room for it."""
        super().resizeEvent(event)
        self.curve.setVisible(self.width() >= scaled(WIDE))

    def _make_content(self) -> QWidget:
        content = QWidget()
        content.setProperty("surface", "clear")
        self._choice.setSpacing(12)
        self._choice.addWidget(self.by)
        self._choice.addWidget(self.slider, 1)
        last = QHBoxLayout()
        last.setSpacing(12)
        last.addWidget(self.write)
        last.addWidget(self.words, 1)
        left = QVBoxLayout()
        left.setSpacing(4)
        left.addLayout(self._choice)
        left.addLayout(self._make_figures())
        left.addStretch(1)
        left.addLayout(last)
        both = QHBoxLayout(content)
        both.setContentsMargins(0, 0, 0, 4)
        both.setSpacing(24)
        both.addLayout(left, 3)
        both.addWidget(self.curve, 2)
        return content

    def _make_figures(self) -> QGridLayout:
        figures = QGridLayout()
        figures.setHorizontalSpacing(12)
        figures.setVerticalSpacing(0)
        figures.setColumnStretch(1, 1)
        titles = (self.tr("File size"), self.tr("Change kept, mean"), self.tr("Worst layer"))
        bars: tuple[QWidget | None, ...] = (None, self._mean_bar, self._worst_bar)
        for row, (title, bar, figure) in enumerate(
            zip(titles, bars, (self.file_size, self.mean_kept, self.worst_kept), strict=True)
        ):
            figure.setAccessibleName(title)
            figure.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            label = text_label(title, "muted")
            if figure is self.mean_kept:
                self._mean_title = label
            figures.addWidget(label, row, 0)
            figures.setRowMinimumHeight(row, scaled(ROW_HEIGHT))
            if bar is None:
                figures.addWidget(figure, row, 1, 1, 2)
            else:
                figures.addWidget(bar, row, 1)
                figures.addWidget(figure, row, 2)
        return figures

    def _say(self, hint: str) -> None:
        self.detail.setText("")
        self._hint.setText(hint)
        self._stack.setCurrentWidget(self._hint)

    @Slot()
    def _way_chosen(self) -> None:
        """Another way to choose: a slider for it, at the place that comes nearest to what was shown."""
        exploration, shown = self._exploration, self._answer
        if exploration is None or shown is None:
            return
        way: Way = self.by.currentData()
        self.by.setToolTip(way.meaning)
        self._set_range(way)
        self.slider.set_value(way.value_near(exploration, shown))
        self.curve.set_curve([exploration.at(way.policy(exploration, value)) for value in way.samples()])
        if way.rule == shown.policy.lora_type:  # its value may be none that the slider has a place for
            self._show(shown)
        else:
            self._moved()

    def _set_range(self, way: Way) -> None:
        unit = ""
        if way.unit:
            unit = self.tr(" MB") if way.unit == MEGABYTE else self.tr(" kB")
        self.slider.set_range(way.low, way.high, step=way.step, stops=way.stops, percent=way.percent, unit=unit)
        self.slider.set_names(way.title, way.meaning)
        self.slider.number.installEventFilter(self._guard)

    @Slot()
    def _moved(self) -> None:
        if self._exploration is not None:
            way: Way = self.by.currentData()
            self._show(self._exploration.at(way.policy(self._exploration, self.slider.value())))

    def _show(self, answer: Answer) -> None:
        exploration = self._exploration
        assert exploration is not None
        self._answer = answer
        by_rank = self.by.currentData().rule == "standard"
        self.file_size.setText(size_text(answer) if by_rank else ranks_and_size(answer))
        self.mean_kept.setText(span_text(answer.mean, about=answer.estimated))
        self.worst_kept.setText(span_text(answer.worst, about=answer.estimated))
        self.worst_kept.setToolTip(answer.worst_layer)
        self._mean_bar.set_span(answer.mean)
        self._worst_bar.set_span(answer.worst)
        self.curve.set_now(answer)
        self.words.setText(answer_words(exploration, answer))
        alone = answer.writable and self._available
        self.detail.setText(self.tr("no models needed") if alone else self.tr("reads the models again"))
        text = self.tr("Write this one")
        if not alone:
            at_rank = answer.policy.lora_type == "standard"
            text = self.tr("Extract at {rank}") if at_rank else self.tr("Extract this one")
        self.write.setText(text.format(rank=answer.policy.rank))
        self.write.setAccessibleName(self.write.text())
        self.write.setEnabled(not answer.is_run)

    @Slot()
    def _write(self) -> None:
        if self._exploration is not None and self._answer is not None:
            settings = self._exploration.settings_for(self._answer.policy)
            self.write_clicked.emit(settings.model_copy(update={"resume": True}))
