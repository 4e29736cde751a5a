"""A calm card that says in words how good the LoRA is, which layers fell short, and what to try next."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QEvent, Qt, Signal, Slot
from PySide6.QtWidgets import QLabel

from app.text.knee import beyond_sentence, knee_line
from app.text.noise import real_sentences
from app.text.quality import (
    Line,
    advice_line,
    experience,
    explanation,
    headline,
    mean_text,
    of_what,
    remarks,
    weakest_line,
)
from app.text.window_text import breakable
from app.widgets.basics.basics import Panel, set_look, wrapped_label
from engine.analysis.knee import Knee
from engine.analysis.quality import Quality, Step

GOOD, WARNING = "\u2713", "\u26a0"
_LAYER, _RANK = "layer:", "rank:"


class QualityPanel(Panel):
    """A headline with a mark, what its share does not speak of, and at most four lines below it.

    Attributes:
        layer_clicked: emitted with the canonical name of a layer.
        try_rank: emitted with a rank that the advice names.
    """

    layer_clicked = Signal(str)
    try_rank = Signal(int)

    def __init__(self) -> None:
        super().__init__("")
        self._lines: dict[QLabel, Line] = {}
        self.of_what = wrapped_label()
        self.weakest, self.advice, self.knee = self._line(), self._line(), self._line()
        self.remarks = wrapped_label("", "small")
        for label in (self.of_what, self.weakest, self.advice, self.knee, self.remarks):
            self.body.addWidget(label)
        self.body.addStretch(1)
        self.clear()

    def clear(self) -> None:
        """There is no LoRA to speak of yet."""
        set_look(self.title, "tone", "")
        self.title.setText(self.tr("Quality"))
        self.detail.setText("")
        self.setToolTip("")
        set_look(self.weakest, "role", "muted")
        self._show(self.weakest, Line(self.tr("After a run, read here how much of the change the LoRA keeps.")))
        self._show(self.advice, None)
        self._show(self.knee, None)
        self.of_what.hide()
        self.remarks.hide()

    def show_quality(self, quality: Quality, of: str = "", knee: Knee | None = None) -> None:
        """Speak of a finished LoRA.

        Args:
            quality: of it.
            of: names it where it is one of several.
            knee: the rank after which more ranks add little; None where there is none.
        """
        sure = quality.good and quality.level.sure
        mark = GOOD if sure else "" if quality.good else WARNING
        self.title.setText(self.tr("{mark} {text}").format(mark=mark, text=headline(quality)).strip())
        bad = quality.large_changes.unrelated
        set_look(self.title, "tone", "good" if sure else "" if quality.good else "bad" if bad else "warning")
        average = self.tr("{share} on average")
        if not quality.coverage.complete:
            average = self.tr("{share} on average of what was compared")
        text = average.format(share=mean_text(quality))
        self.detail.setText(self.tr("{name}: {text}").format(name=of, text=text) if of else text)
        self.setToolTip(" ".join(text for text in (explanation(), experience(quality)) if text))
        self.of_what.setText(of_what(quality))
        self.of_what.setVisible(bool(self.of_what.text()))
        self.of_what.setToolTip("\n".join(real_sentences(quality.noise)) if quality.noise is not None else "")
        set_look(self.of_what, "tone", "" if quality.speaks else "bad" if bad else "warning")
        set_look(self.weakest, "role", "")
        self._show(self.weakest, weakest_line(quality))
        advised, bend = advice_line(quality), knee_line(knee) if quality.speaks and not quality.all_noise else None
        if bend is not None and quality.advice is not None and quality.advice.step is Step.SMALLER_RANK:
            advised = None  # the knee says which rank is enough, and what a higher one adds
        self._show(self.advice, advised)
        self._show(self.knee, bend)
        self.knee.setToolTip(" ".join((self.tr("Try this rank below."), beyond_sentence(knee))).strip())
        self.remarks.setText(" \u00b7 ".join(remarks(quality)))
        self.remarks.setVisible(bool(self.remarks.text()))

    def changeEvent(self, event: QEvent) -> None:
        """Give the links the theme's colour, which a text takes only when it is set."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            for label, line in list(getattr(self, "_lines", {}).items()):
                label.clear()
                self._show(label, line)

    def _line(self) -> QLabel:
        label = wrapped_label()
        label.setTextFormat(Qt.TextFormat.RichText)
        label.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        label.linkActivated.connect(self._follow)
        return label

    def _show(self, label: QLabel, line: Line | None) -> None:
        label.setVisible(line is not None)
        self._lines.pop(label, None)
        if line is None:
            label.clear()
            return
        self._lines[label] = line
        anchors = (
            f'<a href="{escape(_LAYER + link.layer if link.layer else f"{_RANK}{link.rank}")}">'
            f"{escape(breakable(link.label))}</a>"
            for link in line.links
        )
        label.setText(escape(line.template).format(*anchors))
        label.setAccessibleName(line.text)
        label.setFocusPolicy(Qt.FocusPolicy.StrongFocus if line.links else Qt.FocusPolicy.NoFocus)

    @Slot(str)
    def _follow(self, target: str) -> None:
        if target.startswith(_LAYER):
            self.layer_clicked.emit(target.removeprefix(_LAYER))
        else:
            self.try_rank.emit(int(target.removeprefix(_RANK)))
