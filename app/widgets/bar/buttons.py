"""The buttons at the right of the bottom bar: those that matter now, and what has no room behind \u201cMore\u201d."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QAction, QFont, QFontMetrics, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QStyleOptionButton, QWidget

from app.look.stylesheet import SMALL
from app.widgets.basics.basics import push_button

SPACING = 8


class KeyedButton(QPushButton):
    """A button that shows its key in smaller letters behind its text."""

    def __init__(self, text: str, key: str, *, kind: str = "") -> None:
        super().__init__()
        self.setAccessibleName(text)
        self.setAutoDefault(False)
        if kind:
            self.setProperty("kind", kind)
        self._words, self._key = text, key

    def sizeHint(self) -> QSize:
        """As wide as both texts."""
        strong, light = self._fonts()
        width = QFontMetrics(strong).horizontalAdvance(self._words) + QFontMetrics(light).horizontalAdvance(self._key)
        return QSize(width + 10 + 40, max(38, QFontMetrics(strong).height() + 18))

    def minimumSizeHint(self) -> QSize:
        """As wide as both texts."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The button's surface, then the word and the key."""
        super().paintEvent(event)
        strong, light = self._fonts()
        option = QStyleOptionButton()
        self.initStyleOption(option)
        painter = QPainter(self)
        painter.setPen(option.palette.color(QPalette.ColorRole.ButtonText))
        area = self.rect().adjusted(20, 0, -20, 0)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setFont(strong)
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignLeft, self._words)
        painter.setFont(light)
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignRight, self._key)

    def _fonts(self) -> tuple[QFont, QFont]:
        self.ensurePolished()
        strong, light = QFont(self.font()), QFont(self.font())
        strong.setWeight(QFont.Weight.DemiBold)
        light.setWeight(QFont.Weight.Normal)
        light.setPointSizeF(self.font().pointSizeF() * SMALL)
        return strong, light


class BarButtons(QWidget):
    """A row of buttons of which each moment offers some.

    Args:
        buttons: all there are, from left to right.

    Attributes:
        more: opens the menu of what has no room, and of `further` actions.
        further: actions that are only ever in that menu; they are offered where `offer` says so.
    """

    def __init__(self, buttons: Sequence[QPushButton]) -> None:
        super().__init__()
        self._buttons = tuple(buttons)
        self._always: tuple[QPushButton, ...] = ()
        self._optional: tuple[QPushButton, ...] = ()
        self._room = 0
        self._with_further = False
        self.further: list[QAction] = []
        self.more = push_button(self.tr("More") + " \u25be", kind="quiet")
        self.more.setAccessibleName(self.tr("More that can be done with this LoRA"))
        self._menu = QMenu(self.more)
        self._menu.setAccessibleName(self.tr("More that can be done with this LoRA"))
        self._menu.aboutToShow.connect(self._fill_menu)
        self.more.setMenu(self._menu)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACING)
        for button in self._buttons[:-2]:
            row.addWidget(button)
        row.addWidget(self.more)
        for button in self._buttons[-2:]:
            row.addWidget(button)

    def offer(
        self, always: Sequence[QPushButton], optional: Sequence[QPushButton] = (), *, further: bool = False
    ) -> None:
        """Offer some buttons now.

        Args:
            always: those that stay visible however narrow the window is.
            optional: those that go into the menu where there is no room, the most important first.
            further: whether the `further` actions make sense.
        """
        self._always, self._optional, self._with_further = tuple(always), tuple(optional), further
        self._arrange()

    def set_room(self, pixels: int) -> None:
        """All buttons together may be as wide as this; those that are always visible may be wider."""
        if pixels != self._room:
            self._room = pixels
            self._arrange()

    def hidden_actions(self) -> list[str]:
        """What the menu offers now, in words."""
        self._fill_menu()
        return [action.text() for action in self._menu.actions() if action.text()]

    def _arrange(self) -> None:
        shown = self._fitting()
        for button in self._buttons:
            button.setVisible(button in shown)
        self.more.setVisible(self._needs_menu(shown))

    def _fitting(self) -> list[QPushButton]:
        shown = list(self._always)
        for button in self._optional:
            trial = [*shown, button]
            width = sum(item.sizeHint().width() + SPACING for item in trial)
            if self._needs_menu(trial):
                width += self.more.sizeHint().width() + SPACING
            if width > self._room:
                break
            shown = trial
        return shown

    def _needs_menu(self, shown: Sequence[QPushButton]) -> bool:
        return any(button not in shown for button in self._optional) or (self._with_further and bool(self.further))

    @Slot()
    def _fill_menu(self) -> None:
        self._menu.clear()
        shown = self._fitting()
        for button in self._optional:
            if button not in shown:
                action = self._menu.addAction(button.text())
                action.setEnabled(button.isEnabled())
                action.triggered.connect(button.click)
        if self._with_further and self.further:
            self._menu.addSeparator()
            self._menu.addActions(self.further)
