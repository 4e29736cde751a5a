"""Sliders as we want them: a thin line, a ringed handle, a number beside it, stops with names."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QDoubleSpinBox, QGridLayout, QHBoxLayout, QSizePolicy, QSlider, QSpinBox, QWidget

from app.widgets.basics.basics import set_look, text_label

HANDLE = 8.0


class Slider(QSlider):
    """A horizontal slider that paints itself in the palette's colours and jumps to where it is clicked."""

    def __init__(self, *, dots: bool = False) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._dots = dots
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumWidth(60)

    def sizeHint(self) -> QSize:
        """As high as the handle and its focus ring."""
        return QSize(120, 24)

    def minimumSizeHint(self) -> QSize:
        """As high as the handle and its focus ring."""
        return QSize(60, 24)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Jump to the click and drag on from there."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self.setValue(self._value_at(event.position().x()))
            event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the pointer."""
        if self.isSliderDown():
            self.setValue(self._value_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self.setSliderDown(False)
        event.accept()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Line, covered part, stops, handle with its ring."""
        palette = self.palette()
        accent = palette.color(QPalette.ColorRole.Highlight)
        line = palette.color(QPalette.ColorRole.Mid)
        panel = palette.color(QPalette.ColorRole.Base)
        if not self.isEnabled():
            accent = palette.color(QPalette.ColorRole.PlaceholderText)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        middle, x = self.height() / 2, self._position(self.value())
        inset = HANDLE + 1 if self._dots else 0
        self._rail(painter, line, inset, self.width() - inset)
        self._rail(painter, accent, inset, x)
        if self._dots:
            for stop in range(self.minimum(), self.maximum() + 1):
                painter.setBrush(accent if stop <= self.value() else line)
                painter.drawEllipse(QPointF(self._position(stop), middle), 4, 4)
        ring = QPen(accent, 2.0 if self.hasFocus() else 1.2)
        if self.hasFocus():
            ring.setColor(palette.color(QPalette.ColorRole.WindowText))
        painter.setPen(ring)
        painter.setBrush(panel)
        painter.drawEllipse(QPointF(x, middle), HANDLE, HANDLE)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(accent)
        painter.drawEllipse(QPointF(x, middle), HANDLE - 3.2, HANDLE - 3.2)

    def _rail(self, painter: QPainter, colour: QColor, start: float, end: float) -> None:
        painter.setBrush(colour)
        painter.drawRoundedRect(QRectF(start, self.height() / 2 - 2, end - start, 4), 2, 2)

    def _position(self, value: int) -> float:
        span = max(1, self.maximum() - self.minimum())
        return HANDLE + 1 + (value - self.minimum()) / span * (self.width() - 2 * HANDLE - 2)

    def _value_at(self, x: float) -> int:
        share = (x - HANDLE - 1) / max(1.0, self.width() - 2 * HANDLE - 2)
        return round(self.minimum() + min(1.0, max(0.0, share)) * (self.maximum() - self.minimum()))


