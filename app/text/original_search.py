"""What a search for the original found, in words: the nearest, by how much, a merge, what was left out and why."""

from __future__ import annotations

from collections import Counter

from app.text.errors import error_text
from app.text.notices import format_share
from app.text.translation import decimal, plural, translator, whole
from engine.analysis.candidates import ITSELF, Candidate, OriginalSearch, Skipped, SkipReason
from engine.checkpoints.names_of_files import model_name

CONTEXT = "originals"
_tr = translator("originals")


def distance_text(candidate: Candidate) -> str:
    """How far a candidate is: ``1.03 %``."""
    percent = 100 * candidate.relative_distance
    digits = 0 if percent >= 99.95 else 1 if percent >= 9.995 else 2 if percent >= 0.0995 else 4
    return f"{decimal(percent, digits)} %"


def coefficient_text(candidate: Candidate) -> str:
    """A candidate's share in a merge: ``0.70 (0.69 to 0.71)``; empty where there is no merge or it is no part of it."""
    if not candidate.coefficient:
        return ""
    value, bounds = candidate.coefficient, candidate.interval or (candidate.coefficient, candidate.coefficient)
    digits = 3 if bounds[1] - bounds[0] < 0.02 else 2
    text = _tr("{value} ({low} to {high})")
    low, high = (decimal(bound, digits) for bound in bounds)
    return text.format(value=decimal(value, digits), low=low, high=high)


def candidate_remark(candidate: Candidate) -> str:
    """What there is to say of a candidate beside its distance; empty for nothing."""
    if candidate.unrelated:
        return _tr("not related")
    if candidate.copy_of is not None:
        return _tr("a copy of {name}, but for rounding").format(name=model_name(candidate.copy_of))
    if candidate.within_rounding:
        return _tr("differs by its own rounding alone")
    if candidate.matched_share < 1:
        return _tr("compared in {share} of the parameters").format(share=format_share(candidate.matched_share))
    return ""


def search_headline(search: OriginalSearch) -> str:
    """The answer in one sentence."""
    if not search.candidates:
        return _tr("No model in these folders can be its original.")
    best = search.best
    if best is None:
        return _tr("None of these is its original.")
    name = model_name(best.path)
    if search.merge is not None:
        members = sorted((one for one in search.candidates if one.coefficient), key=lambda one: -(one.coefficient or 0))
        parts = [f"{model_name(one.path)} ({decimal(one.coefficient or 0, 2)})" for one in members]
        text = _tr("It is a merge of {names}.")
        return text.format(names=_listed(parts))
    return _tr("{name} is the nearest: {distance} away.").format(name=name, distance=distance_text(best))


def search_details(search: OriginalSearch) -> list[str]:
    """What belongs to the answer: how far the next is, what a merge explains, and copies of the model itself."""
    lines = []
    best, second = search.best, search.runner_up
    if search.candidates and best is None:
        text = _tr("Even the nearest, {name}, differs by more than half in most layers.")
        lines.append(text.format(name=model_name(search.candidates[0].path)))
    if search.merge is not None and best is not None:
        text = _tr("That explains {share} of its distance to the nearest, {name}.")
        share = f"{decimal(100 * search.merge.explained, 1)} %"
        lines.append(text.format(share=share, name=model_name(best.path)))
    elif best is not None and second is not None and second.unrelated:
        lines.append(_tr("No other model in these folders is related to it."))
    elif best is not None and second is not None:
        text = _tr("The next, {name}, is {distance} away.")
        lines.append(text.format(name=model_name(second.path), distance=distance_text(second)))
    if best is not None and best.within_rounding:
        text = _tr("{name} differs by no more than its own rounding: it may be a copy of the model itself.")
        lines.append(text.format(name=model_name(best.path)))
    lines += [itself_text(item) for item in search.itself]
    return lines


def itself_text(skipped: Skipped) -> str:
    """That a place holds the model itself, and is left out."""
    texts = {
        SkipReason.SAME_FILE: _tr("{name} is the model itself and was left out."),
        SkipReason.SAME_BYTES: _tr("{name} is a copy of the model and was left out."),
        SkipReason.SAME_NUMBERS: _tr("{name} holds the model's own numbers and was left out."),
        SkipReason.ROUNDED_COPY: _tr("{name} is the model in another form, but for rounding, and was left out."),
    }
    return texts[skipped.reason].format(name=model_name(skipped.path))


def skipped_summary(search: OriginalSearch) -> str:
    """How many places were skipped, by reason; empty where none was."""
    counts = Counter(
        item.reason if item.reason is SkipReason.OTHER_MODEL else None
        for item in search.skipped
        if item.reason not in ITSELF
    )
    parts = []
    if other := counts[SkipReason.OTHER_MODEL]:
        text = plural(CONTEXT, "{count} model of another kind", "{count} models of another kind", other)
        parts.append(text.format(count=whole(other)))
    if broken := counts[None]:
        text = plural(CONTEXT, "{count} that could not be read", "{count} that could not be read", broken)
        parts.append(text.format(count=whole(broken)))
    return _tr("Skipped: {parts}.").format(parts=_listed(parts)) if parts else ""


def skip_text(skipped: Skipped) -> str:
    """Why a place was skipped, as a sentence."""
    if skipped.reason in ITSELF:
        return itself_text(skipped)
    if skipped.error is not None:
        return " ".join(error_text(skipped.error)).strip()
    texts = {
        SkipReason.OTHER_MODEL: _tr("It is a model of another kind: its names or shapes do not match."),
        SkipReason.LINK_LOOP: _tr("The link leads back to itself or to a folder above it."),
        SkipReason.DEAD_LINK: _tr("The link leads nowhere."),
        SkipReason.NON_FINITE: _tr("Most of its numbers are infinite or not numbers."),
    }
    return texts[skipped.reason]


def _listed(parts: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return _tr("{parts} and {last}").format(parts=", ".join(parts[:-1]), last=parts[-1])
