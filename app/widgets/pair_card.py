"""The third card: what the two models give together."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from app.messages import format_bytes
from app.widgets.basics import ElidedLabel, link_button, set_look, text_label, wrapped_label
from app.widgets.left_out_dialog import LeftOutDialog
from app.wording import OF_THE_PAIR, breakable, short_error_text
from engine.errors import EngineError
from engine.results import LeftOut


class PairCard(QFrame):
    """How many layers will be extracted, what is left out and why, how large the file gets."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "accent")
        self.setAccessibleName(self.tr("The pair"))
        self._left_out: tuple[LeftOut, ...] = ()
        self.headline = ElidedLabel("", "title", mode=Qt.TextElideMode.ElideRight)
        self.left_out = text_label("", "")
        self.why = link_button(self.tr("why?"), kind="plain-link")
        self.why.setAccessibleName(self.tr("Why are layers left out?"))
        self.why.clicked.connect(self.show_left_out)
        self.detail = wrapped_label("")
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.left_out)
        row.addWidget(self.why)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 16, 6)
        column.setSpacing(3)
        column.addWidget(self.headline)
        column.addLayout(row)
        column.addWidget(self.detail)
        column.addStretch(1)
        for label in (self.left_out, self.detail):
            set_look(label, "role", "on-accent")
        self.show_empty()

    def show_empty(self) -> None:
        """A model is missing."""
        self._show(self.tr("No pair yet"), (), self.tr("What the two models have in common appears here."))

    def show_working(self) -> None:
        """The models are being compared by their headers."""
        self._show(self.tr("Comparing\u2026"), (), self.tr("Matching the layers of the two models."))

    def show_pair(
        self, layers: int, left_out: tuple[LeftOut, ...], size_bytes: int, parts: str, remarks: Sequence[str] = ()
    ) -> None:
        """Say what will be extracted, and what should be known before."""
        headline = self.tr("1 layer will be extracted")
        if layers != 1:
            headline = self.tr("{count} layers will be extracted").format(count=f"{layers:,}")
        detail = self.tr("File: at most {size}").format(size=format_bytes(size_bytes)) + (
            f" \u00b7 {parts}" if parts else ""
        )
        if remarks:
            detail += breakable(f"\n\u26a0 {remarks[0]}")
        self._show(headline, left_out, detail)
        self.setToolTip("\n".join(remarks))

    def show_error(self, error: EngineError) -> None:
        """Say why the two models give no LoRA."""
        if error.code not in OF_THE_PAIR:
            self._show(self.tr("No pair yet"), (), self.tr("One of the models cannot be used."))
            return
        message, remedy = short_error_text(error)
        self._show(self.tr("\u26a0 No LoRA from these"), (), breakable(f"{message} {remedy}".strip()))
        self.setToolTip(f"{message}\n{remedy}".strip())

    @Slot()
    def show_left_out(self) -> None:
        """Open the list of what is left out."""
        LeftOutDialog(self._left_out, self.window()).exec()

    def _show(self, headline: str, left_out: tuple[LeftOut, ...], detail: str) -> None:
        self._left_out = left_out
        self.headline.setText(headline)
        self.left_out.setText(self.tr("{count} left out").format(count=len(left_out)))
        self.left_out.setVisible(bool(left_out))
        self.why.setVisible(bool(left_out))
        self.detail.setText(detail)
        self.setToolTip("")
        self.setAccessibleDescription(f"{headline}. {detail}")
