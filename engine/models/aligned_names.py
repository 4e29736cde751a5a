"""Both models of a pair named so that their weights meet: which model of a file, which words in front and inside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import product

from engine.checkpoints import Checkpoint, WeightView
from engine.models import wrappers
from engine.models.models_in_file import duplicate
from engine.models.names import NamedModel, name_tensors
from engine.models.recognition import DENOISER

_COMPONENT = re.compile(r"diffusion_model\.|text_encoders\.[^.]+\.transformer\.|vae\.")
_NEARLY_ALL = 0.9  # of the weights that the best choice has in common: then the likelier model is taken


def name_pair(finetuned: Checkpoint, original: Checkpoint) -> tuple[NamedModel, NamedModel]:
    """Name both models of a pair so that their weights meet.

    Of several models in a file the likeliest is taken that has nearly as many weights of the same form in common with
    the other side as any.
    """
    tuned, base = name_tensors(finetuned), name_tensors(original)
    ours = [tuned, *(name_tensors(finetuned, model) for model in tuned.models[1:])]
    theirs = [base, *(name_tensors(original, model) for model in base.models[1:])]
    pairs = [align_names(one, other) for one, other in product(ours, theirs)]
    common = [_common(one, other) for one, other in pairs]
    enough = _NEARLY_ALL * max(common)
    return next(pair for pair, count in zip(pairs, common, strict=True) if count >= enough)


def align_names(tuned: NamedModel, base: NamedModel) -> tuple[NamedModel, NamedModel]:
    """Let weights meet whose names differ by nothing but wrapper words.

    First the beginning that makes most names meet is taken off either side's denoiser; then single names that only
    wrapper words inside keep apart get the shorter of both names. Names that meet as they are stay as they are.
    """
    tuned, base = _align_starts(*_align_encoders(tuned, base))
    ours, theirs = (_unmatched_by_bare_name(*sides) for sides in ((tuned, base), (base, tuned)))
    renames: tuple[dict[str, str], dict[str, str]] = ({}, {})
    taken = {*tuned.views, *base.views}
    for key in ours.keys() & theirs.keys():
        one, other = ours[key], theirs[key]
        if tuned.views[one].shape != base.views[other].shape:
            continue
        name = min((one, other), key=len) if len(one) != len(other) else "".join(key)
        if name in (one, other) or name not in taken:
            renames[0][one] = renames[1][other] = name
    return _renamed(tuned, renames[0]), _renamed(base, renames[1])


def _common(tuned: NamedModel, base: NamedModel) -> int:
    return sum(view.shape == tuned.views[name].shape for name, view in base.views.items() if name in tuned.views)


def _align_encoders(tuned: NamedModel, base: NamedModel) -> tuple[NamedModel, NamedModel]:
    """Where one side's names are a text encoder's and the other's a language model's, both are the text encoder."""
    for one, other in ((tuned, base), (base, tuned)):
        start = _encoder_start(one)
        if start is None or one.views.keys() & other.views.keys():
            continue
        names = {name: start + name.removeprefix(DENOISER) for name in other.views if name.startswith(DENOISER)}
        if sum(name in one.views for name in names.values()) * 2 >= len(one.views):
            views = {names.get(name, name): view for name, view in other.views.items()}
            views = {name: replace(view, component="text_encoders") for name, view in views.items()}
            moved = replace(other, family=one.family, views=views)
            return (one, moved) if one is tuned else (moved, one)
    return tuned, base


def _encoder_start(model: NamedModel) -> str | None:
    """How all canonical names of a text encoder in a file of its own begin."""
    found = {match[0] if match else "" for match in map(_COMPONENT.match, model.views)}
    start = found.pop() if len(found) == 1 else ""
    return start if start.startswith("text_encoders.") else None


def _align_starts(tuned: NamedModel, base: NamedModel) -> tuple[NamedModel, NamedModel]:
    tuned_names, base_names = set(tuned.views), set(base.views)
    best, choice = len(tuned_names & base_names), ("", "")
    if 2 * best >= min(len(tuned_names), len(base_names)):
        return tuned, base
    for ours in _starts(tuned_names):
        stripped = {_strip(name, ours) for name in tuned_names}
        for theirs in _starts(base_names):
            overlap = len(stripped & {_strip(name, theirs) for name in base_names})
            if overlap > best:
                best, choice = overlap, (ours, theirs)
    ours, theirs = choice
    return (
        _renamed(tuned, {name: _strip(name, ours) for name in tuned_names}),
        _renamed(base, {name: _strip(name, theirs) for name in base_names}),
    )


def _starts(names: set[str]) -> list[str]:
    return wrappers.starts(name[len(DENOISER) :] for name in names if name.startswith(DENOISER))


def _strip(name: str, start: str) -> str:
    whole = DENOISER + start
    return DENOISER + name[len(whole) :] if start and name.startswith(whole) else name


def _unmatched_by_bare_name(model: NamedModel, other: NamedModel) -> dict[tuple[str, str], str]:
    """The names that the other side lacks, by what is left without wrapper words; of several the likeliest.

    The keys are the start that every canonical name of the component has, and the rest.
    """
    found: dict[tuple[str, str], str] = {}
    names = [name for name in model.views if name not in other.views]
    for name in sorted(names, key=lambda name: (wrappers.preference(name.removeprefix(DENOISER)), len(name))):
        known = _COMPONENT.match(name)
        start = known[0] if known else ""
        found.setdefault((start, wrappers.bare(name[len(start) :])), name)
    return found


def _renamed(model: NamedModel, names: Mapping[str, str]) -> NamedModel:
    """The model with other names; a name that another weight has is not given away, and nothing is lost."""
    kept = {name for name in model.views if names.get(name, name) == name}
    views: dict[str, WeightView] = {}
    left_out = list(model.left_out)
    for name, view in model.views.items():
        new = names.get(name, name)
        taken = model.views[new] if new in kept and new != name else views.get(new)
        if taken is None:
            views[new] = view
        else:
            left_out.append(duplicate(view.source, taken.source))
    return replace(model, views=views, left_out=tuple(left_out))
