"""Tells on the desktop that a run has ended, when its window is not the one that the person looks at."""

from __future__ import annotations

import logging

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

from app.look.icons import app_icon
from app.text.outputs import all_keep, names_of, size_written
from app.text.window_text import short_error_text
from engine.errors import EngineError
from engine.results import ExtractionResult

LOG = logging.getLogger("lora_extractor")
SHOWN_MS = 10_000
ALERT_MS = 0  # until the window is looked at


class Notifier(QObject):
    """Notifies about one window. Its icon is in the tray only while a notification is shown.

    Attributes:
        enabled: whether the user wants notifications.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._tray: QSystemTrayIcon | None = None
        self.enabled = True
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SHOWN_MS)
        self._timer.timeout.connect(self.clear)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.aboutToQuit.connect(self.clear)

    @Slot(object)
    def on_finished(self, result: ExtractionResult) -> None:
        """A run has ended well."""
        if not result.outputs:
            return
        outputs = result.outputs
        names = names_of([output.path for output in outputs])
        text = self.tr("{name}: {size}, {kept}")
        self.notify(
            self.tr("The LoRA is ready") if len(outputs) == 1 else self.tr("The LoRAs are ready"),
            text.format(name=names, size=size_written(outputs), kept=all_keep(outputs, weakest=False)),
        )

    @Slot(object)
    def on_failed(self, error: EngineError) -> None:
        """A run has ended with an error."""
        self.notify(self.tr("The extraction failed"), short_error_text(error)[0], bad=True)

    def notify(self, title: str, text: str, *, bad: bool = False) -> None:
        """Show a notification, unless the person sees the window anyway; never raises."""
        if not self.enabled or self._window.isActiveWindow():
            return
        try:
            if QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages():
                self._show(title, text, bad)
            else:
                QApplication.alert(self._window, ALERT_MS)
        except Exception:  # a desktop without manners must not cost the result
            LOG.exception("The notification could not be shown")

    @Slot()
    def clear(self) -> None:
        """Take the icon out of the tray."""
        self._timer.stop()
        tray, self._tray = self._tray, None
        if tray is not None:
            tray.hide()
            tray.deleteLater()

    def _show(self, title: str, text: str, bad: bool) -> None:
        self.clear()
        tray = QSystemTrayIcon(app_icon(), self)
        self._tray = tray
        tray.setToolTip(title)
        tray.messageClicked.connect(self._clicked)
        tray.activated.connect(self._clicked)
        tray.show()
        kind = QSystemTrayIcon.MessageIcon.Warning if bad else QSystemTrayIcon.MessageIcon.Information
        tray.showMessage(title, text, kind, SHOWN_MS)
        self._timer.start()

    @Slot()
    def _clicked(self) -> None:
        self.clear()
        if self._window.isMinimized():
            self._window.showNormal()
        self._window.raise_()
        self._window.activateWindow()
