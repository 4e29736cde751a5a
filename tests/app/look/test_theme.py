from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication

from app.look.theme import Theme
from app.look.tokens import DARK, LIGHT, Tokens, contrast, readable_text
from app.widgets.run.plots import MemoryPlot

SURFACES = ("background", "panel", "control")
TEXTS = ("text", "muted")


def pairs(tokens: Tokens) -> Iterator[tuple[str, str]]:
    yield from ((text, surface) for text in TEXTS for surface in SURFACES)
    yield from ((text, "panel") for text in ("accent", "good_text", "warning_text", "bad_text"))
    yield ("text", "accent_background")
    yield ("on_accent", "accent")


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=lambda tokens: tokens.name)
def test_all_text_can_be_read(tokens: Tokens) -> None:
    colours = tokens.colours()
    poor = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs(tokens)}
    assert {pair: ratio for pair, ratio in poor.items() if ratio < 4.5} == {}


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


def test_a_colour_too_pale_to_read_is_made_readable() -> None:
    assert contrast(readable_text("#ffd0d0", "#ffffff"), "#ffffff") >= 4.5


def test_switching_changes_palette_style_sheet_and_plots_at_once(theme: Theme, qapp: QApplication) -> None:
    plot = MemoryPlot(theme, "memory")
    for choice, tokens in (("dark", DARK), ("light", LIGHT)):
        theme.set_choice(choice)  # type: ignore[arg-type]
        assert qapp.palette().window().color().name() == tokens.background
        assert tokens.panel in qapp.styleSheet()
        assert plot.backgroundBrush().color().name() == tokens.panel
    plot.close()
