"""What a person sees at the first start: which hardware profile suits their machine, the demo, and the guide."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent, Qt, Signal, Slot
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.look.icons import icon
from app.look.theme import Theme
from app.text.notices import format_bytes
from app.text.window_text import window_error_text
from app.widgets.basics.basics import icon_size, link_button, push_button, scaled, text_label, wrapped_label
from app.widgets.settings.profile_bar import profile_title
from app.work.requests import DeviceInfo
from engine.errors import EngineError
from engine.presets import DEFAULT_PROFILE, HARDWARE_PROFILES, suggest_profile

WIDTH = 520
CLOSE_ICON = 16


class WelcomeCard(QFrame):
    """A card in the place of a run that there has not been yet. It asks nothing: everything works without it.

    Attributes:
        profile_chosen: emitted with the name of the hardware profile that the person takes.
        demo_clicked: the person wants to see the demo.
        guide_clicked: the person wants to read the guide.
        dismissed: the person does not want the card; it has hidden itself.
    """

    profile_chosen = Signal(str)
    demo_clicked = Signal()
    guide_clicked = Signal()
    dismissed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._suggested = DEFAULT_PROFILE
        self.setProperty("panel", "plain")
        title = QCoreApplication.translate("WelcomeCard", "Make a LoRA from two models")
        self.setAccessibleName(title)
        self.setFixedWidth(scaled(WIDTH))
        _keep_height(self)
        heading = text_label(title, "name")
        self.close_button = QToolButton()
        self.close_button.setAccessibleName(self.tr("Do not show this any more"))
        self.close_button.setToolTip(self.close_button.accessibleName())
        self.close_button.setIconSize(icon_size(CLOSE_ICON))
        self.close_button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.close_button.clicked.connect(self._dismiss)
        top = QHBoxLayout()
        top.addWidget(heading, 1)
        top.addWidget(self.close_button)
        self.lead = wrapped_label(
            self.tr(
                "Drop the fine-tuned model and the model it was trained from anywhere in this window, "
                "then press Extract. Both files stay as they are."
            ),
            "muted",
        )
        self.demo = push_button(self.tr("Try it with the demo"))
        self.demo.clicked.connect(self.demo_clicked)
        self.demo_hint = wrapped_label(
            self.tr("A small pair of models comes with the program; takes a minute."), "small"
        )
        self.guide = link_button(self.tr("Read the guide"))
        self.guide.clicked.connect(self.guide_clicked)
        links = QHBoxLayout()
        links.setSpacing(16)
        links.addWidget(self.demo)
        links.addWidget(self.guide)
        links.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 20, 20)
        column.setSpacing(12)
        column.addLayout(top)
        column.addWidget(self.lead)
        column.addSpacing(4)
        column.addWidget(self._hardware())
        column.addSpacing(4)
        column.addLayout(links)
        column.addWidget(self.demo_hint)
        self._recolour()
        self._show_suggestion(self.tr("Looking at this computer\u2026"), "", offered=False)

    @Slot(object)
    def show_device(self, device: DeviceInfo) -> None:
        """Suggest a profile for the device that will compute, and say why."""
        size = format_bytes(device.total_bytes)
        if device.kind == "cpu":
            self._suggested = DEFAULT_PROFILE
            text = self.tr(
                "No graphics card is in use: the processor computes, with {size} to work in. It takes longer."
            )
        else:
            self._suggested = suggest_profile(device.total_bytes)
            text = self.tr("It suits the {device} with {size}: as fast as its memory allows.")
        self._show_suggestion(self._suggested, text.format(device=device.title, size=size), offered=True)

    @Slot(object)
    def show_missing_device(self, error: EngineError) -> None:
        """Say why no device is known, and offer what every start begins with."""
        self._suggested = DEFAULT_PROFILE
        self._show_suggestion(self._suggested, " ".join(window_error_text(error)), offered=True)

    def changeEvent(self, event: QEvent) -> None:
        """Draw the cross in the new theme's colour."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "guide"):
            self._recolour()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the texts the height that they have at the new width."""
        super().resizeEvent(event)
        self._make_room()

    def _hardware(self) -> QFrame:
        box = QFrame()
        box.setProperty("panel", "accent")
        _keep_height(box)
        self.caption = text_label(self.tr("Suggested hardware profile"), "on-accent")
        self.profile = wrapped_label("", "name")
        self.why = wrapped_label("", "on-accent")
        self.use = push_button(self.tr("Use it"), kind="primary")
        self.use.setAccessibleName(self.tr("Use the suggested hardware profile"))
        self.use.clicked.connect(self._use)
        self.another = push_button(self.tr("Choose another") + " \u25be")
        self.another.setAccessibleName(self.tr("Choose another hardware profile"))
        menu = QMenu(self)
        menu.setAccessibleName(self.tr("Hardware profiles"))
        for name in HARDWARE_PROFILES:
            menu.addAction(profile_title(name)).setData(name)
        menu.triggered.connect(self._another_chosen)
        self.another.setMenu(menu)
        self.taken = text_label("", "on-accent")
        self.taken.hide()
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for widget in (self.use, self.another, self.taken):
            buttons.addWidget(widget)
        buttons.addStretch(1)
        column = QVBoxLayout(box)
        column.setContentsMargins(16, 12, 16, 14)
        column.setSpacing(4)
        for widget in (self.caption, self.profile, self.why):
            column.addWidget(widget)
        column.addSpacing(6)
        column.addLayout(buttons)
        return box

    def _show_suggestion(self, profile: str, why: str, *, offered: bool) -> None:
        self.profile.setText(profile_title(profile))
        self.why.setText(why)
        self.why.setVisible(bool(why))
        self.use.setEnabled(offered)
        self._make_room()

    def _make_room(self) -> None:
        """Qt does not ask a wrapped text in a frame in a frame how high it is at its width."""
        for label in (self.profile, self.why, self.demo_hint, self.lead):
            label.setMinimumHeight(max(0, label.heightForWidth(label.width())))

    @Slot()
    def _use(self) -> None:
        self._take(self._suggested)

    @Slot(QAction)
    def _another_chosen(self, action: QAction) -> None:
        self._take(action.data())

    def _take(self, profile: str) -> None:
        self.taken.setText(self.tr("\u2713 {profile} is in use").format(profile=profile))
        self.taken.show()
        self.use.setVisible(profile != self._suggested)
        self.profile_chosen.emit(profile)

    @Slot()
    def _dismiss(self) -> None:
        self.hide()
        self.dismissed.emit()

    def _recolour(self) -> None:
        self.close_button.setIcon(icon("close", self._theme.tokens.muted, self.close_button.iconSize().width()))


def _keep_height(widget: QWidget) -> None:
    """Be as high as the text at this width asks for, and no less."""
    policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)
    widget.setSizePolicy(policy)
