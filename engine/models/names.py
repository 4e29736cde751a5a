"""From the names in a file to canonical names: model, component, prefix, spelling; nothing dropped in silence.

A canonical name is what ComfyUI calls the weight, ``diffusion_model.<native name>`` or
``text_encoders.<clip>.transformer.<name>``, so that both sides of a pair meet whatever their files call it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from engine.checkpoints import Checkpoint, WeightSource, WeightView
from engine.checkpoints.names_of_files import TEXT_ENCODERS
from engine.errors import EngineError
from engine.events import Notice, NoticeCode
from engine.models import wrappers
from engine.models.families import COMPONENT_PREFIXES, GENERIC, WRAPPER_PREFIXES, Family
from engine.models.layouts import LAYOUTS, NATIVE, Layout
from engine.models.layouts.llama_cpp import llama_cpp_layout
from engine.models.models_in_file import duplicate, models_in
from engine.models.pipelines import in_order, place_of
from engine.models.recognition import (
    COMPONENT_STARTS,
    Kind,
    Sources,
    behind,
    encoder_of,
    is_checkpoint,
    kind_of,
    recognised,
)
from engine.models.recognition import DENOISER as DENOISER
from engine.models.recognition import detect_family as detect_family
from engine.results import LeaveOutReason, LeftOut

_ENCODER = re.compile(r"text_encoders\.[^.]+\.transformer\.")


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


def name_tensors(checkpoint: Checkpoint, model: str | None = None) -> NamedModel:
    """Give every tensor of a checkpoint its canonical name.

    Args:
        checkpoint: opened.
        model: which of several models in the file, one of `NamedModel.models`; None takes the one that was chosen with
            the file, else the likeliest.

    Raises:
        EngineError: ``part_unknown`` where the file has no model of the name that was chosen with it.
    """
    if checkpoint.part and model is None:
        try:
            named = _name_weights(checkpoint.weights, checkpoint.path.name, checkpoint.part)
        except EngineError as error:
            raise EngineError(error.code, file=checkpoint.path, **error.data) from error
        return replace(named, models=("",))  # no other is to be tried
    if checkpoint.components:
        return _name_components(checkpoint)
    layout = llama_cpp_layout(checkpoint.weights, checkpoint.metadata)
    if layout is not None:
        return _name_llama_cpp(checkpoint.weights, layout)
    return _name_weights(checkpoint.weights, checkpoint.path.name, model)


def _name_llama_cpp(weights: Mapping[str, WeightSource], layout: Layout) -> NamedModel:
    """Name the weights of a GGUF file as those of the Hugging Face model that it was made from."""
    views = layout.views(weights, "other")
    found = recognised({name: replace(view.source, shape=view.shape) for name, view in views})
    start, kind = ("", Kind(GENERIC)) if found is None else (found[0], kind_of(found[1]) or Kind(GENERIC))
    named = {kind.canonical + name.removeprefix(start): replace(view, component=kind.component) for name, view in views}
    return NamedModel(kind.family, named, (), layouts=(layout,))


def _name_weights(weights: Mapping[str, WeightSource], file: str, model: str | None = None) -> NamedModel:
    found = models_in(weights)
    chosen = found.chosen(model)
    reading = _Reading()
    if chosen in found.models:
        reading.read(found.models[chosen])
        reading.add_beside(found.plain)
    else:
        reading.read(found.plain)
    return NamedModel(
        reading.family.as_variant(_shapes(reading.views)),
        reading.views,
        (*found.left_out, *found.others(chosen), *reading.left_out),
        tuple(found.notices(file, chosen)),
        tuple(layout for layout in dict.fromkeys(reading.layouts) if layout is not NATIVE),
        tuple(found.models) or ("",),
    )


def _shapes(views: Mapping[str, WeightView]) -> dict[str, tuple[int, ...]]:
    return {name[len(DENOISER) :]: view.shape for name, view in views.items() if name.startswith(DENOISER)}


class _Reading:
    """Canonical names found so far; the first tensor that comes for a name has it."""

    def __init__(self) -> None:
        self.family = GENERIC
        self.views: dict[str, WeightView] = {}
        self.left_out: list[LeftOut] = []
        self.layouts: list[Layout] = []

    def read(self, sources: Sources) -> None:
        """Name the tensors of a model, whose own beginning has been taken off."""
        found = recognised(sources)
        if found is not None and found[0] and is_checkpoint(found[1]):
            sources = self._without(found[0], sources)
        rest = self._read_encoders(self._read_components(sources), len(sources))
        if any(name.startswith(DENOISER) for name in self.views) or not rest:
            self._add(NATIVE.views(rest, "other"))
            return
        if len(rest) < len(sources):
            found = recognised(rest)
        if found is not None:
            start, kind = found[0], kind_of(found[1]) or Kind(GENERIC)
        else:
            common = (start for start in WRAPPER_PREFIXES if all(name.startswith(start) for name in rest))
            start, kind = next(common, ""), Kind(GENERIC)
        self.family = kind.family
        self._add(self._views(start, rest, kind))

    def add_beside(self, sources: Sources) -> None:
        """Name what stands beside the model: other components, or something of its own."""
        self._add(NATIVE.views(self._read_components(sources), "other"))

    def _read_components(self, sources: Sources) -> Sources:
        """Name what a prefix gives a component; returns the rest."""
        rest: Sources = {}
        named: list[tuple[str, WeightView]] = []
        prefixed: dict[tuple[str, str, str, str], Sources] = {}
        for whole, source in sources.items():
            if not whole.startswith(COMPONENT_STARTS):
                rest[whole] = source
                continue
            row = next(row for row in COMPONENT_PREFIXES if whole.startswith(row[0]))
            prefixed.setdefault(row, {})[whole[len(row[0]) :]] = source
        for (_, component, canonical, key), inner in prefixed.items():
            start = _start_inside(inner)
            kind = Kind(GENERIC, LAYOUTS[key], component, canonical)
            found = kind_of(behind(start, inner)) if kind.layout is NATIVE else None
            if found is not None and found.component == component:
                kind = replace(found, canonical=canonical)
                if component == "denoiser":
                    self.family = kind.family if self.family is GENERIC else self.family
            named += self._views(start, inner, kind)
        self._add(_in_order(named, sources))
        return rest

    def _read_encoders(self, sources: Sources, count: int) -> Sources:
        """Name text encoders that stand beside something else as diffusers calls their folders; returns the rest.

        Args:
            sources: what has no component's prefix.
            count: of the whole model's tensors.
        """
        rest = sources
        for word in TEXT_ENCODERS:
            inner = behind(f"{word}.", rest)
            if not 0 < len(inner) < count:
                continue
            start = _start_inside(inner)
            kind = kind_of(behind(start, inner))
            if kind is not None and kind.component == "text_encoders":
                self._add(self._views(start, inner, kind))
                rest = {name: source for name, source in rest.items() if not name.startswith(f"{word}.")}
        return rest

    def _views(self, start: str, sources: Sources, kind: Kind) -> list[tuple[str, WeightView]]:
        """The canonical names of a component; what lacks its beginning is taken as it is."""
        self.layouts.append(kind.layout)
        outside = {name: source for name, source in sources.items() if not name.startswith(start)}
        views = [*kind.views(behind(start, sources)), *replace(kind, layout=NATIVE).views(outside)]
        return _in_order(views, sources)

    def _without(self, start: str, sources: Sources) -> Sources:
        """Take a beginning off the names that have it; of two that meet the one that had it stays."""
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


def _in_order(named: list[tuple[str, WeightView]], sources: Sources) -> list[tuple[str, WeightView]]:
    """In the order of the files."""
    place = {source.name: index for index, source in enumerate(sources.values())}
    return sorted(named, key=lambda item: place[item[1].source.name])


def _start_inside(sources: Sources) -> str:
    """Wrapper words that stand between a component's prefix and its own names; empty where the names need none off."""
    for start in wrappers.starts(sources):
        inner = behind(start, sources)
        if kind_of(inner) is not None or (start == "module." and len(inner) == len(sources)):
            return start
    return ""


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
        if component == "text_encoders":
            named = _as_text_encoder(named, folder, canonical)
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


def _as_text_encoder(named: NamedModel, folder: str, place: str) -> NamedModel:
    """A component in a text encoder's folder under canonical names.

    What it is its header tells; where that names no size, its place among the model's encoders does. A language model
    is an encoder here, whatever its size and with its head.
    """
    inner = {_ENCODER.sub("", name.removeprefix(DENOISER)): view for name, view in named.views.items()}
    found = encoder_of({name: view.shape for name, view in inner.items() if name != "lm_head.weight"})
    start = place
    if found is not None and (found[0].widths or folder in place):
        start = found[0].canonical + found[1]
    return replace(named, views={start + name: replace(it, component="text_encoders") for name, it in inner.items()})


def _in_folder(start: str, component: str, view: WeightView) -> WeightView:
    """A view of a component under the names that its sources have in the whole model."""
    pieces = (replace(piece, source=replace(piece.source, name=start + piece.source.name)) for piece in view.pieces)
    return replace(view, component=component, pieces=tuple(pieces))
