"""Where everything sits in the window: models above, settings left, the run and the queue right, the bar below."""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.profiles import ProfileStore
from app.theme import Theme
from app.widgets.basics import scaled
from app.widgets.bottom_bar import BottomBar
from app.widgets.hardware_panel import HardwarePanel
from app.widgets.models_row import ModelsRow
from app.widgets.options import OptionsPanel
from app.widgets.queue_panel import QueuePanel
from app.widgets.run_view import RunView

COLUMN_WIDTH = 324
SCROLL_BAR = 12
GAP = 10


class Tab(Enum):
    """The views on the right."""

    MEMORY = "memory"
    RESULT = "result"
    LAYERS = "layers"
    QUEUE = "queue"
    LOG = "log"


class WindowFrame(QWidget):
    """The central widget.

    Attributes:
        notices: where quiet bars above everything go.
        models, options, hardware, run, queue, tabs, bar: its parts.
    """

    def __init__(self, theme: Theme, profiles: ProfileStore, queue: QueuePanel) -> None:
        super().__init__()
        self.models = ModelsRow()
        self.options = OptionsPanel()
        self.hardware = HardwarePanel(profiles)
        self.tabs = QTabWidget()
        self.run = RunView(theme)
        self.queue = queue
        self.tabs.setAccessibleName(self.tr("Views of the run"))
        self.tabs.tabBar().setAccessibleName(self.tr("Views of the run"))
        self.tabs.setDocumentMode(True)
        self._pages: dict[Tab, QWidget] = {}
        self._add_tab(Tab.MEMORY, self.run.panel, self.tr("Memory && time"))
        self._add_tab(Tab.RESULT, self.run.result, self.tr("Result"))
        self._add_tab(Tab.LAYERS, self.run.layers, self.tr("Layers"))
        self._add_tab(Tab.QUEUE, self.queue, self.tr("Queue"))
        self._add_tab(Tab.LOG, self.run.log, self.tr("Log"))
        self.bar = BottomBar()
        self._right = QStackedWidget()
        self._right.addWidget(self.tabs)
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self._settings_column())
        middle.addWidget(self._right, 1)
        self.notices = QVBoxLayout()
        self.notices.setSpacing(GAP)
        upper = QVBoxLayout()
        upper.setContentsMargins(16, 10, 16, 8)
        upper.setSpacing(GAP)
        upper.addLayout(self.notices)
        upper.addWidget(self.models)
        upper.addLayout(middle, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(upper, 1)
        column.addWidget(self.bar)

    def show_tab(self, tab: Tab) -> None:
        """Bring a view of the run to the front."""
        self.tabs.setCurrentWidget(self._pages[tab])

    def shown_tab(self) -> Tab:
        """Which view is in front."""
        return next(tab for tab, page in self._pages.items() if page is self.tabs.currentWidget())

    def welcome(self, card: QWidget) -> None:
        """Show a card in the place of the views, until `end_welcome`."""
        page = QWidget()
        row = QHBoxLayout(page)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(card, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addStretch(1)
        self._right.addWidget(page)
        self._right.setCurrentWidget(page)

    def end_welcome(self) -> None:
        """Show the views of the run."""
        self._right.setCurrentWidget(self.tabs)

    def set_locked(self, locked: bool) -> None:
        """Refuse changes of what a run works with."""
        self.models.set_locked(locked)
        self.options.setEnabled(not locked)
        self.hardware.setEnabled(not locked)

    @Slot()
    def mark_log(self) -> None:
        """Say on the tab that the log has something new that matters."""
        if self.shown_tab() is not Tab.LOG:
            self._set_log_title(self.tr("Log \u26a0"))

    def unmark_log(self) -> None:
        """The log has been looked at."""
        self._set_log_title(self.tr("Log"))

    def _set_log_title(self, title: str) -> None:
        self.tabs.setTabText(self.tabs.indexOf(self._pages[Tab.LOG]), title)

    def _add_tab(self, tab: Tab, content: QWidget, title: str) -> None:
        page = self._pages[tab] = _below_tab(content)
        self.tabs.addTab(page, title)

    def _settings_column(self) -> QScrollArea:
        content = QWidget()
        content.setProperty("surface", "clear")
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, SCROLL_BAR, 0)
        column.setSpacing(GAP)
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