class NumberSlider(QWidget):
    """A slider and the number itself, each following the other.

    Whole numbers on a logarithmic scale move in stops; every number in between can be typed.
    """

    changed = Signal()

    def __init__(
        self, minimum: float, maximum: float, *, step: float = 1.0, stops: Sequence[int] = (), percent: bool = False
    ) -> None:
        super().__init__()
        self._boxes: dict[type[QSpinBox] | type[QDoubleSpinBox], QSpinBox | QDoubleSpinBox] = {}
        self.slider = Slider()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(10)
        self._row.addWidget(self.slider, 1)
        self.setFocusProxy(self.slider)  # the first of the two: Tab would pass over what comes before the proxy
        self.number: QSpinBox | QDoubleSpinBox
        self.set_range(minimum, maximum, step=step, stops=stops, percent=percent)
        self.slider.valueChanged.connect(self._slider_changed)

    def set_range(
        self,
        minimum: float,
        maximum: float,
        *,
        step: float = 1.0,
        stops: Sequence[int] = (),
        percent: bool = False,
        unit: str = "",
    ) -> None:
        """Stand for another quantity from now on, without emitting a signal; `set_value` and `set_names` should follow.

        Args:
            minimum: the least number.
            maximum: the largest number.
            step: between two places of the slider; from 1 on only whole numbers make sense.
            stops: the numbers that the slider stops at; empty where it moves evenly.
            percent: whether the number is shown as a percentage.
            unit: what is written behind the number.
        """
        self._minimum, self._step, self._stops = minimum, step, tuple(stops)
        self._whole = step >= 1.0
        self._factor = 100.0 if percent else 1.0
        self.slider.blockSignals(True)
        self.slider.setRange(0, len(self._stops) - 1 if self._stops else round((maximum - minimum) / step))
        self.slider.blockSignals(False)
        box = self._box(QSpinBox if self._whole or percent else QDoubleSpinBox)
        box.blockSignals(True)
        if isinstance(box, QSpinBox):
            box.setRange(round(minimum * self._factor), round(maximum * self._factor))
            box.setSingleStep(max(1, round(step * self._factor)))
        else:
            box.setDecimals(3)
            box.setRange(minimum, maximum)
            box.setSingleStep(step)
        box.setSuffix(" %" if percent else unit)
        box.blockSignals(False)
        room = [("0.0000", 18), (f"{round(maximum)}{unit}", 24)] if unit else [("0.0000", 18)]
        box.setFixedWidth(max(58, *(box.fontMetrics().horizontalAdvance(text) + space for text, space in room)))
        self._show_box(box)

    def _box(self, kind: type[QSpinBox] | type[QDoubleSpinBox]) -> QSpinBox | QDoubleSpinBox:
        """The field for whole numbers or for others; it is kept, as the tab order does not survive a replacement."""
        box = self._boxes.get(kind)
        if box is None:
            box = self._boxes[kind] = kind()
            box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
            box.setAlignment(Qt.AlignmentFlag.AlignRight)
            box.setFocusPolicy(self.slider.focusPolicy())
            box.valueChanged.connect(self._number_changed)
            self._row.addWidget(box)
            QWidget.setTabOrder(self.slider, box)
        return box

    def _show_box(self, box: QSpinBox | QDoubleSpinBox) -> None:
        self.number = box
        for other in self._boxes.values():
            other.setVisible(other is box)

    def value(self) -> float:
        """The number; whole where only whole numbers make sense."""
        value = self.number.value() / self._factor
        return round(value) if self._whole and self._factor == 1.0 else round(value, 6)

    def set_value(self, value: float) -> None:
        """Show a number without emitting a signal."""
        self.number.blockSignals(True)
        scaled = value * self._factor
        if isinstance(self.number, QSpinBox):
            self.number.setValue(round(scaled))
        else:
            self.number.setValue(scaled)
        self.number.blockSignals(False)
        self._move_slider()

    def set_names(self, name: str, description: str) -> None:
        """Name both parts for screen readers and give both the tooltip."""
        for part in (self.slider, self.number):
            part.setAccessibleName(name)
            part.setAccessibleDescription(description)
            part.setToolTip(description)

    def _move_slider(self) -> None:
        value = self.number.value() / self._factor
        if self._stops:
            position = min(range(len(self._stops)), key=lambda index: abs(self._stops[index] - value))
        else:
            position = round((value - self._minimum) / self._step)
        self.slider.blockSignals(True)
        self.slider.setValue(position)
        self.slider.blockSignals(False)
        self.slider.update()

    @Slot()
    def _number_changed(self) -> None:
        self._move_slider()
        self.changed.emit()

    @Slot(int)
    def _slider_changed(self, position: int) -> None:
        value = self._stops[position] if self._stops else self._minimum + position * self._step
        if abs(value - self.value()) < 1e-9:
            return
        self.set_value(value)
        self.changed.emit()


class StopSlider(QWidget):
    """A choice of few, as a slider with a named stop for each."""

    changed = Signal()

    def __init__(self, choices: Sequence[str], titles: Sequence[str]) -> None:
        super().__init__()
        self._choices = tuple(choices)
        self.slider = Slider(dots=True)
        self.slider.setRange(0, len(self._choices) - 1)
        self.slider.setPageStep(1)
        self.slider.valueChanged.connect(self._moved)
        self._labels = [text_label(title, "stop") for title in titles]
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 2, 0, 0)
        grid.setVerticalSpacing(0)
        grid.addWidget(self.slider, 0, 0, 1, len(self._labels))
        for column, label in enumerate(self._labels):
            edge = {0: Qt.AlignmentFlag.AlignLeft, len(self._labels) - 1: Qt.AlignmentFlag.AlignRight}
            label.setAlignment(edge.get(column, Qt.AlignmentFlag.AlignHCenter))
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            grid.addWidget(label, 1, column)
            grid.setColumnStretch(column, 1)
        self.setFocusProxy(self.slider)
        self._mark()

    def value(self) -> str:
        """The chosen one."""
        return self._choices[self.slider.value()]

    def set_value(self, value: str) -> None:
        """Show a choice without emitting a signal."""
        self.slider.blockSignals(True)
        self.slider.setValue(self._choices.index(value))
        self.slider.blockSignals(False)
        self._mark()

    def set_names(self, name: str, description: str) -> None:
        """Name it for screen readers and give it the tooltip."""
        self.slider.setAccessibleName(name)
        self.slider.setAccessibleDescription(description)
        self.slider.setToolTip(description)

    @Slot()
    def _moved(self) -> None:
        self._mark()
        self.changed.emit()

    def _mark(self) -> None:
        for index, label in enumerate(self._labels):
            set_look(label, "active", index == self.slider.value())
        self.slider.update()
