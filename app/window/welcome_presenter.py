"""First steps: the welcome of a first start, the demo pair, and the user guide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QUrl, Slot
from PySide6.QtGui import QDesktopServices

from app.demo.pair import FINETUNED, ORIGINAL
from app.look.theme import Theme
from app.widgets.help.welcome import WelcomeCard
from app.widgets.settings.profile_bar import ProfileBar
from app.window.frame import ViewStack
from app.window.model import WindowModel
from app.work.controller import Controller
from app.work.requests import BackgroundAnswer, DeviceFound, DeviceMissing

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
GUIDE = next((page for page in (DOCS / "guide.html",) if page.exists()), DOCS / "guide.md")  # a bundle has pages


@dataclass(frozen=True)
class WelcomeViews:
    """Where the welcome is shown, and where its profile is chosen."""

    stack: ViewStack
    profiles: ProfileBar


class WindowWelcome(QObject):
    """Shows the welcome, fills the cards with the demo pair, and opens the guide."""

    def __init__(
        self, parent: QObject, model: WindowModel, controller: Controller, views: WelcomeViews, theme: Theme
    ) -> None:
        super().__init__(parent)
        self._model, self._views, self._theme = model, views, theme
        self._card: WelcomeCard | None = None
        model.models_changed.connect(self._on_models)
        controller.answered.connect(self._on_answer)

    def show(self) -> None:
        """Show the welcome in the place of the tabs."""
        card = self._card = WelcomeCard(self._theme)
        card.profile_chosen.connect(self._take_profile)
        card.demo_clicked.connect(self.show_demo)
        card.guide_clicked.connect(self.open_guide)
        card.dismissed.connect(self.end)
        self._views.stack.welcome(card)

    @Slot()
    def end(self) -> None:
        """Show the views of the run."""
        if self._card is not None:
            self._card = None
            self._model.session.welcomed = True
            self._views.stack.end_welcome()

    @Slot()
    def show_demo(self) -> None:
        """Fill both cards with the pair that ships with the program."""
        self._model.set_models(FINETUNED, ORIGINAL)

    @Slot()
    def open_guide(self) -> None:
        """Open the user guide."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(GUIDE)))

    @Slot(str)
    def _take_profile(self, name: str) -> None:
        self._views.profiles.choose(name)
        self._model.settle()

    @Slot()
    def _on_models(self) -> None:
        if any(self._model.request.models):
            self.end()

    @Slot(object)
    def _on_answer(self, answer: BackgroundAnswer) -> None:
        if self._card is None:
            return
        match answer:
            case DeviceFound(device=device):
                self._card.show_device(device)
            case DeviceMissing(error=error):
                self._card.show_missing_device(error)
