"""Gives the memory that is kept on the device back to other programs after some idle minutes."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Slot

from app.controller import Controller, State


class KeptMemory(QObject):
    """Counts the minutes since the last run or plan.

    Attributes:
        IDLE_MS: how long blocks stay on the device while nobody needs them.
    """

    IDLE_MS = 5 * 60 * 1000

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self._controller = controller
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(controller.free_memory)
        controller.memory_kept.connect(self._on_kept)
        controller.state_changed.connect(self._on_state)

    @Slot(object)
    def _on_kept(self, size: int) -> None:
        """Told after every plan: begin to count anew while there is something to free."""
        if size and not self._controller.busy:
            self._timer.start(self.IDLE_MS)
        else:
            self._timer.stop()

    @Slot(object)
    def _on_state(self, state: State) -> None:
        if state is State.RUNNING:
            self._timer.stop()
