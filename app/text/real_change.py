"""What of a change is storage rounding, in words, with the assumption that such a figure rests on."""

from __future__ import annotations

from app.text.notices import format_share
from app.text.translation import translator
from engine.results import NoiseFigures

_tr = translator("real_change")


def real_change_text(noise: NoiseFigures | None) -> str:
    """How much of the difference is noise and of the real change is kept, or that it was not measured."""
    if noise is None:
        return _tr("Rounding noise was not measured.")
    if noise.all_noise or noise.real_energy_retained is None or noise.real_energy_interval is None:
        text = _tr("The difference is all rounding noise: no change can be told from it.")
    else:
        text = _tr(
            "{share} of the difference is rounding noise ({both} with the original's own); of the real change it keeps "
            "{real} ({low} to {high})."
        ).format(
            share=format_share(noise.noise_share),
            both=format_share(noise.noise_share_both_sides),
            real=format_share(max(0.0, noise.real_energy_retained)),
            low=format_share(max(0.0, noise.real_energy_interval[0])),
            high=format_share(max(0.0, noise.real_energy_interval[1])),
        )
    return f"{text} {assumption()}"


def assumption() -> str:
    """What figures of rounding noise take for granted."""
    return _tr(
        "This assumes that the fine-tune was computed in higher precision from the original as stored, and rounded "
        "once."
    )
