"""From the names in a file to canonical names: model, component, prefix, spelling; nothing dropped in silence.

A canonical name is what ComfyUI calls the weight, ``diffusion_model.<native name>`` or
``text_encoders.<clip>.transformer.<name>``, so that both sides of a pair meet whatever their files call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

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
from engine.models.llama_cpp import llama_cpp_layout
from engine.models.pipelines import in_order, place_of
from engine.results import LeaveOutReason, LeftOut

DENOISER = "diffusion_model."
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
    if checkpoint.components:
        return _name_components(checkpoint)
    layout = llama_cpp_layout(checkpoint.weights, checkpoint.metadata)
    if layout is not None:
        return _name_llama_cpp(checkpoint.weights, layout)
    return _name_weights(checkpoint.weights, checkpoint.path.name, model)


def _name_llama_cpp(weights: Mapping[str, WeightSource], layout: Layout) -> NamedModel:
    """Name the weights of a GGUF file as those of the Hugging Face model that it was made from."""
    views = layout.views(weights, "other")
    start, inner = _recognised({name: view.source for name, view in views}, "")
    kind = _kind_of(inner) or _Kind(GENERIC)
    named = {
        kind.canonical + name.removeprefix(start or ""): replace(view, component=kind.component) for name, view in views
    }
    return NamedModel(kind.family, named, (), layouts=(layout,))


def _name_components(checkpoint: Checkpoint) -> NamedModel:
    """Name each component of a model in folders as the model of its own that it is, and put them together."""
    family = GENERIC
    views: dict[str, WeightView] = {}
    left_out: list[LeftOut] = []
    notices: list[Notice] = []
    layouts: list[Layout] = []
    denoisers: list[str] = []
    for start in in_order(checkpoint.components):
        folder = start.removesuffix("/")
        weights = checkpoint.weights_in(start)
        named = _name_weights(weights, folder)
        component, canonical = place_of(folder, family.key)
        if component == "denoiser":
            denoisers.append(folder)
            if len(denoisers) > 1:
                detail = f"{denoisers[0]} is used"
                left_out += [LeftOut(start + name, LeaveOutReason.DUPLICATE_NAME, detail) for name in weights]
                continue
            family = named.family
        left_out += [replace(item, name=start + item.name) for item in named.left_out]
        notices += named.notices
        layouts += named.layouts
        for name, view in named.views.items():
            here = name if view.component == component else canonical + name.removeprefix(DENOISER)
            if here in views:
                detail = f"{views[here].source.name} has the same place and is used"
                left_out.append(LeftOut(start + view.source.name, LeaveOutReason.DUPLICATE_NAME, detail))
            else:
                views[here] = _in_folder(start, component, view)
    if len(denoisers) > 1:
        notices.append(Notice(NoticeCode.OTHER_DENOISERS, denoisers[0], {"names": denoisers[1:]}))
    return NamedModel(family, views, tuple(left_out), tuple(notices), tuple(dict.fromkeys(layouts)))


def _in_folder(start: str, component: str, view: WeightView) -> WeightView:
    """A view of a component under the names that its sources have in the whole model."""
    pieces = (replace(piece, source=replace(piece.source, name=start + piece.source.name)) for piece in view.pieces)
    return replace(view, component=component, pieces=tuple(pieces))


def _name_weights(sources: Mapping[str, WeightSource], file: str, model: str | None = None) -> NamedModel:
    """Name the tensors of one file, or of one component in a folder of that name; see `name_tensors`."""
    weights, left_out = _without_always(sources)
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
        tuple(_notices(file, chosen, split)),
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
                self.left_out.append(duplicate(source, sources[start + name]))
            else:
                found[short] = source
        return found

    def _add(self, found: Iterable[tuple[str, WeightView]]) -> None:
        for name, view in found:
            if name in self.views:
                self.left_out.append(duplicate(view.source, self.views[name].source))
            else:
                self.views[name] = view


def _without_always(weights: Mapping[str, WeightSource]) -> tuple[Sources, list[LeftOut]]:
    """The tensors by their names without the words that no module is called; of two that meet the plain one stays."""
    found: Sources = {name: source for name, source in weights.items() if wrappers.without_always(name) == name}
    left_out = []
    for name, source in weights.items():
        short = wrappers.without_always(name)
        if short != name and short in found:
            left_out.append(duplicate(source, found[short]))
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


def duplicate(source: WeightSource, used: WeightSource) -> LeftOut:
    """A tensor left out as another one has its canonical name already."""
    return LeftOut(source.name, LeaveOutReason.DUPLICATE_NAME, f"{used.name} has the same place and is used")
