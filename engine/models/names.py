"""From the names in a file to canonical names: component, prefix, spelling; nothing dropped in silence.

A canonical name is what ComfyUI calls the weight, ``diffusion_model.<native name>`` or
``text_encoders.<clip>.transformer.<name>``, so that both sides of a pair meet whatever their files call it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.checkpoints import Checkpoint, WeightSource, WeightView
from engine.events import Notice
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

DENOISER, VAE = "diffusion_model.", "vae."


@dataclass(frozen=True)
class NamedModel:
    """A checkpoint's tensors by canonical name, those that have none, and what there is to say of the names.

    Attributes:
        family: of its denoiser.
        views: by canonical name.
        left_out: tensors without one.
        notices: remarks on the names.
        layouts: those of its components whose names are not the canonical ones, in the order of the file.
    """

    family: Family
    views: dict[str, WeightView]
    left_out: tuple[LeftOut, ...]
    notices: tuple[Notice, ...] = ()
    layouts: tuple[Layout, ...] = ()


def name_tensors(checkpoint: Checkpoint) -> NamedModel:
    """Give every tensor of a checkpoint its canonical name."""
    sources = checkpoint.weights
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

    def in_order(found: Iterable[tuple[str, WeightView]]) -> list[tuple[str, WeightView]]:
        return sorted(found, key=lambda item: place[item[1].source.name])  # of the files

    family, layouts, named = GENERIC, list[Layout](), list[tuple[str, WeightView]]()
    for (_, component, canonical, key), inner in prefixed.items():
        layout = LAYOUTS[key]
        if layout is NATIVE:
            found, other = _identify(inner)
            family = found if family is GENERIC and component == "denoiser" else family
            layout = other if other.component == component else NATIVE
        layouts.append(layout)
        named += ((canonical + name, view) for name, view in layout.views(inner, component))
    add(in_order(named))
    if any(name.startswith(DENOISER) for name in views) or not rest:
        add(NATIVE.views(rest, "other"))
    else:
        family, layout, component, canonical, wrapper = _identify_unprefixed(rest)
        inner = {name[len(wrapper) :]: source for name, source in rest.items() if name.startswith(wrapper)}
        others = {name: source for name, source in rest.items() if not name.startswith(wrapper)}
        named = [*layout.views(inner, component), *NATIVE.views(others, component)]
        layouts.append(layout)
        add(in_order((canonical + name, view) for name, view in named))
    used = tuple(layout for layout in dict.fromkeys(layouts) if layout is not NATIVE)
    return NamedModel(family, views, tuple(left_out), layouts=used)


def _text_encoder(sources: Mapping[str, WeightSource | WeightView]) -> str | None:
    """The canonical start of a text encoder in a file of its own; None where it is none that is known."""
    widths = {name: source.shape[-1] for name, source in sources.items() if source.shape}
    known = (row for row in TEXT_ENCODER_FILES if row[0] in widths and (not row[1] or widths[row[0]] in row[1]))
    return next((canonical for _, _, canonical in known), None)


def _identify(inner: Mapping[str, WeightSource]) -> tuple[Family, Layout]:
    """The family and the layout of a denoiser's names without its prefix."""
    found = layout_of(inner)
    return (detect_family(set(inner)), NATIVE) if found is None else found


def detect_family(names: set[str]) -> Family:
    """The family whose signature the names carry; the generic one where there is none."""
    for family in FAMILIES:
        if all(name in names for name in family.signature) and not any(name in names for name in family.absent):
            return family
    return GENERIC


def _identify_unprefixed(rest: Mapping[str, WeightSource]) -> tuple[Family, Layout, str, str, str]:
    """Family, layout, component, canonical start, and the wrapper prefix, of a file without component names."""
    names = set(rest)
    for wrapper in ("", *WRAPPER_PREFIXES):
        inner = {name[len(wrapper) :]: source for name, source in rest.items() if name.startswith(wrapper)}
        family, layout = _identify(inner)
        if layout.component == "vae":
            return family, layout, "vae", VAE, wrapper
        start = _text_encoder(dict(layout.views(inner, "text_encoders"))) if layout.component != "denoiser" else None
        if start is not None:
            return family, layout, "text_encoders", start, wrapper
        if family is not GENERIC:
            return family, layout, "denoiser", DENOISER, wrapper
    start = _text_encoder(rest)
    if start is not None:
        return GENERIC, NATIVE, "text_encoders", start, ""
    for wrapper in WRAPPER_PREFIXES:
        if all(name.startswith(wrapper) for name in names):
            return GENERIC, NATIVE, "denoiser", DENOISER, wrapper
    return GENERIC, NATIVE, "denoiser", DENOISER, ""
