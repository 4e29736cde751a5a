"""From the names in a file to canonical names: component, prefix, spelling; nothing dropped in silence.

A canonical name is what ComfyUI calls the weight, ``diffusion_model.<native name>`` or
``text_encoders.<clip>.transformer.<name>``, so that both sides of a pair meet whatever their files call it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from engine.checkpoints import Checkpoint, WeightSource, WeightView
from engine.checkpoints.names_of_files import DENOISERS, TEXT_ENCODERS
from engine.events import Notice, NoticeCode
from engine.models.families import (
    COMPONENT_PREFIXES,
    EMA_PREFIXES,
    FAMILIES,
    GENERIC,
    TEXT_ENCODER_FILES,
    WRAPPER_PREFIXES,
    Family,
)
from engine.models.layouts import LAYOUTS, NATIVE, Layout
from engine.models.llama_cpp import llama_cpp_layout
from engine.results import LeaveOutReason, LeftOut

DENOISER = "diffusion_model."


@dataclass(frozen=True)
class NamedModel:
    """A checkpoint's tensors by canonical name, those that have none, and what there is to say of the names."""

    family: Family
    views: dict[str, WeightView]
    left_out: tuple[LeftOut, ...]
    notices: tuple[Notice, ...] = ()


def name_tensors(checkpoint: Checkpoint) -> NamedModel:
    """Give every tensor of a checkpoint its canonical name."""
    if checkpoint.components:
        return _name_components(checkpoint)
    layout = llama_cpp_layout(checkpoint.weights, checkpoint.metadata)
    if layout is not None:
        return _name_llama_cpp(checkpoint.weights, layout)
    return _name_weights(checkpoint.weights)


def _name_llama_cpp(weights: Mapping[str, WeightSource], layout: Layout) -> NamedModel:
    """Name the weights of a GGUF file as those of the Hugging Face model that it was made from."""
    sources = {name: view.source for name, view in layout.views(weights, "other")}
    family, component, canonical, wrapper = _identify_unprefixed(sources)
    views = layout.views(weights, component)
    return NamedModel(family, {canonical + name.removeprefix(wrapper): view for name, view in views}, ())


def _name_components(checkpoint: Checkpoint) -> NamedModel:
    """Name each component of a model in folders as the model of its own that it is, and put them together."""
    families: list[Family] = []
    views: dict[str, WeightView] = {}
    left_out: list[LeftOut] = []
    notices: list[Notice] = []
    denoisers: list[str] = []
    for start in checkpoint.components:
        folder = start.removesuffix("/")
        weights = checkpoint.weights_in(start)
        named = _name_weights(weights)
        component, canonical = _place_of(folder)
        if component == "denoiser":
            denoisers.append(folder)
            if len(denoisers) > 1:
                detail = f"{denoisers[0]} is used"
                left_out += [LeftOut(start + name, LeaveOutReason.DUPLICATE_NAME, detail) for name in weights]
                continue
            families.append(named.family)
        left_out += [replace(item, name=start + item.name) for item in named.left_out]
        notices += named.notices
        for name, view in named.views.items():
            here = name if view.component == component else canonical + name.removeprefix(DENOISER)
            if here in views:
                detail = f"{views[here].source.name} has the same place and is used"
                left_out.append(LeftOut(start + view.source.name, LeaveOutReason.DUPLICATE_NAME, detail))
            else:
                views[here] = _in_folder(start, component, view)
    if len(denoisers) > 1:
        notices.append(Notice(NoticeCode.OTHER_DENOISERS, denoisers[0], {"names": denoisers[1:]}))
    return NamedModel(families[0] if families else GENERIC, views, tuple(left_out), tuple(notices))


def _place_of(folder: str) -> tuple[str, str]:
    """Component and canonical start of what a folder of a model in diffusers' folders holds."""
    if folder in DENOISERS:
        return "denoiser", DENOISER
    if folder.startswith(TEXT_ENCODERS[0]):
        return "text_encoders", f"text_encoders.{folder}.transformer."
    return ("vae", "vae.") if folder == "vae" else ("other", f"{folder}.")


def _in_folder(start: str, component: str, view: WeightView) -> WeightView:
    """A view of a component under the names that its sources have in the whole model."""
    pieces = (replace(piece, source=replace(piece.source, name=start + piece.source.name)) for piece in view.pieces)
    return replace(view, component=component, pieces=tuple(pieces))


def _name_weights(sources: Mapping[str, WeightSource]) -> NamedModel:
    views: dict[str, WeightView] = {}
    left_out: list[LeftOut] = []
    rest: dict[str, WeightSource] = {}
    prefixed: dict[tuple[str, str, str, str], dict[str, WeightSource]] = {}
    for source in sources.values():
        if source.name.startswith(EMA_PREFIXES):
            left_out.append(LeftOut(source.name, LeaveOutReason.EMA_COPY))
            continue
        row = next((row for row in COMPONENT_PREFIXES if source.name.startswith(row[0])), None)
        if row is None:
            rest[source.name] = source
        else:
            prefixed.setdefault(row, {})[source.name[len(row[0]) :]] = source

    def add(found: Iterable[tuple[str, WeightView]]) -> None:
        for name, view in found:
            if name in views:
                detail = f"{views[name].source.name} has the same place and is used"
                left_out.append(LeftOut(view.source.name, LeaveOutReason.DUPLICATE_NAME, detail))
            else:
                views[name] = view

    place = {name: index for index, name in enumerate(sources)}
    named = [
        (canonical + name, view)
        for (_, component, canonical, layout), inner in prefixed.items()
        for name, view in LAYOUTS[layout].views(inner, component)
    ]
    add(sorted(named, key=lambda item: place[item[1].source.name]))  # in the order of the files
    denoiser = {name[len(DENOISER) :] for name in views if name.startswith(DENOISER)}
    if denoiser or not rest:
        family = detect_family(denoiser)
        add(NATIVE.views(rest, "other"))
    else:
        family, component, canonical, wrapper = _identify_unprefixed(rest)
        for name, source in rest.items():
            inner = name.removeprefix(wrapper)
            add((canonical + inner, view) for inner, view in NATIVE.views({inner: source}, component))
    return NamedModel(family, views, tuple(left_out))


def detect_family(names: set[str]) -> Family:
    """The family whose signature the names carry; the generic one where there is none."""
    for family in FAMILIES:
        if all(name in names for name in family.signature) and not any(name in names for name in family.absent):
            return family
    return GENERIC


def _identify_unprefixed(rest: Mapping[str, WeightSource]) -> tuple[Family, str, str, str]:
    """Family, component, canonical start, and the wrapper prefix to strip, of a file without component names."""
    names = set(rest)
    for wrapper in ("", *WRAPPER_PREFIXES):
        inner = {name[len(wrapper) :] for name in names if name.startswith(wrapper)}
        family = detect_family(inner)
        if family is not GENERIC:
            return family, "denoiser", DENOISER, wrapper
    widths = {name: source.shape[-1] for name, source in rest.items() if source.shape}
    for key, allowed, canonical in TEXT_ENCODER_FILES:
        if key in widths and (not allowed or widths[key] in allowed):
            return GENERIC, "text_encoders", canonical, ""
    for wrapper in WRAPPER_PREFIXES:
        if all(name.startswith(wrapper) for name in names):
            return GENERIC, "denoiser", DENOISER, wrapper
    return GENERIC, "denoiser", DENOISER, ""
