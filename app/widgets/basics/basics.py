"""The plain building blocks that every panel of the window is made of."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Slot
from PySide6.QtGui import QColor, QFontMetrics, QLinearGradient, QPainter, QPaintEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

FADE = 24  # height of the hint that something goes on below
USUAL_LINE = 16  # height in pixels of a line in the usual system fonts


def set_look(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet looks at, and restyle the widget when it changed."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    widget.update()


def scaled(pixels: int) -> int:
    """A width that was chosen for usual text, grown with the system's font where that is larger."""
    return round(pixels * max(1.0, QFontMetrics(QApplication.font()).height() / USUAL_LINE))


def icon_size(pixels: int) -> QSize:
    """The size of an icon that was chosen for usual text, grown with the system's font."""
    return QSize(scaled(pixels), scaled(pixels))


def text_label(text: str = "", role: str = "") -> QLabel:
    """A label in one of the style sheet's text roles."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        label.setProperty("role", role)
    return label


def wrapped_label(text: str = "", role: str = "") -> QLabel:
    """A label that breaks its text into lines."""
    label = text_label(text, role)
    label.setWordWrap(True)
    label.setSizePolicy(growing_policy())
    return label


def growing_policy() -> QSizePolicy:
    """Any width will do, and the text decides on the height."""
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)
    return policy


def push_button(text: str, *, kind: str = "", small: bool = False) -> QPushButton:
    """A button with our look; its accessible name is its text."""
    button = QPushButton(text)
    button.setAccessibleName(text)
    button.setAutoDefault(False)
    if kind:
        button.setProperty("kind", kind)
    if small:
        button.setProperty("compact", True)
    return button


def let_shrink(control: QWidget, least: int, most: int | None = None) -> None:
    """Let a control with text be narrower than its text where there is no room, down to a width for usual text.

    Args:
        control: a combo box or a field.
        least: pixels with usual text; larger text takes more.
        most: the largest width, likewise; None where the control says it itself.
    """
    control.setMinimumWidth(scaled(least))
    if most is not None:
        control.setMaximumWidth(scaled(most))


class LinkButton(QPushButton):
    """A button exactly as large as its text, so that links share one baseline."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setAccessibleName(text)
        self.setAutoDefault(False)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Text and underline."""
        self.ensurePolished()
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self.text()) + 2, metrics.height() + 4)

    def minimumSizeHint(self) -> QSize:
        """Text and underline."""
        return self.sizeHint()


def link_button(text: str, *, kind: str = "link") -> LinkButton:
    """A button that looks like a link."""
    button = LinkButton(text)
    button.setProperty("kind", kind)
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return button


class ElidedLabel(QLabel):
    """One line of text that shortens itself to the space there is; the tooltip has it whole."""

    def __init__(
        self, text: str = "", role: str = "", *, mode: Qt.TextElideMode = Qt.TextElideMode.ElideMiddle
    ) -> None:
        super().__init__(text)
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        if role:
            self.setProperty("role", role)

    def setText(self, text: str) -> None:
        """Show a text; an unchanged one costs nothing."""
        if text != self.text():
            super().setText(text)
            self._update_tooltip()

    def set_wrapping(self, wrapping: bool) -> None:
        """Break the text into lines instead of shortening it, or go back to one line."""
        if wrapping == self.wordWrap():
            return
        self.setWordWrap(wrapping)
        one_line = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setSizePolicy(growing_policy() if wrapping else one_line)
        self.updateGeometry()

    def set_eliding(self, mode: Qt.TextElideMode) -> None:
        """Shorten at another place from now on."""
        if mode is not self._mode:
            self._mode = mode
            self.update()

    def minimumSizeHint(self) -> QSize:
        """Narrow: any width will do."""
        return QSize(24, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what fits."""
        if self.wordWrap():
            super().paintEvent(event)
            return
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        area = self.contentsRect()
        text = self.fontMetrics().elidedText(self.text(), self._mode, area.width())
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Offer the tooltip only where something is hidden."""
        super().resizeEvent(event)
        self._update_tooltip()

    def _update_tooltip(self) -> None:
        hidden = QFontMetrics(self.font()).horizontalAdvance(self.text()) > self.width()
        self.setToolTip(self.text() if hidden and not self.wordWrap() else "")


class Panel(QFrame):
    """A rounded surface with a title, a line of detail beside it, and a place for links on the right.

    Attributes:
        body: the layout for the panel's content.
        header: the layout of its first line.
    """

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "plain")
        self.title = text_label(title, "title")
        self.detail = ElidedLabel("", "small", mode=Qt.TextElideMode.ElideRight)
        self.header = QHBoxLayout()
        self.header.setSpacing(12)
        self.header.addStrut(24)
        self.header.addWidget(self.title)
        self.header.addWidget(self.detail, 1)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(16, 6, 16, 8)
        self.body.setSpacing(4)
        self.body.addLayout(self.header)


class QuietScroll(QScrollArea):
    """Shows its content as large as there is room for, and scrolls what does not fit; it has no look of its own."""

    def __init__(self, content: QWidget, name: str) -> None:
        super().__init__()
        for part in (self, content):
            part.setProperty("surface", "clear")
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setWidget(content)
        self.viewport().setAutoFillBackground(False)
        content.setAutoFillBackground(False)
        self._fade = _Fade(self)
        self.verticalScrollBar().valueChanged.connect(self._hint)
        self.verticalScrollBar().rangeChanged.connect(self._hint)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the hint at the lower edge."""
        super().resizeEvent(event)
        self._hint()

    @Slot()
    def _hint(self) -> None:
        """Say that there is more below."""
        bar, seen = self.verticalScrollBar(), self.viewport().geometry()
        self._fade.setGeometry(seen.left(), seen.bottom() + 1 - FADE, seen.width(), FADE)
        self._fade.setVisible(bar.value() < bar.maximum())
        self._fade.raise_()

    def sizeHint(self) -> QSize:
        """As large as the content would like to be."""
        content = self.widget()
        return content.sizeHint() if content is not None else super().sizeHint()


class _Fade(QWidget):
    """The lower edge of something that goes on below: it fades into the window."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """From nothing to the window's colour."""
        below = self.palette().color(QPalette.ColorRole.Window)
        above = QColor(below)
        above.setAlpha(0)
        fading = QLinearGradient(0, 0, 0, self.height())
        fading.setColorAt(0, above)
        fading.setColorAt(1, below)
        QPainter(self).fillRect(self.rect(), fading)


class WheelGuard(QObject):
    """Keeps the wheel for scrolling: a control takes it only while it has the focus."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Swallow wheel events of controls without focus and hand them to the scroll area."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False
