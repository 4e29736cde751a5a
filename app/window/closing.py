"""Closing the window: asks while a run works, stops it, and closes once it has ended."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QWidget

from app.widgets.basics.dialogs import ask_stop
from app.window.model import WindowModel
from app.work.controller import Controller, State
from app.work.queue_runner import QueueRunner

LOOK_MS = 50


class WindowClosing(QObject):
    """Closes the window once nothing works any more; its event loop runs until then."""

    def __init__(
        self,
        window: QWidget,
        model: WindowModel,
        controller: Controller,
        runner: QueueRunner,
    ) -> None:
        """Watch over a window.

        Args:
            window: asked to close again once everything has ended.
            model: knows whether something works.
            controller: is asked to stop.
            runner: is asked to stop while the queue works.
        """
        super().__init__(window)
        self._window, self._model, self._controller, self._runner = window, model, controller, runner
        self._stopping = False

    def ready(self) -> bool:
        """Whether the window may close now. Where it may not, and the person agrees, it closes by itself later."""
        if not self._model.working:
            return True
        if not self._stopping and self._may_stop():
            self._stopping = True
            self._stop()
            QTimer.singleShot(0, self, self._close_when_ended)  # Qt takes no close() inside of a closeEvent
        return False

    def _may_stop(self) -> bool:
        """Ask; not about a verification, which loses nothing."""
        controller = self._controller
        if controller.state is State.VERIFYING:
            return True
        queue, kept = self._model.queue_running, controller.keeps_layers
        return ask_stop(self._window, controller.busy_changed, closing=True, kept=kept, queue=queue)

    def _stop(self) -> None:
        if self._model.queue_running:
            self._runner.stop()
        else:
            self._controller.stop()

    @Slot()
    def _close_when_ended(self) -> None:
        if self._model.working:
            QTimer.singleShot(LOOK_MS, self, self._close_when_ended)
        else:
            self._stopping = False
            self._window.close()
