"""Layouts of names, a module for each group of families, and which one a file has."""

from __future__ import annotations

from collections.abc import Collection

from engine.models.families import FAMILIES, GENERIC, Family
from engine.models.layouts.cascade import STABLE_CASCADE
from engine.models.layouts.clip import CLIP_2022, OPEN_CLIP
from engine.models.layouts.flux import CHROMA, FLUX, FLUX2, NORM_WEIGHTS
from engine.models.layouts.hunyuan import (
    HUNYUAN_IMAGE,
    HUNYUAN_TENCENT,
    HUNYUAN_VIDEO,
    HUNYUAN_VIDEO15,
    HUNYUAN_VIDEO_TENCENT,
)
from engine.models.layouts.language import SIGHTED, SIGHTED_OUTSIDE
from engine.models.layouts.layout import Fuse, Layout, Rename, Swap
from engine.models.layouts.llama_cpp import LLAMA_CPP
from engine.models.layouts.lumina import LUMINA2, Z_IMAGE
from engine.models.layouts.mmdit import AURAFLOW, SD3
from engine.models.layouts.unet import SD1, SDXL, VAE
from engine.models.layouts.video import LTX, LTX2, WAN

__all__ = [
    "CLIP_2022",
    "HUNYUAN_VIDEO_TENCENT",
    "LAYOUTS",
    "NATIVE",
    "OPEN_CLIP",
    "SD1",
    "Fuse",
    "Layout",
    "Rename",
    "Swap",
    "layout_of",
]

NATIVE = Layout("native", "as the model's own program names them", "the file itself")
LAYOUTS = {
    layout.key: layout
    for layout in (
        NATIVE,
        OPEN_CLIP,
        CLIP_2022,
        FLUX,
        FLUX2,
        CHROMA,
        *NORM_WEIGHTS,
        HUNYUAN_VIDEO,
        HUNYUAN_VIDEO15,
        HUNYUAN_IMAGE,
        *HUNYUAN_TENCENT,
        WAN,
        LTX,
        LTX2,
        SD3,
        AURAFLOW,
        LUMINA2,
        Z_IMAGE,
        SDXL,
        SD1,
        VAE,
        *STABLE_CASCADE,
        SIGHTED,
        SIGHTED_OUTSIDE,
        *LLAMA_CPP,
    )
}
_FAMILIES = {family.key: family for family in FAMILIES}


def layout_of(names: Collection[str]) -> tuple[Family, Layout] | None:
    """The family and the layout of a component's names; None where they carry the signature of no layout.

    To be asked before the families' own signatures: some of their names are the same in both. The layout's `views`
    gives canonical names without the component's start, those that the family's row knows.

    Args:
        names: of the component, without its prefix and wrappers. A set, or something that is as quick at ``in``.
    """
    for layout in LAYOUTS.values():
        if layout.fits(names):
            return _FAMILIES.get(layout.family, GENERIC), layout.for_stored(names)
    return None
