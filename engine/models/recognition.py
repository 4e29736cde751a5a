"""What the names of one component say: its family, its layout, the component, and how its canonical names begin."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from engine.checkpoints import WeightSource, WeightView
from engine.models import wrappers
from engine.models.families import COMPONENT_PREFIXES, FAMILIES, GENERIC, Family
from engine.models.layouts import NATIVE, Layout, layout_of
from engine.models.text_encoders import detect_text_encoder

DENOISER = "diffusion_model."
Sources = dict[str, WeightSource]


@dataclass(frozen=True)
class Kind:
    """What a component is.

    Attributes:
        family: of its names.
        layout: that its names follow.
        component: ``denoiser``, ``text_encoders``, ``vae`` or ``other``.
        canonical: how the canonical names of its weights begin.
    """

    family: Family
    layout: Layout = NATIVE
    component: str = "denoiser"
    canonical: str = DENOISER

    def views(self, sources: Sources) -> list[tuple[str, WeightView]]:
        """The weights by their canonical names."""
        return [(self.canonical + name, view) for name, view in self.layout.views(sources, self.component)]


def kind_of(sources: Sources) -> Kind | None:
    """What a component is by its names, its own beginning taken off; None where no row knows it."""
    found = layout_of(sources)
    if found is not None:
        return Kind(*found)
    shapes = {name: source.shape for name, source in sources.items()}
    encoder = detect_text_encoder(shapes)
    if encoder is not None:
        return Kind(encoder.family, NATIVE, "text_encoders", encoder.canonical)
    encoder = detect_text_encoder({"model." + name: shape for name, shape in shapes.items()})
    if encoder is not None:  # saved without the level of its head
        return Kind(encoder.family, NATIVE, "text_encoders", encoder.canonical + "model.")
    family = detect_family(shapes)
    return None if family is GENERIC else Kind(family)


def detect_family(names: Collection[str]) -> Family:
    """The family whose signature the names carry; the generic one where there is none."""
    return next((family for family in FAMILIES if family.fits(names)), GENERIC)


def is_checkpoint(sources: Sources) -> bool:
    """Whether names begin with a component."""
    return any(name.startswith(prefix) for name in sources for prefix, *_ in COMPONENT_PREFIXES)


def behind(start: str, sources: Sources) -> Sources:
    """What begins so, by the rest of its name."""
    return {name[len(start) :]: source for name, source in sources.items() if name.startswith(start)}


def recognised(sources: Sources, group: str = "") -> tuple[str, Sources] | None:
    """The shortest beginning of wrapper words, at least the group's, behind which a model or components stand."""
    for start in wrappers.starts(sources):
        if start.startswith(group):
            inner = behind(start, sources)
            if is_checkpoint(inner) or kind_of(inner) is not None:
                return start, inner
    return None
