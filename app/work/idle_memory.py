"""Frees the memory that is kept on the device after some idle minutes."""

from __future__ import annotations

import math

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.work.controller import Controller, State
from app.work.requests import BackgroundAnswer, MemoryKept


class KeptMemory(QObject):
    """Counts the minutes since the last run or plan.

    Attributes:
        IDLE_MS: how long blocks stay on the device while they are not needed.
        minutes_left: begun minutes until they are freed; None while nothing is counted.
    """

    IDLE_MS = 5 * 60 * 1000
    EMIT_MS = 10_000

    minutes_left = Signal(object)

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self._controller = controller
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(controller.free_memory)
        self._reminder = QTimer(self)
        self._reminder.setInterval(self.EMIT_MS)
        self._reminder.timeout.connect(self._emit_left)
        self._kept = 0
        controller.answered.connect(self._on_answer)
        controller.state_changed.connect(self._on_state)
        controller.busy_changed.connect(self._on_busy)

    @Slot(object)
    def _on_answer(self, answer: BackgroundAnswer) -> None:
        """After every plan: begin to count anew while there is something to free."""
        if isinstance(answer, MemoryKept):
            self._kept = answer.size_bytes
            self._count()

    @Slot(object)
    def _on_state(self, state: State) -> None:
        if state is State.RUNNING:
            self._stop()
            self._emit_left()

    @Slot(bool)
    def _on_busy(self, busy: bool) -> None:
        """After work that no plan follows: count where nothing is counted yet."""
        if not busy and not self._timer.isActive():
            self._count()

    def _count(self) -> None:
        if self._kept and not self._controller.busy:
            self._timer.start(self.IDLE_MS)
            self._reminder.start()
        else:
            self._stop()
        self._emit_left()

    def _stop(self) -> None:
        self._timer.stop()
        self._reminder.stop()

    @Slot()
    def _emit_left(self) -> None:
        left = math.ceil(min(self._timer.remainingTime(), self.IDLE_MS) / 60_000) if self._timer.isActive() else None
        self.minutes_left.emit(left)
