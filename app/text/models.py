"""What a model is, in words: family, layout, components, container and encoding."""

from __future__ import annotations

from app.text.notices import format_bytes
from app.text.translation import marked, plural, translate, whole
from engine.checkpoints.dtypes import dtype_title
from engine.planning.inspection import ModelSummary

CONTEXT = "models"
_SHOWN = 2  # precisions in a model that has many
_LONG_NAME, _HASH_SHOWN = 40, 12

_COMPONENTS = {
    # component: in words; the denoiser goes without saying where there is nothing else
    "denoiser": marked("models", "denoiser"),
    "text_encoders": marked("models", "text encoders"),
    "vae": marked("models", "VAE"),
    "other": marked("models", "other parts"),
}
_LAYOUTS = (
    # titles of `engine.models.layouts` that are words; names of programs are the same everywhere
    marked("models", "diffusers names"),
    marked("models", "Tencent's names"),
)


def model_facts(summary: ModelSummary) -> list[str]:
    """Family, layout, components, container, encoding and size, each a few words."""
    facts = (
        family_text(summary),
        layout_text(summary),
        components_text(summary),
        container_text(summary),
        precision_text(summary),
        format_bytes(summary.size_bytes),
    )
    return [fact for fact in facts if fact]


def family_text(summary: ModelSummary) -> str:
    """``Flux.1``, ``Anima (by names only)``."""
    if not summary.by_names_only:
        return summary.family_title
    return translate(CONTEXT, "{family} (by names only)").format(family=summary.family_title)


def layout_text(summary: ModelSummary) -> str:
    """Whose names the weights have; empty for those of the model's own program."""
    return ", ".join(translate(CONTEXT, layout) for layout in summary.layouts)


def components_text(summary: ModelSummary) -> str:
    """``denoiser, text encoders, VAE``; empty where there is a denoiser alone."""
    there = [component for component in _COMPONENTS if summary.components.get(component)]
    if there == ["denoiser"]:
        return ""
    return ", ".join(translate(CONTEXT, _COMPONENTS[component]) for component in there)


def container_text(summary: ModelSummary) -> str:
    """``safetensors``, ``safetensors in 3 parts``, ``diffusers folders, 5 files``."""
    if summary.container == "diffusers":
        text = plural("models", "diffusers folders, {count} file", "diffusers folders, {count} files", summary.files)
        return text.format(count=whole(summary.files))
    if summary.files == 1:
        return summary.container
    text = translate(CONTEXT, "{container} in {count} parts")
    return text.format(container=summary.container, count=whole(summary.files))


def precision_text(summary: ModelSummary) -> str:
    """How the numbers are stored: the scheme where they cannot be read, else encodings, else dtypes."""
    if summary.quantisation:
        return summary.quantisation
    kinds = [dtype_title(name) for name, _count in summary.dtypes]
    encodings = [title for title, _count in summary.encodings]
    return " + ".join(list(dict.fromkeys(encodings or kinds))[:_SHOWN])


def short_link_text(summary: ModelSummary) -> str:
    """The same in few words: the name and the folder of what a link leads to, hashes cut off."""
    if summary.link is None:
        return ""
    name, folder = summary.link.name, summary.link.parent.name
    name = name if len(name) <= _LONG_NAME else f"{name[:_HASH_SHOWN]}\u2026"
    return translate(CONTEXT, "link to {place}").format(place=f"\u2026/{folder}/{name}")


def link_text(summary: ModelSummary) -> str:
    """Where a link leads; empty for a model that is none."""
    return translate(CONTEXT, "link to {place}").format(place=summary.link) if summary.link else ""
