"""Where everything sits in the window: models above, settings left, the run right, the bar below."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from app.profiles import ProfileStore
from app.theme import Theme
from app.widgets.basics import scaled
from app.widgets.bottom_bar import BottomBar
from app.widgets.hardware_panel import HardwarePanel
from app.widgets.models_row import ModelsRow
from app.widgets.options import OptionsPanel
from app.widgets.run_view import RunView

COLUMN_WIDTH = 324
SCROLL_BAR = 12


class WindowFrame(QWidget):
    """The central widget.

    Attributes:
        models, options, hardware, run, tabs, bar: its parts.
    """

    def __init__(self, theme: Theme, profiles: ProfileStore) -> None:
        super().__init__()
        self.models = ModelsRow()
        self.options = OptionsPanel()
        self.hardware = HardwarePanel(profiles)
        self.tabs = QTabWidget()
        self.run = RunView(theme)
        self.tabs.setAccessibleName(self.tr("Views of the run"))
        self.tabs.tabBar().setAccessibleName(self.tr("Views of the run"))
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(_below_tab(self.run.panel), self.tr("Memory && time"))
        self.tabs.addTab(_below_tab(self.run.layers), self.tr("Layers"))
        self.tabs.addTab(_below_tab(self.run.log), self.tr("Log"))
        self.bar = BottomBar()
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self._settings_column())
        middle.addWidget(self.tabs, 1)
        upper = QVBoxLayout()
        upper.setContentsMargins(16, 10, 16, 8)
        upper.setSpacing(10)
        upper.addWidget(self.models)
        upper.addLayout(middle, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(upper, 1)
        column.addWidget(self.bar)

    def set_locked(self, locked: bool) -> None:
        """Refuse changes of what a run works with."""
        self.models.set_locked(locked)
        self.options.setEnabled(not locked)
        self.hardware.setEnabled(not locked)

    @Slot()
    def mark_log(self) -> None:
        """Say on the tab that the log has something new that matters."""
        if self.tabs.currentIndex() != 2:
            self.tabs.setTabText(2, self.tr("Log") + " \u26a0")

    def unmark_log(self) -> None:
        """The log has been looked at."""
        self.tabs.setTabText(2, self.tr("Log"))

    def _settings_column(self) -> QScrollArea:
        content = QWidget()
        content.setProperty("surface", "clear")
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, SCROLL_BAR, 0)
        column.setSpacing(10)
        column.addWidget(self.options)
        column.addWidget(self.hardware, 1)
        self.options.setFixedWidth(scaled(COLUMN_WIDTH))
        self.hardware.setFixedWidth(scaled(COLUMN_WIDTH))
        area = QScrollArea()
        area.setProperty("surface", "clear")
        area.viewport().setAutoFillBackground(False)
        content.setAutoFillBackground(False)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFixedWidth(scaled(COLUMN_WIDTH) + SCROLL_BAR)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setAccessibleName(self.tr("Settings"))
        area.setWidget(content)
        return area


def _below_tab(content: QWidget) -> QWidget:
    """Keep some distance between the tabs and what they show."""
    page = QWidget()
    column = QVBoxLayout(page)
    column.setContentsMargins(0, 4, 0, 0)
    column.addWidget(content)
    return page
