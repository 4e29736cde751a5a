"""Rounding noise and the real change kept, in words: for cells, sentences and tooltips; the command line's too."""

from __future__ import annotations

from app.text.headline import NOISE_MATTERS, rounding_text
from app.text.notices import format_share
from app.text.translation import decimal, translator
from engine.results import Coverage, NoiseFigures

_tr = translator("noise")


def assumption() -> str:
    """What figures of rounding noise take for granted."""
    return _tr(
        "This assumes that the fine-tune was computed in higher precision from the original as stored, and rounded "
        "once."
    )


def measured_noise(noise: NoiseFigures | None) -> str:
    """``19 %``: the share of rounding as a table has it; in words where all is rounding or nothing was measured."""
    if noise is None:
        return _tr("not measured")
    return _tr("all noise") if noise.all_noise else noise_share_text(noise.noise_share)


def measured_real(noise: NoiseFigures | None) -> str:
    """``99.0 %``: the share of the real change kept as a table has it; in words where there is none."""
    if noise is None:
        return _tr("not measured")
    if noise.all_noise or noise.real_energy_retained is None:
        return _tr("all noise")
    return real_share_text(noise.real_energy_retained)


def noise_share_text(share: float) -> str:
    """``19 %``, ``2.7 %``, ``0.02 %``: with two digits, as it is an estimate; 0 % where there is none to see."""
    percent = 100.0 * min(1.0, max(0.0, share))
    digits = 0 if percent >= 9.95 or percent < 0.005 else 1 if percent >= 0.95 else 2
    return f"{decimal(percent, digits)} %"


def real_share_text(share: float) -> str:
    """``99.0 %``; never below nothing or above the whole, as an estimate may be."""
    return "100 %" if share >= 0.99995 else format_share(max(0.0, share))


def real_clause(mean: float, noise: NoiseFigures | None, coverage: Coverage) -> str:
    """What a file keeps of the real change, as a clause that follows its name, with what the plain share counts.

    Empty where it says no more than the plain share: nothing was measured, rounding is no part to speak of, or not all
    of the models was compared, so that the plain share has to be qualified otherwise.

    Args:
        mean: share of the stored difference kept.
        noise: of the file.
        coverage: of how much of the models the shares speak.
    """
    if noise is None or not coverage.complete or noise.noise_share < NOISE_MATTERS:
        return ""
    if noise.all_noise or noise.real_energy_retained is None:
        text = _tr("keeps {plain} of the stored difference, in which nothing can be told from rounding")
        return text.format(plain=format_share(mean))
    text = _tr("keeps {real} of the real change ({plain} of the stored difference; {noise} of it is rounding)")
    return _with_figures(text, mean, noise)


def real_in_short(mean: float, noise: NoiseFigures | None, coverage: Coverage) -> str:
    """The clause where there is room for half a line; empty likewise."""
    if not real_clause(mean, noise, coverage) or noise is None:
        return ""
    if noise.all_noise or noise.real_energy_retained is None:
        return _tr("keeps {plain} as stored, all of it rounding").format(plain=format_share(mean))
    return _with_figures(_tr("keeps {real} of the real change ({plain} as stored, {noise} rounding)"), mean, noise)


def _with_figures(text: str, mean: float, noise: NoiseFigures) -> str:
    return text.format(
        real=real_share_text(noise.real_energy_retained or 0.0),
        plain=format_share(mean),
        noise=noise_share_text(noise.noise_share),
    )


def real_sentence(mean: float, noise: NoiseFigures | None, coverage: Coverage) -> str:
    """The clause as a sentence of its own; empty likewise."""
    clause = real_clause(mean, noise, coverage)
    return f"{clause[:1].upper()}{clause[1:]}." if clause else ""


def layer_words(noise: NoiseFigures | None) -> str:
    """A layer's figures in few words, where rounding is a part of its difference to speak of; else empty."""
    if noise is None or noise.noise_share < NOISE_MATTERS:
        return ""
    if noise.all_noise or noise.real_energy_retained is None:
        return _tr("all noise")
    text = _tr("{noise} noise, {real} of the real change kept")
    return text.format(noise=noise_share_text(noise.noise_share), real=real_share_text(noise.real_energy_retained))


def real_sentences(noise: NoiseFigures | None) -> tuple[str, ...]:
    """All there is to say of a layer or a file: the figure, its interval, the other value, what is assumed."""
    if noise is None:
        return (_tr("Rounding was not measured here; a run with both models at hand measures it."),)
    if noise.all_noise or noise.real_energy_retained is None:
        text = _tr("Rounding alone accounts for {noise} of this difference: nothing in it can be told from noise.")
        return (text.format(noise=noise_share_text(noise.noise_share)), both_sides(noise), assumption())
    text = _tr("{real} of the real change is kept.")
    interval = noise.real_energy_interval
    if interval is not None and _differ(*interval):
        text = _tr("{real} of the real change is kept; the true share is between {low} and {high}.")
    low, high = interval or (noise.real_energy_retained,) * 2
    kept = text.format(
        real=real_share_text(noise.real_energy_retained), low=real_share_text(low), high=real_share_text(high)
    )
    return (kept, both_sides(noise), assumption())


def noise_sentences(noise: NoiseFigures | None) -> tuple[str, ...]:
    """What the share of rounding says."""
    if noise is None:
        return real_sentences(None)
    text = _tr("{noise} of this difference is the error of storing the numbers with so few digits, not change.")
    return (text.format(noise=noise_share_text(noise.noise_share)), both_sides(noise), assumption())


def both_sides(noise: NoiseFigures) -> str:
    """The figures if the original had been rounded, too, which no file tells."""
    if noise.real_energy_retained_both_sides is None:
        text = _tr("If the original had been rounded, too, all of it would be noise.")
        return text
    text = _tr("If the original had been rounded, too: {noise} noise, {real} kept.")
    return text.format(
        noise=noise_share_text(noise.noise_share_both_sides),
        real=real_share_text(noise.real_energy_retained_both_sides),
    )


def _differ(low: float, high: float) -> bool:
    return real_share_text(low) != real_share_text(high)


def real_change_text(noise: NoiseFigures | None) -> str:
    """How much of the difference is noise and of the real change is kept, or that it was not measured; for a terminal.

    It stands by itself: with what is assumed, and where all is noise with what to do.
    """
    if noise is None:
        return _tr("Rounding noise was not measured.")
    if noise.all_noise or noise.real_energy_retained is None or noise.real_energy_interval is None:
        return f"{rounding_text(noise)} {assumption()}"
    text = _tr(
        "{share} of the difference is rounding noise ({both} with the original's own); of the real change it keeps "
        "{real} ({low} to {high})."
    ).format(
        share=format_share(noise.noise_share),
        both=format_share(noise.noise_share_both_sides),
        real=real_share_text(noise.real_energy_retained),
        low=real_share_text(noise.real_energy_interval[0]),
        high=real_share_text(noise.real_energy_interval[1]),
    )
    return f"{text} {assumption()}"
