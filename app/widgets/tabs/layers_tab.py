"""The tab with the whole table of layers, and below it the spectra of those that are chosen."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from app.look.theme import Theme
from app.widgets.layers.layer_choice import LayerChoice
from app.widgets.layers.layer_model import LayerModel
from app.widgets.layers.layer_table import LayersPanel
from app.widgets.spectrum.panel import SpectrumPanel

SHARES = (330, 210)


class LayersTab(QWidget):
    """A table and a plot with a handle between them.

    Attributes:
        table, spectrum: its parts.
    """

    def __init__(self, theme: Theme, model: LayerModel, choice: LayerChoice) -> None:
        super().__init__()
        self.table = LayersPanel(theme, model, choice)
        self.spectrum = SpectrumPanel(theme, model, choice)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.setAccessibleName(self.tr("Table and spectrum"))
        parts.setHandleWidth(10)
        parts.setChildrenCollapsible(False)
        parts.addWidget(self.table)
        parts.addWidget(self.spectrum)
        parts.setSizes(SHARES)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(parts)
