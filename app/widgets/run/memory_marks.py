"""Marks in the memory plot where a run made room: a dotted line, and a symbol whose shape says what was done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QColor

from app.look.tokens import Tokens
from app.text.memory import batch_size_text, offloaded_text, out_of_memory_text
from engine.events import BatchSizeChanged, Event, Offloaded, OutOfMemory

MarkKind = Literal["offloaded", "batch", "out_of_memory"]
KINDS: tuple[MarkKind, ...] = ("offloaded", "out_of_memory", "batch")  # rows of symbols, from above
SYMBOLS: dict[MarkKind, str] = {"offloaded": "o", "batch": "t", "out_of_memory": "x"}
TOKENS: dict[MarkKind, str] = {"offloaded": "warning", "batch": "text", "out_of_memory": "bad"}
SYMBOL_PIXELS = 9
MARKS_KEPT = 500  # of each kind; more could not be distinguished


@dataclass(frozen=True)
class Mark:
    """When something was done for want of memory, and what, in words."""

    seconds: float
    kind: MarkKind
    text: str


def mark_of(event: Event) -> Mark | None:
    """The mark for an event; most have none."""
    if isinstance(event, Offloaded):
        return Mark(event.seconds, "offloaded", offloaded_text(event))
    if isinstance(event, BatchSizeChanged):
        return Mark(event.seconds, "batch", batch_size_text(event))
    if isinstance(event, OutOfMemory):
        return Mark(event.seconds, "out_of_memory", out_of_memory_text(event))
    return None


def mark_title(kind: MarkKind) -> str:
    """What a kind of mark stands for, as the legend says it."""
    return {
        "offloaded": QCoreApplication.translate("marks", "offloaded"),
        "batch": QCoreApplication.translate("marks", "batch changed"),
        "out_of_memory": QCoreApplication.translate("marks", "out of memory"),
    }[kind]


class EventMarks:
    """The marks of one plot. Its items are made once and get new data."""

    def __init__(self, plot: pg.PlotWidget) -> None:
        self._marks: dict[MarkKind, deque[Mark]] = {kind: deque(maxlen=MARKS_KEPT) for kind in KINDS}
        self._counts = dict.fromkeys(KINDS, 0)
        self._top, self._pixel = 0.0, 0.0
        self.lines = {kind: plot.plot(connect="pairs", skipFiniteCheck=True) for kind in KINDS}
        self.symbols = {
            kind: pg.ScatterPlotItem(symbol=SYMBOLS[kind], size=SYMBOL_PIXELS, pxMode=True, antialias=True)
            for kind in KINDS
        }
        for item in self.symbols.values():
            item.setZValue(10)
            plot.addItem(item)

    def count(self, kind: MarkKind) -> int:
        """How many of a kind there were in this run."""
        return self._counts[kind]

    def clear(self) -> None:
        """Forget the last run's marks."""
        for kind in KINDS:
            self._marks[kind].clear()
            self._counts[kind] = 0
            self._draw(kind)

    def add(self, mark: Mark) -> None:
        """Draw one more mark."""
        self._marks[mark.kind].append(mark)
        self._counts[mark.kind] += 1
        self._draw(mark.kind)

    def place(self, top: float, pixel: float) -> None:
        """Draw the symbols below the upper edge, each kind in a row of its own: simultaneous events stay apart.

        Args:
            top: the upper edge, in the plot's units.
            pixel: the height of a pixel in them.
        """
        if (top, pixel) != (self._top, self._pixel):
            self._top, self._pixel = top, pixel
            for kind in KINDS:
                self._draw(kind)

    def near(self, seconds: float, within: float) -> tuple[Mark, ...]:
        """The marks around a moment, in the order of time."""
        found = [mark for mark in self._all() if abs(mark.seconds - seconds) <= within]
        return tuple(sorted(found, key=lambda mark: mark.seconds))

    def restyle(self, tokens: Tokens) -> None:
        """Take the theme's colours."""
        for kind in KINDS:
            colour = QColor(getattr(tokens, TOKENS[kind]))
            self.lines[kind].setPen(pg.mkPen(colour, width=1, style=Qt.PenStyle.DotLine))
            self.symbols[kind].setBrush(pg.mkBrush(colour))
            self.symbols[kind].setPen(pg.mkPen(None))

    def _all(self) -> Iterable[Mark]:
        return (mark for marks in self._marks.values() for mark in marks)

    def _draw(self, kind: MarkKind) -> None:
        times = np.array([mark.seconds for mark in self._marks[kind]], dtype=float)
        height = self._top - (KINDS.index(kind) + 0.6) * SYMBOL_PIXELS * self._pixel
        self.lines[kind].setData(np.repeat(times, 2), np.tile([0.0, height], times.size))
        self.symbols[kind].setData(times, np.full(times.size, height))
