"""What the names of one component say: its family, its layout, the component, and how its canonical names begin."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import takewhile

from engine.checkpoints import WeightSource, WeightView
from engine.models import wrappers
from engine.models.families import COMPONENT_PREFIXES, FAMILIES, GENERIC, Family
from engine.models.layouts import NATIVE, Layout, layout_of
from engine.models.text_encoders import TextEncoder, detect_text_encoder

DENOISER, VAE = "diffusion_model.", "vae."
Sources = dict[str, WeightSource]
COMPONENT_STARTS = tuple(prefix for prefix, *_ in COMPONENT_PREFIXES)
_FEWEST = 3  # tensors of which it can be said that all their names begin alike


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
    if found is None:
        shapes = {name: source.shape for name, source in sources.items()}
        family = detect_family(shapes)
        return _encoder(shapes, NATIVE) or (None if family is GENERIC else Kind(family))
    family, layout = found
    if layout.component == "vae":
        return Kind(family, layout, "vae", VAE)
    if layout.component == "text_encoders":
        named = {name: view.shape for name, view in layout.views(sources, "text_encoders")}
        return _encoder(named, layout) or Kind(GENERIC)  # a model with sight that ComfyUI has no encoder of
    return Kind(family, layout)


def _encoder(shapes: Mapping[str, tuple[int, ...]], layout: Layout) -> Kind | None:
    found = encoder_of(shapes)
    if found is None:
        return None
    encoder, level = found
    return Kind(encoder.family, layout, "text_encoders", encoder.canonical + level)


def encoder_of(shapes: Mapping[str, tuple[int, ...]]) -> tuple[TextEncoder, str] | None:
    """A text encoder by its names and sizes, and the level that they lack; None for a language model, and else."""
    for level in ("", "model."):  # that is missing where a model was saved without its head
        encoder = detect_text_encoder({level + name: shape for name, shape in shapes.items()} if level else shapes)
        if encoder is not None:
            return encoder, level
    return None


def detect_family(names: Collection[str]) -> Family:
    """The family whose signature the names carry; the generic one where there is none."""
    return next((family for family in FAMILIES if family.fits(names)), GENERIC)


def is_checkpoint(sources: Sources) -> bool:
    """Whether names begin with a component."""
    return any(name.startswith(COMPONENT_STARTS) for name in sources)


def behind(start: str, sources: Sources) -> Sources:
    """What begins so, by the rest of its name."""
    return {name[len(start) :]: source for name, source in sources.items() if name.startswith(start)}


def recognised(sources: Sources, group: str = "") -> tuple[str, Sources] | None:
    """The shortest beginning, at least the group's, behind which a model or components stand; and what stands there.

    It consists of wrapper words, or of any words where every name begins with them.
    """
    for start in (*wrappers.starts(sources), *_common_starts(sources)):
        if start.startswith(group):
            inner = behind(start, sources)
            kind = kind_of(inner)
            if kind is not None and kind.component == "text_encoders" and len(inner) < len(sources):
                continue  # part of something larger, such as a model with sight
            if is_checkpoint(inner) or kind is not None:
                return start, inner
    return None


def _common_starts(sources: Sources) -> list[str]:
    """What all names begin with, word by word."""
    if len(sources) < _FEWEST:
        return []
    first, last = min(sources).split("."), max(sources).split(".")
    common = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first[:-1], last[:-1], strict=False))]
    return ["".join(word + "." for word in common[:count]) for count in range(1, len(common) + 1)]
