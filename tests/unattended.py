"""No test waits for a person: what stays open is closed after a while, and the test that opened it fails."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QApplication, QDialog, QWidget

PATIENCE_SECONDS = 30.0  # far more than a test that drives a dialog on purpose needs, also on a busy machine
_LOOK_MS = 200


@dataclass
class _Open:
    widget: QWidget
    since: float = field(default_factory=time.monotonic)


class Unattended(QObject):
    """Looks, also from inside a dialog's own event loop, for dialogs and menus that nobody answers.

    Attributes:
        closed: what had to be closed, in words.
    """

    def __init__(self, application: QApplication, patience: float = PATIENCE_SECONDS) -> None:
        super().__init__(application)
        self.closed: list[str] = []
        self._patience = patience
        self._open: _Open | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(_LOOK_MS)

    @Slot()
    def _look(self) -> None:
        widget = QApplication.activePopupWidget() or QApplication.activeModalWidget()
        if widget is None:
            self._open = None
        elif self._open is None or self._open.widget is not widget:
            self._open = _Open(widget)
        elif time.monotonic() - self._open.since > self._patience:
            self.closed.append(f"{type(widget).__name__} {widget.windowTitle()!r}")
            self._open = None
            if isinstance(widget, QDialog):
                widget.reject()
            else:
                widget.close()
