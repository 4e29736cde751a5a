"""The colours of the window, by what they are for: one set for dark, one for light."""

from __future__ import annotations

from dataclasses import dataclass, fields

from PySide6.QtGui import QColor


@dataclass(frozen=True)
class Tokens:
    """Every colour the window uses, by what it is for."""

    name: str
    background: str
    panel: str
    control: str
    border: str
    text: str
    muted: str
    accent: str
    accent_background: str
    on_accent: str
    good: str
    warning: str
    bad: str
    read: str
    upload: str
    compute: str
    write: str

    def colours(self) -> dict[str, str]:
        """Token names and their colours."""
        named = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "name"}
        return named | {"good_text": self.good_text, "warning_text": self.warning_text, "bad_text": self.bad_text}

    @property
    def good_text(self) -> str:
        """The nearest shade of `good` in which text can be read."""
        return readable_text(self.good, self.panel)

    @property
    def warning_text(self) -> str:
        """The nearest shade of `warning` in which text can be read."""
        return readable_text(self.warning, self.panel)

    @property
    def bad_text(self) -> str:
        """The nearest shade of `bad` in which text can be read."""
        return readable_text(self.bad, self.panel)


DARK = Tokens(
    name="dark",
    background="#15171c",
    panel="#1c1f26",
    control="#242832",
    border="#2f3440",
    text="#e7e9ef",
    muted="#98a1b2",
    accent="#8aa4ff",
    accent_background="#2b3352",
    on_accent="#12141a",
    good="#62d0a2",
    warning="#f0b755",
    bad="#ff7a7a",
    read="#c792ea",
    upload="#f0b755",
    compute="#8aa4ff",
    write="#62d0a2",
)
LIGHT = Tokens(
    name="light",
    background="#f4f5f8",
    panel="#ffffff",
    control="#f0f2f6",
    border="#dfe3ea",
    text="#1a1e27",
    muted="#5d6675",
    accent="#3d5be0",
    accent_background="#e4e9fd",
    on_accent="#ffffff",
    good="#1b8a5f",
    warning="#a86a00",
    bad="#c43232",
    read="#9246c9",
    upload="#d08a10",
    compute="#3d5be0",
    write="#1b9a6c",
)


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours after WCAG 2.1, from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)

    value = QColor(colour)
    return 0.2126 * linear(value.redF()) + 0.7152 * linear(value.greenF()) + 0.0722 * linear(value.blueF())


def readable_text(colour: str, surface: str) -> str:
    """The colour itself where it can be read as text on a surface, else the nearest shade that can."""
    darken = _luminance(surface) > 0.4
    shade = QColor(colour)
    for _ in range(40):
        if contrast(shade.name(), surface) >= 4.5:
            break
        shade = shade.darker(105) if darken else shade.lighter(105)
    return shade.name()
