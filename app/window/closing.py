"""What the window does before it closes: asks while something goes on, stops it, and waits until that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from app.widgets.basics.dialogs import ask_stop
from app.work.controller import State

if TYPE_CHECKING:
    from app.window.main_window import MainWindow

LOOK_MS = 50


class WindowClosing(QObject):
    """Lets the window go only when nothing works in it any more; until then it keeps drawing."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._stopping = False

    def working(self) -> bool:
        """Whether something goes on that closing has to wait for; a drive that does not answer is no such thing."""
        controller = self._window.controller
        return (controller.busy and not controller.held_up) or self._window.queue_control.running

    def ready(self) -> bool:
        """Whether the window may close now. Where it may not, and the person agrees, it closes by itself later."""
        if not self.working():
            return True
        if not self._stopping and self._may_stop():
            self._stopping = True
            self._stop()
            QTimer.singleShot(0, self, self._close_when_ended)  # Qt takes no close() inside of a closeEvent
        return False

    def _may_stop(self) -> bool:
        """Ask; a verification loses nothing, so nobody is asked about it."""
        window = self._window
        if window.controller.state is State.VERIFYING:
            return True
        queue = window.queue_control
        kept = queue.keeps_layers if queue.running else window.run_control.keeps_layers()
        over = queue.ended if queue.running else window.controller.over
        return ask_stop(window, over, closing=True, kept=kept, queue=queue.running)

    def _stop(self) -> None:
        if self._window.queue_control.running:
            self._window.queue_control.stop()
        else:
            self._window.controller.stop()

    @Slot()
    def _close_when_ended(self) -> None:
        if self.working():
            QTimer.singleShot(LOOK_MS, self, self._close_when_ended)
        else:
            self._stopping = False
            self._window.close()
