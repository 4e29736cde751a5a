"""The first tab: memory over time, batches by stage, and the newest layers, while a run goes on."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.look.theme import Theme
from app.widgets.layers.layer_model import LayerModel
from app.widgets.layers.layer_table import NewestLayers
from app.widgets.run.batch_panel import BatchPanel
from app.widgets.run.memory_panel import MemoryPanel
from engine.events import Event, Planned


class RunPanel(QWidget):
    """Shows a run as it goes.

    Attributes:
        memory, batches, layers: its parts.
    """

    def __init__(self, theme: Theme, layers: LayerModel) -> None:
        super().__init__()
        self.memory = MemoryPanel(theme)
        self.batches = BatchPanel(theme)
        self.layers = NewestLayers(theme, layers)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(self.memory, 5)
        column.addWidget(self.batches, 4)
        column.addWidget(self.layers, 4)

    def clear(self) -> None:
        """Show nothing of the last run any more."""
        self.memory.clear()
        self.batches.clear()
        self.layers.clear()

    def take(self, event: Event) -> None:
        """Show an event of the run."""
        if isinstance(event, Planned):
            self.layers.start(event.layers)
        self.memory.take(event)
        self.batches.take(event)
