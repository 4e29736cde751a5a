"""From the names in a file to canonical names: model, component, prefix, spelling; nothing dropped in silence.

A canonical name is what ComfyUI calls the weight, ``diffusion_model.<native name>`` or
``text_encoders.<clip>.transformer.<name>``, so that both sides of a pair meet whatever their files call it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product

from engine.checkpoints import Checkpoint, WeightSource, WeightView
from engine.events import Notice, NoticeCode
from engine.models import wrappers
from engine.models.families import (
    COMPONENT_PREFIXES,
    EMA_PREFIXES,
    FAMILIES,
    GENERIC,
    TEXT_ENCODER_FILES,
    WRAPPER_PREFIXES,
    Family,
)
from engine.models.layouts import LAYOUTS, NATIVE, Layout, layout_of
from engine.results import LeaveOutReason, LeftOut

DENOISER = "diffusion_model."
_COMPONENT = re.compile(r"diffusion_model\.|text_encoders\.[^.]+\.transformer\.|vae\.")
_EMA_COUNTERS = {"decay", "num_updates", "n_averaged", "initted", "step"}  # that averaging keeps beside the weights

Sources = dict[str, WeightSource]


@dataclass(frozen=True)
class NamedModel:
    """A checkpoint's tensors by canonical name, those that have none, and what there is to say of the names.

    Attributes:
        family: of the model.
        views: the weights by canonical name.
        left_out: tensors that have none, with the reasons.
        notices: remarks.
        layouts: those of its components whose names are not the canonical ones, in the order of the file.
        models: how the names of each model in the file begin, the likeliest first; one entry where there is one model.
    """

    family: Family
    views: dict[str, WeightView]
    left_out: tuple[LeftOut, ...]
    notices: tuple[Notice, ...] = ()
    layouts: tuple[Layout, ...] = ()
    models: tuple[str, ...] = ("",)


@dataclass
class _Split:
    """The tensors of a file by the model that they belong to.

    Attributes:
        models: recognised ones, by the beginning of their names; the likeliest first.
        plain: whatever has no model's word in front, or one that turned out to be a module.
        left_out: what has no place.
    """

    models: dict[str, Sources]
    plain: Sources
    left_out: list[LeftOut]


def name_tensors(checkpoint: Checkpoint, model: str | None = None) -> NamedModel:
    """Give every tensor of a checkpoint its canonical name.

    Args:
        checkpoint: opened.
        model: which of several models in the file, one of `NamedModel.models`; None takes the likeliest.
    """
    weights, left_out = _without_always(checkpoint.weights)
    split = _split(_without_module(weights))
    left_out += split.left_out
    chosen = model if model in split.models else next(iter(split.models), "")
    inner = split.models.get(chosen, split.plain)
    for start, others in split.models.items():
        if start != chosen:
            reason = LeaveOutReason.EMA_COPY if _ema(start) else LeaveOutReason.OTHER_MODEL
            left_out += [LeftOut(source.name, reason) for source in others.values()]
    reading = _Reading()
    reading.read(inner)
    if inner is not split.plain:
        reading.add_beside(split.plain)
    return NamedModel(
        reading.family,
        reading.views,
        (*left_out, *reading.left_out),
        tuple(_notices(checkpoint.path.name, chosen, split)),
        tuple(layout for layout in dict.fromkeys(reading.layouts) if layout is not NATIVE),
        tuple(split.models) or ("",),
    )


def detect_family(names: set[str]) -> Family:
    """The family whose signature the names carry; the generic one where there is none."""
    for family in FAMILIES:
        if all(name in names for name in family.signature) and not any(name in names for name in family.absent):
            return family
    return GENERIC


@dataclass(frozen=True)
class _Kind:
    """What the names of one component say: its family and layout, the component, and how its canonical names begin."""

    family: Family
    layout: Layout = NATIVE
    component: str = "denoiser"
    canonical: str = DENOISER


def _kind_of(sources: Sources) -> _Kind | None:
    """What the names of a component are; None where neither a layout nor a family knows them."""
    found = layout_of(sources)
    if found is not None:
        return _Kind(*found)
    encoder = _text_encoder(sources)
    if encoder is not None:
        return _Kind(GENERIC, NATIVE, "text_encoders", encoder)
    family = detect_family(set(sources))
    return None if family is GENERIC else _Kind(family)


class _Reading:
    """Canonical names found so far; the first tensor that comes for a name has it."""

    def __init__(self) -> None:
        self.family = GENERIC
        self.views: dict[str, WeightView] = {}
        self.left_out: list[LeftOut] = []
        self.layouts: list[Layout] = []

    def read(self, sources: Sources) -> None:
        """Name the tensors of a model, whose own beginning has been taken off."""
        start, inner = _recognised(sources, "")
        if start and _is_checkpoint(inner):
            sources = self._without(start, sources)
        rest = self._read_components(sources)
        if any(name.startswith(DENOISER) for name in self.views) or not rest:
            self._add(NATIVE.views(rest, "other"))
            return
        start, inner = _recognised(rest, "")
        kind = _kind_of(inner) or _Kind(GENERIC)
        if start is None:
            start = next((start for start in WRAPPER_PREFIXES if all(map(_begins(start), rest))), "")
        named = self._views(start, rest, kind)
        self.family = kind.family
        self._add_in_order(named, rest)

    def add_beside(self, sources: Sources) -> None:
        """Name what stands beside the model: other components, or something of its own."""
        self._add(NATIVE.views(self._read_components(sources), "other"))

    def _read_components(self, sources: Sources) -> Sources:
        """Name what a prefix gives a component; returns the rest."""
        rest: Sources = {}
        named: list[tuple[str, WeightView]] = []
        prefixed: dict[tuple[str, str, str, str], Sources] = {}
        for whole, source in sources.items():
            row = next((row for row in COMPONENT_PREFIXES if whole.startswith(row[0])), None)
            if row is None:
                rest[whole] = source
            else:
                prefixed.setdefault(row, {})[whole[len(row[0]) :]] = source
        for (_, component, canonical, key), inner in prefixed.items():
            start = _start_inside(inner)
            kind = _Kind(GENERIC, LAYOUTS[key], component, canonical)
            found = _kind_of({name[len(start) :]: source for name, source in inner.items() if name.startswith(start)})
            if found is not None and found.component == component == "denoiser":
                kind = found
                self.family = kind.family if self.family is GENERIC else self.family
            named += self._views(start, inner, kind)
        self._add_in_order(named, sources)
        return rest

    def _views(self, start: str, sources: Sources, kind: _Kind) -> list[tuple[str, WeightView]]:
        """The canonical names of a component; what lacks its beginning is taken as it is."""
        inner = {name[len(start) :]: source for name, source in sources.items() if name.startswith(start)}
        outside = {name: source for name, source in sources.items() if not name.startswith(start)}
        self.layouts.append(kind.layout)
        views = [*kind.layout.views(inner, kind.component), *NATIVE.views(outside, kind.component)]
        return [(kind.canonical + name, view) for name, view in views]

    def _add_in_order(self, named: list[tuple[str, WeightView]], sources: Sources) -> None:
        place = {source.name: index for index, source in enumerate(sources.values())}
        self._add(sorted(named, key=lambda item: place[item[1].source.name]))  # in the order of the files

    def _without(self, start: str, sources: Sources) -> Sources:
        """Take a beginning off the names that have it; of two that meet the one that had it stays."""
        if not start:
            return sources
        found: Sources = {}
        for name, source in sources.items():
            short = name.removeprefix(start)
            if short == name and start + name in sources:
                self.left_out.append(_duplicate(source, sources[start + name]))
            else:
                found[short] = source
        return found

    def _add(self, found: Iterable[tuple[str, WeightView]]) -> None:
        for name, view in found:
            if name in self.views:
                self.left_out.append(_duplicate(view.source, self.views[name].source))
            else:
                self.views[name] = view


def _without_always(weights: Mapping[str, WeightSource]) -> tuple[Sources, list[LeftOut]]:
    """The tensors by their names without the words that no module is called; of two that meet the plain one stays."""
    found: Sources = {name: source for name, source in weights.items() if wrappers.without_always(name) == name}
    left_out = []
    for name, source in weights.items():
        short = wrappers.without_always(name)
        if short != name and short in found:
            left_out.append(_duplicate(source, found[short]))
        else:
            found[short] = source
    return found, left_out


def _without_module(weights: Sources) -> Sources:
    """The tensors without the word ``module`` inside their names, where only then a family recognises them."""
    short = {wrappers.without_module(name): source for name, source in weights.items()}
    if short.keys() == weights.keys() or len(short) < len(weights):
        return weights
    needed = _recognised(weights, "")[0] is None and _recognised(short, "")[0] is not None
    return short if needed else weights


def _split(weights: Sources) -> _Split:
    """Find the models in a file: what stands under a word of its own and carries a family's names."""
    groups: dict[str, Sources] = {"": {}}
    for name, source in weights.items():
        groups.setdefault(wrappers.model_start(name), {})[name] = source
    plain = groups.pop("")
    models: dict[str, Sources] = {}
    copies: dict[str, Sources] = {}
    left_out: list[LeftOut] = []
    for group, sources in groups.items():
        named = _dotted(group, sources)
        start, inner = _recognised(named, group)
        if start is not None:
            counters = _EMA_COUNTERS & inner.keys() if _ema(group) else set()
            left_out += [LeftOut(inner[name].name, LeaveOutReason.EMA_COPY) for name in sorted(counters)]
            models[start] = {name: source for name, source in inner.items() if name not in counters}
            plain |= {name: source for name, source in named.items() if not name.startswith(start)}
        elif _ema(group):
            copies[group] = sources
        else:
            plain |= sources
    for group, sources in copies.items():
        inner = {name[len(group) :]: source for name, source in sources.items()}
        if not plain and not models:
            models[group] = inner
        elif group.startswith(EMA_PREFIXES) or _is_copy(inner, plain):
            left_out += [LeftOut(source.name, LeaveOutReason.EMA_COPY) for source in sources.values()]
        else:
            plain |= sources
    if models:
        start, inner = _recognised(plain, "")
        if start is not None and _has_model(inner):
            models[start] = inner
            plain = {name: source for name, source in plain.items() if not name.startswith(start)}
    return _Split(dict(sorted(models.items(), key=lambda item: wrappers.preference(item[0]))), plain, left_out)


