"""A panel with a plot: what it shows in words above it, or a hint while there is none."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QWidget

from app.widgets.basics.basics import Panel, text_label


class PlotPanel(Panel):
    """A panel with a plot in it, or the words that say when there will be one.

    Attributes:
        line: the layout of the line between header and plot; shown with the plot.
    """

    def __init__(self, title: str, hint: str) -> None:
        super().__init__(title)
        self._hint: QLabel = text_label(hint, "muted")
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint.setWordWrap(True)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._hint)
        self._line_widget = QWidget()
        self.line = QHBoxLayout(self._line_widget)
        self.line.setContentsMargins(0, 0, 0, 0)
        self.line.setSpacing(14)
        self.line.addStrut(18)
        self._line_widget.hide()
        self.body.addWidget(self._line_widget)
        self.body.addWidget(self._stack, 1)

    def set_plot(self, plot: QWidget) -> None:
        """Give it the plot."""
        self._stack.addWidget(plot)

    def show_plot(self) -> None:
        """From now on the plot is shown."""
        self._stack.setCurrentIndex(1)
        self._line_widget.show()

    def clear(self) -> None:
        """Back to the words."""
        self._stack.setCurrentIndex(0)
        self._line_widget.hide()
        self.detail.setText("")
