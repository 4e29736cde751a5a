"""The device in the panel of the hardware: which one will compute, and the memory kept on it for a next extraction."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Slot

from app.text.log_lines import Level
from app.text.notices import format_bytes
from app.widgets.settings.hardware_panel import HardwarePanel
from app.window.model import WindowModel
from app.work.controller import Controller
from app.work.idle_memory import KeptMemory
from app.work.requests import BackgroundAnswer, DeviceFound, DeviceMissing, MemoryFreed, MemoryKept, RunAnswer
from engine.events import Planned
from engine.settings import HardwareSettings

FIRST_QUESTION_MS = 1500


class WindowDevice(QObject):
    """Asks which device would compute, and shows it with the memory that is kept there.

    Attributes:
        kept_memory: frees what is kept after some idle minutes.
    """

    def __init__(self, parent: QObject, model: WindowModel, controller: Controller, panel: HardwarePanel) -> None:
        super().__init__(parent)
        self._model, self._controller, self._panel = model, controller, panel
        self._asked: tuple[str, int | None] | None = None
        self.kept_memory = KeptMemory(controller)
        panel.free_clicked.connect(controller.free_memory)
        self.kept_memory.minutes_left.connect(panel.show_minutes_left)
        controller.answered.connect(self._on_answer)
        controller.run_event.connect(self._on_event)

    def ask_later(self) -> None:
        """Ask for the first time, once the window has been drawn and the machine has time."""
        QTimer.singleShot(FIRST_QUESTION_MS, self, self._ask_first)

    @Slot()
    def ask_again(self) -> None:
        """Ask where another device or budget was chosen since the last question."""
        hardware = self._model.request.hardware
        if hardware is None or self._asked is None:
            return
        if self._asked != (hardware.device, hardware.memory_budget):
            self._asked = (hardware.device, hardware.memory_budget)
            self._controller.describe_device(hardware)

    @Slot()
    def _ask_first(self) -> None:
        hardware = self._model.request.hardware or HardwareSettings()
        self._asked = (hardware.device, hardware.memory_budget)
        if not self._controller.busy:  # a run says itself what computes
            self._controller.describe_device(hardware)

    @Slot(object)
    def _on_answer(self, answer: BackgroundAnswer) -> None:
        match answer:
            case DeviceFound(device=device):
                self._panel.show_device(device)
            case DeviceMissing(error=error):
                self._panel.show_missing_device(error)
            case MemoryKept(size):
                self._panel.show_kept_memory(size)
            case MemoryFreed(size):
                self._on_freed(size)

    @Slot(object)
    def _on_event(self, event: RunAnswer) -> None:
        if isinstance(event, Planned):
            self._panel.show_planned_device(event)

    def _on_freed(self, size: int) -> None:
        if size:
            text = self.tr("Freed {size} that was kept on the device for a next extraction")
            self._model.write(Level.INFO, text.format(size=format_bytes(size)))
        else:
            self._model.write(Level.WARNING, self.tr("What is kept on the device could not be freed"))