def _dotted(group: str, sources: Sources) -> Sources:
    """The names of an EMA copy with the dots that some programs take out; as they are where they have them."""
    if not _ema(group):
        return sources
    return {group + (wrappers.dotted(name[len(group) :]) or name[len(group) :]): it for name, it in sources.items()}


def _recognised(sources: Sources, group: str) -> tuple[str | None, Sources]:
    """The shortest beginning, at least the group's, behind which the names are a model's; and what stands behind it."""
    for start in wrappers.starts(sources):
        if start.startswith(group):
            inner = {name[len(start) :]: source for name, source in sources.items() if name.startswith(start)}
            if _is_checkpoint(inner) or _is_model(inner):
                return start, inner
    return None, {}


def _is_checkpoint(sources: Sources) -> bool:
    return any(name.startswith(prefix) for name in sources for prefix, *_ in COMPONENT_PREFIXES)


def _is_model(sources: Sources) -> bool:
    return _kind_of(sources) is not None


def _has_model(sources: Sources) -> bool:
    """Whether there is more than what accompanies a denoiser."""
    return _is_model(sources) or any(name.startswith(("model.diffusion_model.", DENOISER)) for name in sources)


def _is_copy(inner: Sources, others: Sources) -> bool:
    """Whether an EMA copy's names are all names of other weights, whatever stands in front of those."""
    known = {wrappers.bare(name) for name in others}
    return all(wrappers.bare(name) in known for name in inner)


