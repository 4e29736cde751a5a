"""The third card: what the two models give together, and what that will take."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout

from app.text.estimates import capital, estimate_lines, estimate_text, files_at_most, problem_text
from app.text.translation import plural, whole
from app.text.window_text import OF_THE_PAIR, breakable, short_error_text
from app.widgets.basics.basics import (
    ElidedLabel,
    link_button,
    push_button,
    scaled,
    set_look,
    text_label,
    wrapped_label,
)
from app.widgets.models.left_out_dialog import LeftOutDialog
from engine.errors import EngineError
from engine.planning.estimates import Estimate
from engine.results import LeftOut

WIDTH, LEAST_WIDTH = 300, 200
SEPARATOR = " \u00b7 "
FIRST_LINE = 24  # as high as the buttons in the first line of the cards beside this one


class PairCard(QFrame):
    """How many layers will be extracted, what is left out and why, and whether time, memory and disk will do.

    Attributes:
        swap_wanted: the person agrees that the two models are the wrong way round.
    """

    swap_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "accent")
        self.setAccessibleName(self.tr("The pair"))
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self._left_out: tuple[LeftOut, ...] = ()
        self._warning, self._alarm = "", False
        self._pair: tuple[int, int, str, tuple[str, ...]] | None = None
        self._changed, self._notes = "", tuple[str, ...]()
        self.headline = ElidedLabel("", "title", mode=Qt.TextElideMode.ElideRight)
        self.left_out = text_label("", "on-accent")
        self.why = link_button(self.tr("why?"), kind="plain-link")
        self.why.setAccessibleName(self.tr("Why are layers left out?"))
        self.why.clicked.connect(self.show_left_out)
        self.swap = push_button(self.tr("Swap?"), small=True)
        self.swap.setAccessibleName(self.tr("Swap the two models, which may be the wrong way round?"))
        self.swap.clicked.connect(self.swap_wanted)
        self.detail = wrapped_label("", "on-accent")
        self.remark = wrapped_label("", "on-accent")
        first = QHBoxLayout()
        first.addStrut(FIRST_LINE)
        first.addWidget(self.headline, 1)
        first.addWidget(self.swap)
        second = QHBoxLayout()
        second.setSpacing(4)
        second.addWidget(self.left_out)
        second.addWidget(self.why)
        second.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 7, 12, 7)
        column.setSpacing(3)
        column.addLayout(first)
        column.addLayout(second)
        column.addWidget(self.detail)
        column.addWidget(self.remark)
        column.addStretch(1)
        self.show_empty()

    def sizeHint(self) -> QSize:
        """The usual width."""
        return QSize(scaled(WIDTH), super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Narrower where the cards beside it need the room."""
        hint = super().minimumSizeHint()
        return QSize(max(scaled(LEAST_WIDTH), hint.width()), hint.height())

    def show_empty(self) -> None:
        """A model is missing."""
        self._show(self.tr("No pair yet"), (), self.tr("What the two models have in common appears here."))

    def show_working(self) -> None:
        """The models are being compared by their headers."""
        self._show(self.tr("Comparing\u2026"), (), self.tr("Matching the layers of the two models."))

    def show_pair(
        self,
        layers: int,
        left_out: tuple[LeftOut, ...],
        size_bytes: int,
        parts: str,
        remarks: Sequence[str] = (),
        estimate: Estimate | None = None,
        *,
        warning: str = "",
        alarm: bool = False,
        changed: str = "",
        swap: str = "",
        notes: Sequence[str] = (),
        files: int = 1,
    ) -> None:
        """Say what will be extracted, and what should be known before; `show_estimate` may follow.

        Args:
            layers: how many will be extracted.
            left_out: what will not, and why.
            size_bytes: of all files, at most.
            parts: of the models, in words.
            remarks: what should be known before, the most important one first.
            estimate: what it will take, where that is known.
            warning: why the LoRA may be worth little, in very few words; it takes the headline.
            alarm: the warning is so grave that it is red.
            changed: how much the fine-tuned model changed, in a few words; empty while that is not known.
            swap: why the two models may be the wrong way round; empty offers no button that swaps them.
            notes: what stands in the tooltip alone.
            files: how many will be written.
        """
        headline = plural("PairCard", "{count} layer will be extracted", "{count} layers will be extracted", layers)
        size = capital(files_at_most(size_bytes, files))
        self._show(headline.format(count=whole(layers)), left_out, size, warning=warning, alarm=alarm)
        self._pair = size_bytes, files, parts, tuple(remarks)
        self._changed, self._notes = changed, tuple(notes)
        self._offer_swap(swap)
        self._show_pair(estimate)

    def show_matched(
        self,
        layers: int,
        left_out: tuple[LeftOut, ...],
        parts: str,
        remarks: Sequence[str] = (),
        *,
        warning: str = "",
        alarm: bool = False,
        changed: str = "",
        swap: str = "",
    ) -> None:
        """The models go together; what keeps the run from starting is said elsewhere."""
        headline = plural("PairCard", "{count} layer matches", "{count} layers match", layers)
        detail = SEPARATOR.join(text for text in (parts, changed) if text)
        self._show(headline.format(count=whole(layers)), left_out, detail, warning=warning, alarm=alarm)
        self._offer_swap(swap)
        self._show_remarks(remarks)
        self.setToolTip("\n".join(remarks))
        self._describe()

    def show_estimate(self, estimate: Estimate) -> None:
        """Say of the pair that is shown what it will take."""
        if self._pair is not None:
            self._show_pair(estimate)

    def show_error(self, error: EngineError) -> None:
        """Say why the two models give no LoRA."""
        if error.code not in OF_THE_PAIR:
            self._show(self.tr("No pair yet"), (), self.tr("One of the models cannot be used."))
            return
        message, remedy = short_error_text(error)
        self._show(self.tr("\u26a0 No LoRA from these"), (), breakable(f"{message} {remedy}".strip()), bad=True)
        self.setToolTip(f"{message}\n{remedy}".strip())

    @Slot()
    def show_left_out(self) -> None:
        """Open the list of what is left out."""
        LeftOutDialog(self._left_out, self.window()).exec()

    def _show_pair(self, estimate: Estimate | None) -> None:
        assert self._pair is not None
        size_bytes, files, parts, remarks = self._pair
        problems = estimate.problems if estimate is not None else ()
        size = capital(files_at_most(size_bytes, files))
        detail = size if estimate is None else estimate_text(estimate, size_bytes, files)
        self.detail.setText(SEPARATOR.join(text for text in (detail, self._changed) if text))
        texts = [" ".join(problem_text(problem)) for problem in problems]
        blocking = any(problem.blocking for problem in problems)
        everything = [*remarks, *texts] if self._warning and not blocking else [*texts, *remarks]
        self._show_remarks(everything)
        self._set_bad(blocking)
        lines = [*everything, *(estimate_lines(estimate) if estimate is not None else ()), parts, *self._notes]
        self.setToolTip("\n".join(line for line in lines if line))
        self._describe()

    def _offer_swap(self, reason: str) -> None:
        self.swap.setVisible(bool(reason))
        self.swap.setToolTip(breakable(reason))

    def _show_remarks(self, remarks: Sequence[str]) -> None:
        remark = breakable(f"\u26a0 {remarks[0]}") if remarks else ""
        self.remark.setText(remark)
        self.remark.setVisible(bool(remark))

    def _show(
        self,
        headline: str,
        left_out: tuple[LeftOut, ...],
        detail: str,
        *,
        bad: bool = False,
        warning: str = "",
        alarm: bool = False,
    ) -> None:
        self._left_out, self._pair, self._warning, self._alarm = left_out, None, warning, alarm
        self.headline.setText(self.tr("\u26a0 {text}").format(text=warning) if warning else headline)
        count = whole(len(left_out))
        text = plural("PairCard", "{count} left out", "{count} left out", len(left_out)).format(count=count)
        if warning and left_out:
            text = self.tr("{headline}, {left_out}").format(headline=headline, left_out=text)
        elif warning:
            text = headline
        self.left_out.setText(text)
        self.left_out.setVisible(bool(left_out or warning))
        self.why.setVisible(bool(left_out))
        self.swap.hide()
        self.detail.setText(detail)
        self.remark.setText("")
        self.remark.hide()
        self.setToolTip("")
        self._set_bad(bad)
        set_look(self.detail, "tone", "bad" if bad else "")
        self._describe()

    def _set_bad(self, bad: bool) -> None:
        """Red needs the plain surface: on the coloured one it could not be read."""
        alarm = self._alarm and not bad
        caution = bool(self._warning) and not (bad or alarm)
        set_look(self, "panel", "plain" if bad or alarm or caution else "accent")
        set_look(self, "trouble", bad or alarm)
        set_look(self, "caution", caution)
        set_look(self.headline, "tone", "bad" if alarm else "warning" if caution else "")
        set_look(self.remark, "tone", "bad" if bad or alarm else "warning" if caution else "")

    def _describe(self) -> None:
        texts = (self.headline.text(), self.detail.text(), self.remark.text())
        self.setAccessibleDescription(". ".join(text.replace("\u200b", "") for text in texts if text))
