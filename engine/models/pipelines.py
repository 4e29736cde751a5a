"""What the folders of a model that diffusers saved stand for: component and canonical names."""

from __future__ import annotations

from collections.abc import Iterable

from engine.checkpoints.names_of_files import DENOISERS, TEXT_ENCODERS


def in_order(starts: Iterable[str]) -> list[str]:
    """The components of a model by what their names begin with, denoisers first: the family follows from them."""
    order = {f"{name}/": place for place, name in enumerate(DENOISERS)}
    return sorted(starts, key=lambda start: order.get(start, len(order)))


def place_of(folder: str) -> tuple[str, str]:
    """Component of what lies in a component's folder, and the start of canonical names that nothing else gives it."""
    if folder in DENOISERS:
        return "denoiser", "diffusion_model."
    if folder in TEXT_ENCODERS:
        return "text_encoders", f"text_encoders.{folder}.transformer."
    return ("vae", "vae.") if folder == "vae" else ("other", f"{folder}.")
