"""What the folders of a model that diffusers saved stand for: component and canonical names."""

from __future__ import annotations

from collections.abc import Iterable

from engine.checkpoints.names_of_files import DENOISERS, TEXT_ENCODERS

# Which text encoder a folder holds, where its tensors do not tell: folders by family, what ComfyUI calls them.
# Source: diffusers 0.42, pipelines/*/pipeline_*.py, the classes and order of the text encoders.
_TEXT_ENCODERS: dict[str, tuple[str, ...]] = {
    "sd1": ("clip_l",),
    "sdxl": ("clip_l", "clip_g"),
    "sd3": ("clip_l", "clip_g", "t5xxl"),
    "flux": ("clip_l", "t5xxl"),
}


def in_order(starts: Iterable[str]) -> list[str]:
    """The components of a model by what their names begin with, denoisers first: the family follows from them."""
    order = {f"{name}/": place for place, name in enumerate(DENOISERS)}
    return sorted(starts, key=lambda start: order.get(start, len(order)))


def place_of(folder: str, family: str) -> tuple[str, str]:
    """Component, and canonical start of what no other rule names, of a component's folder.

    Args:
        folder: such as ``text_encoder_2``.
        family: key of the denoiser's family.
    """
    if folder in DENOISERS:
        return "denoiser", "diffusion_model."
    if folder in TEXT_ENCODERS:
        known, number = _TEXT_ENCODERS.get(family, ()), TEXT_ENCODERS.index(folder)
        name = known[number] if number < len(known) else folder
        return "text_encoders", f"text_encoders.{name}.transformer."
    return ("vae", "vae.") if folder == "vae" else ("other", f"{folder}.")
