"""Applies the colours and the style sheet to the application, and switches between light and dark live."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication

from app.look.stylesheet import stylesheet
from app.look.tokens import DARK, LIGHT, Tokens

ThemeChoice = Literal["system", "light", "dark"]


class Theme(QObject):
    """Applies tokens to the application and follows the system's choice of light or dark.

    Attributes:
        changed: emitted after the tokens changed; painted widgets and plots restyle on it.
    """

    changed = Signal()

    def __init__(self, application: QApplication, choice: ThemeChoice = "system") -> None:
        super().__init__(application)
        self._application = application
        self._choice: ThemeChoice = choice
        self._tokens = DARK
        font = application.font()
        font.setFeature(QFont.Tag("tnum"), 1)
        application.setFont(font)
        application.styleHints().colorSchemeChanged.connect(self._system_changed)
        self.set_choice(choice)

    @property
    def tokens(self) -> Tokens:
        """The colours in use."""
        return self._tokens

    @property
    def choice(self) -> ThemeChoice:
        """What the person chose: follow the system, or always one of the two."""
        return self._choice

    def set_choice(self, choice: ThemeChoice) -> None:
        """Switch to a theme, at once and everywhere."""
        self._choice = choice
        hints = self._application.styleHints()
        schemes = {"system": Qt.ColorScheme.Unknown, "light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}
        if hasattr(hints, "setColorScheme"):
            hints.setColorScheme(schemes[choice])
        self._apply()

    @Slot()
    def _system_changed(self) -> None:
        if self._choice == "system":
            self._apply()

    def _apply(self) -> None:
        dark = self._choice == "dark"
        if self._choice == "system":
            dark = self._application.styleHints().colorScheme() == Qt.ColorScheme.Dark
        self._tokens = DARK if dark else LIGHT
        self._application.setPalette(_palette(self._tokens))
        self._application.setStyleSheet(stylesheet(self._tokens, self._application.font()))
        self.changed.emit()


def _palette(tokens: Tokens) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    colours = {
        role.Window: tokens.background,
        role.WindowText: tokens.text,
        role.Base: tokens.panel,
        role.AlternateBase: tokens.control,
        role.Text: tokens.text,
        role.Button: tokens.control,
        role.ButtonText: tokens.text,
        role.BrightText: tokens.bad,
        role.Highlight: tokens.accent,
        role.HighlightedText: tokens.on_accent,
        role.Accent: tokens.accent,
        role.Link: tokens.accent,
        role.LinkVisited: tokens.accent,
        role.PlaceholderText: tokens.muted,
        role.ToolTipBase: tokens.control,
        role.ToolTipText: tokens.text,
        role.Mid: tokens.border,
        role.Midlight: tokens.border,
        role.Light: tokens.panel,
        role.Dark: tokens.border,
        role.Shadow: tokens.background,
    }
    for name, colour in colours.items():
        palette.setColor(name, QColor(colour))
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, QColor(tokens.muted))
    return palette
