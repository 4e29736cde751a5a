"""Where everything sits in the window: models above, settings left, the run and the queue right, the bar below."""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QSizePolicy,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.look.theme import Theme
from app.storage.profiles import ProfileStore
from app.widgets.bar.bottom_bar import BottomBar
from app.widgets.basics.basics import QuietScroll, scaled
from app.widgets.models.models_row import ModelsRow
from app.widgets.queue.panel import QueuePanel
from app.widgets.settings.hardware_panel import HardwarePanel
from app.widgets.settings.lora_panel import OptionsPanel
from app.widgets.tabs.run_view import RunView

COLUMN_WIDTH, LEAST_COLUMN_WIDTH = 324, 288
SCROLL_BAR = 14
GAP = 10


class Tab(Enum):
    """The views on the right."""

    MEMORY = "memory"
    RESULT = "result"
    LAYERS = "layers"
    QUEUE = "queue"
    LOG = "log"


class ViewTabs(QTabWidget):
    """The views of a run, the queue and the log."""

    def __init__(self, run: RunView, queue: QueuePanel) -> None:
        super().__init__()
        self.setAccessibleName(self.tr("Views of the run"))
        self.tabBar().setAccessibleName(self.tr("Views of the run"))
        self.setDocumentMode(True)
        self._pages: dict[Tab, QWidget] = {}
        self._add(Tab.MEMORY, QuietScroll(run.panel, self.tr("Memory && time")), self.tr("Memory && time"))
        self._add(Tab.RESULT, QuietScroll(run.result, self.tr("Result")), self.tr("Result"))
        self._add(Tab.LAYERS, run.layers, self.tr("Layers"))
        self._add(Tab.QUEUE, queue, self.tr("Queue"))
        self._add(Tab.LOG, run.log, self.tr("Log"))
        run.noticed.connect(self._mark_log)
        self.currentChanged.connect(self._unmark_log)

    def show_tab(self, tab: Tab) -> None:
        """Bring a view to the front."""
        self.setCurrentWidget(self._pages[tab])

    def shown_tab(self) -> Tab:
        """Which view is in front."""
        return next(tab for tab, page in self._pages.items() if page is self.currentWidget())

    @Slot()
    def _mark_log(self) -> None:
        """Say on the tab that the log has something new that matters."""
        if self.shown_tab() is not Tab.LOG:
            self._set_log_title(self.tr("Log \u26a0"))

    @Slot()
    def _unmark_log(self) -> None:
        if self.shown_tab() is Tab.LOG:
            self._set_log_title(self.tr("Log"))

    def _set_log_title(self, title: str) -> None:
        self.setTabText(self.indexOf(self._pages[Tab.LOG]), title)

    def _add(self, tab: Tab, content: QWidget, title: str) -> None:
        page = self._pages[tab] = _below_tab(content)
        self.addTab(page, title)


