"""A quiet bar above everything that says what is out of the ordinary, until it is dismissed."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from app.look.icons import icon
from app.look.theme import Theme
from app.widgets.basics.basics import ElidedLabel, push_button

ICON = 18


class NoticeBar(QFrame):
    """A sign, one line of words, and a button to dismiss them; further buttons go before that.

    Attributes:
        dismissed: the person has seen it; it has hidden itself.
    """

    dismissed = Signal()

    def __init__(self, theme: Theme, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setProperty("panel", "plain")
        self.setAccessibleName(text)
        self._sign = QLabel()
        self._sign.setFixedSize(ICON, ICON)
        self.text = ElidedLabel(text, mode=Qt.TextElideMode.ElideRight)
        self.dismiss = push_button(self.tr("Dismiss"), kind="quiet", small=True)
        self.dismiss.clicked.connect(self.hide)
        self.dismiss.clicked.connect(self.dismissed)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(16, 8, 12, 8)
        self._row.setSpacing(8)
        self._row.addWidget(self._sign)
        self._row.addWidget(self.text, 1)
        self._row.addWidget(self.dismiss)
        self._recolour()

    def offer(self, button: QPushButton) -> None:
        """Put a button behind the others and before the one that dismisses."""
        self._row.insertWidget(self._row.count() - 1, button)

    def changeEvent(self, event: QEvent) -> None:
        """Draw the sign in the new theme's colour."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_row"):
            self._recolour()

    def _recolour(self) -> None:
        drawing = icon("warning", self._theme.tokens.warning_text, ICON)
        self._sign.setPixmap(drawing.pixmap(QSize(ICON, ICON), self.devicePixelRatioF()))
