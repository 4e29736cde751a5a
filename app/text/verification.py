"""A verification in words: how good the LoRA is, whether that is what it says of itself, and what it leaves out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from app.text.headline import coverage_warning, kept_clause, kept_sentence
from app.text.noise import real_in_short, real_sentence, real_sentences
from app.text.notices import counted, format_share
from app.text.translation import decimal, plural, short_number, translate, whole
from engine.errors import EngineError
from engine.formats.peft_reading import open_lora
from engine.results import Verification

AGREES_WITHIN = 1e-4
"""Shares that differ by less are the same: runs measure in float32, a verification in float64."""
NAMES_SHOWN = 3


@dataclass(frozen=True)
class ClaimedQuality:
    """What the run that wrote a LoRA said of it: shares of the change kept, in the mean and in the weakest layer."""

    mean: float
    worst: float


def claimed_quality(lora: Path) -> ClaimedQuality | None:
    """What a file's header says of it; None where it says nothing, as of LoRAs that others wrote. Reads the header."""
    try:
        with open_lora(lora) as file:
            texts = [file.metadata[f"lora_extractor.{name}_energy_retained"] for name in ("mean", "worst")]
        mean, worst = map(float, texts)
    except (EngineError, OSError, KeyError, ValueError):
        return None
    return ClaimedQuality(mean, worst) if math.isfinite(mean) and math.isfinite(worst) else None


def largest_difference(verification: Verification, claimed: ClaimedQuality) -> float:
    """By how much the measured shares are away from the claimed ones; positive where less is kept than claimed."""
    differences = (
        claimed.mean - verification.mean_energy_retained,
        claimed.worst - verification.worst_energy_retained,
    )
    return max(differences, key=abs)


def agrees(verification: Verification, claimed: ClaimedQuality | None) -> bool:
    """Whether a verification found what the file says of itself, or the file says nothing."""
    return claimed is None or abs(largest_difference(verification, claimed)) <= AGREES_WITHIN


def verdict(verification: Verification, claimed: ClaimedQuality | None) -> str:
    """The judgement in a word or two: ``verified``, or how far it is from what the file says of itself."""
    if claimed is None or agrees(verification, claimed):
        return translate("verification", "verified")
    difference = largest_difference(verification, claimed)
    if difference > 0:
        text = translate("verification", "verified: keeps {points} percentage points less than reported")
    else:
        text = translate("verification", "verified: keeps {points} percentage points more than reported")
    return text.format(points=_points(difference))


def quality_text(verification: Verification) -> str:
    """How much the LoRA keeps, as measured; of the real change where rounding is a part of the difference."""
    real = real_in_short(verification.mean_energy_retained, verification.noise, verification.coverage)
    return real or kept_sentence(
        verification.mean_energy_retained, verification.worst_energy_retained, verification.coverage
    )


def verification_lines(lora: Path, verification: Verification, claimed: ClaimedQuality | None) -> list[str]:
    """All of it, for the log, a tooltip or a dialog: one sentence each, the judgement first."""
    text = translate("verification", "{name}: {kept}; {worst} in the weakest of {layers}.")
    if verification.coverage.complete:
        text = translate("verification", "{name}: {kept}, {worst} in the weakest of {layers}.")
    lines = [
        text.format(
            name=lora.name,
            kept=kept_clause(verification.mean_energy_retained, verification.coverage),
            worst=format_share(verification.worst_energy_retained),
            layers=counted(len(verification.layers), "layer"),
        ),
    ]
    real = real_sentence(verification.mean_energy_retained, verification.noise, verification.coverage)
    if real:
        lines += [real, *real_sentences(verification.noise)[1:]]
    if not verification.coverage.enough:
        lines.append(coverage_warning(verification.coverage))
    lines.append(_compared(verification, claimed))
    plain = plain_text(verification)
    if plain:
        lines.append(plain)
    if verification.left_out:
        lines.append(
            _named(
                plural(
                    "verification",
                    "{count} layer that changed is not in the LoRA: {names}.",
                    "{count} layers that changed are not in the LoRA: {names}.",
                    len(verification.left_out),
                ),
                [item.name for item in verification.left_out],
            )
        )
    if verification.unknown_keys:
        lines.append(
            _named(
                plural(
                    "verification",
                    "{count} key belongs to no weight of these models: {names}.",
                    "{count} keys belong to no weight of these models: {names}.",
                    len(verification.unknown_keys),
                ),
                list(verification.unknown_keys),
            )
        )
    strength = strength_text(verification)
    if strength:
        lines.append(strength)
    if verification.format_title:
        lines.append(translate("verification", "Format: {title}.").format(title=verification.format_title))
    else:
        lines.append(translate("verification", "Format: names of another tool."))
    return lines


def strength_text(verification: Verification) -> str:
    """That the file is multiplied by a strength, which is not judged; nothing where it is not."""
    if verification.strength == 1.0:
        return ""
    text = translate("verification", "It is written at strength {strength}; the judgement is of strength 1.")
    return text.format(strength=short_number(verification.strength))


def plain_text(verification: Verification) -> str:
    """How much it keeps of the difference with nothing rounded, where that is another one; else nothing."""
    mean, worst = verification.plain_mean_energy_retained, verification.plain_worst_energy_retained
    if mean is None or worst is None:
        return ""
    text = translate(
        "verification",
        "Rounding is not counted as change there; of the plain difference of the two files it keeps {mean}, {worst} in "
        "the weakest layer.",
    )
    return text.format(mean=format_share(mean), worst=format_share(worst))


def _compared(verification: Verification, claimed: ClaimedQuality | None) -> str:
    if claimed is None:
        return translate("verification", "The file says nothing of its own quality to compare with.")
    if agrees(verification, claimed):
        return translate("verification", "That agrees with what the file says of itself.")
    text = translate(
        "verification",
        "The file says of itself {mean} and {worst}: {points} percentage points apart. Are these the models that it "
        "was extracted from?",
    )
    points = _points(largest_difference(verification, claimed))
    return text.format(mean=format_share(claimed.mean), worst=format_share(claimed.worst), points=points)


def _points(difference: float) -> str:
    """A difference of shares in percentage points, with the digits that matter."""
    points = abs(100.0 * difference)
    return decimal(points, 2 if points < 1 else 1)


def _named(text: str, names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    if more > 0:
        shown = translate("verification", "{names} and {count} more").format(names=shown, count=whole(more))
    return text.format(count=whole(len(names)), names=shown)