def _ema(start: str) -> bool:
    return any(map(wrappers.is_ema, start.split(".")))


def _begins(start: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(start)


def _start_inside(sources: Sources) -> str:
    """Wrapper words that stand between a component's prefix and its own names; empty where the names need none off."""
    for start in wrappers.starts(sources):
        inner = {name[len(start) :]: source for name, source in sources.items() if name.startswith(start)}
        if _is_model(inner) or (start == "module." and len(inner) == len(sources)):
            return start
    return ""


def _text_encoder(sources: Sources) -> str | None:
    """The canonical start of a text encoder in a file of its own."""
    for key, allowed, canonical in TEXT_ENCODER_FILES:
        source = sources.get(key)
        if source is not None and source.shape and (not allowed or source.shape[-1] in allowed):
            return canonical
    return None


def _notices(file: str, chosen: str, split: _Split) -> Iterable[Notice]:
    others = [start for start in split.models if start != chosen]
    if _ema(chosen) and not others:
        yield Notice(NoticeCode.EMA_USED, chosen.rstrip("."), {"file": file})
    elif _ema(chosen) or any(not _ema(start) for start in others):
        data = {"file": file, "others": [start.rstrip(".") for start in others]}
        yield Notice(NoticeCode.SEVERAL_MODELS, chosen.rstrip("."), data)


def _duplicate(source: WeightSource, used: WeightSource) -> LeftOut:
    return LeftOut(source.name, LeaveOutReason.DUPLICATE_NAME, f"{used.name} has the same place and is used")


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
    enough = 0.9 * max(common)
    return next(pair for pair, count in zip(pairs, common, strict=True) if count >= enough)


def _common(tuned: NamedModel, base: NamedModel) -> int:
    return sum(view.shape == tuned.views[name].shape for name, view in base.views.items() if name in tuned.views)


def align_names(tuned: NamedModel, base: NamedModel) -> tuple[NamedModel, NamedModel]:
    """Let weights meet whose names differ by nothing but wrapper words.

    First the beginning that makes most names meet is taken off either side's denoiser; then single names that only
    wrapper words inside keep apart get the shorter of both names. Names that meet as they are stay as they are.
    """
    tuned, base = _align_starts(tuned, base)
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
            left_out.append(_duplicate(view.source, taken.source))
    return replace(model, views=views, left_out=tuple(left_out))
