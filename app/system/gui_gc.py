"""Python's garbage collector on the GUI thread only: it must not destroy Qt objects while another thread runs it.

Python collects on whichever thread happens to allocate. Workers allocate all the time, and a widget in a reference
cycle that is destroyed on a worker's thread takes the program down.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer, Slot

INTERVAL_MS = 500


class GuiThreadCollector(QObject):
    """Collects from the event loop of its thread, by Python's own thresholds, instead of anywhere at any time."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.collect)
        self._timer.start(INTERVAL_MS)

    @Slot()
    def collect(self) -> None:
        """Collect the oldest generation that is due, if any."""
        due = [
            number
            for number, (count, most) in enumerate(zip(gc.get_count(), gc.get_threshold(), strict=True))
            if 0 < most < count
        ]
        if due and due[0] == 0:
            gc.collect(max(due))