class ViewStack(QStackedWidget):
    """The right side: the tabs, or a welcome in their place.

    It takes what is left, and the settings are narrower only where it has no room.

    Attributes:
        tabs: the views.
    """

    def __init__(self, tabs: ViewTabs) -> None:
        super().__init__()
        self.tabs = tabs
        self.addWidget(tabs)

    def welcome(self, card: QWidget) -> None:
        """Show a card in the place of the tabs, until `end_welcome`."""
        content = QWidget()
        row = QHBoxLayout(content)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(card, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addStretch(1)
        page = QuietScroll(content, self.tr("Welcome"))
        self.addWidget(page)
        self.setCurrentWidget(page)

    def end_welcome(self) -> None:
        """Show the tabs."""
        self.setCurrentWidget(self.tabs)

    def hasHeightForWidth(self) -> bool:
        """No: what is in the views scrolls there."""
        return False

    def sizeHint(self) -> QSize:
        """No wider than they must be."""
        return QSize(self.minimumSizeHint().width(), super().sizeHint().height())


class WindowFrame(QWidget):
    """The central widget.

    Attributes:
        notices: where quiet bars above everything go.
        models, options, hardware, run, queue, tabs, stack, bar: its parts.
    """

    def __init__(self, theme: Theme, profiles: ProfileStore, queue: QueuePanel) -> None:
        super().__init__()
        self.models = ModelsRow()
        self.options = OptionsPanel()
        self.hardware = HardwarePanel(profiles)
        self.run = RunView(theme)
        self.queue = queue
        self.tabs = ViewTabs(self.run, queue)
        self.stack = ViewStack(self.tabs)
        self.bar = BottomBar()
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self._settings_column())
        middle.addSpacing(GAP // 2)
        middle.addWidget(self.stack, 1)
        self.notices = QVBoxLayout()
        self.notices.setSpacing(GAP)
        self._upper = QWidget()
        upper = QVBoxLayout(self._upper)
        upper.setContentsMargins(16, 10, 16, 8)
        upper.setSpacing(GAP)
        upper.addLayout(self.notices)
        upper.addWidget(self.models)
        upper.addLayout(middle, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        # Large text on a small screen: what is above the bar scrolls, and Extract stays in sight.
        column.addWidget(_AboveBar(self._upper, self.tr("Models, settings and views")), 1)
        column.addWidget(self.bar)

    def roomy_size(self) -> QSize:
        """The smallest size at which nothing above the bar has to be scrolled as a whole."""
        upper, bar = self._upper.minimumSizeHint(), self.bar.minimumSizeHint()
        return QSize(max(upper.width(), bar.width()), upper.height() + bar.height())

    def _settings_column(self) -> QuietScroll:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        column.addWidget(self.options)
        column.addWidget(self.hardware, 1)
        return _SettingsColumn(content, self.tr("Settings"))


class _SettingsColumn(QuietScroll):
    """The settings on the left, with room for a scroll bar beside them; narrower only where the views need it."""

    def __init__(self, content: QWidget, name: str) -> None:
        super().__init__(content, name)
        self._content = content
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """The usual width."""
        width = max(scaled(COLUMN_WIDTH) + SCROLL_BAR, self.minimumSizeHint().width())
        return QSize(width, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """No narrower than the settings can be."""
        needed = self._content.minimumSizeHint().width()
        return QSize(max(scaled(LEAST_COLUMN_WIDTH), needed) + SCROLL_BAR, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave the scroll bar its room, whether it is there or not."""
        self._content.setFixedWidth(self.width() - SCROLL_BAR)
        super().resizeEvent(event)


class _AboveBar(QuietScroll):
    """Everything above the bar: as large as there is room for, and scrolled only where it cannot be that small.

    A scroll area that resizes its widget by itself would give it the height it would like to have.
    """

    def __init__(self, content: QWidget, name: str) -> None:
        super().__init__(content, name)
        self._content = content
        self.setWidgetResizable(False)
        content.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Fit again when something in it needs more or less room."""
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fill the new size."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = self.maximumViewportSize()
        least = self._least(room.width())
        if least.height() > room.height():
            room.setWidth(room.width() - self.verticalScrollBar().sizeHint().width())
            least = self._least(room.width())
        if least.width() > room.width():
            room.setHeight(room.height() - self.horizontalScrollBar().sizeHint().height())
        self._content.resize(room.expandedTo(least))

    def _least(self, room: int) -> QSize:
        """The smallest size of the content in a width."""
        layout = self._content.layout()
        assert layout is not None
        width = max(room, layout.minimumSize().width())
        return QSize(width, layout.minimumHeightForWidth(width))


def _below_tab(content: QWidget) -> QWidget:
    """Keep some distance between the tabs and what they show."""
    page = QWidget()
    column = QVBoxLayout(page)
    column.setContentsMargins(0, 4, 0, 0)
    column.addWidget(content)
    return page
