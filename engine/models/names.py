"""From the names in a file to canonical names: component, prefix, spelling; nothing dropped in silence.

A canonical name is what ComfyUI calls the weight, ``diffusion_model.<native name>`` or
``text_encoders.<clip>.transformer.<name>``, so that both sides of a pair meet whatever their files call it.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.checkpoints import Checkpoint, TensorInfo, TensorView
from engine.models.families import (
    COMPONENT_PREFIXES,
    EMA_PREFIXES,
    FAMILIES,
    GENERIC,
    OPEN_CLIP_NAMES,
    TEXT_ENCODER_FILES,
    WRAPPER_PREFIXES,
    Family,
)
from engine.results import LeaveOutReason, LeftOut

DENOISER = "diffusion_model."
_CLIP_ROOTS = ("embeddings.", "encoder.", "final_layer_norm.")


@dataclass(frozen=True)
class NamedModel:
    """A checkpoint's tensors by canonical name, and those that have none."""

    family: Family
    views: dict[str, TensorView]
    left_out: tuple[LeftOut, ...]


def name_tensors(checkpoint: Checkpoint) -> NamedModel:
    """Give every tensor of a checkpoint its canonical name."""
    views: dict[str, TensorView] = {}
    left_out: list[LeftOut] = []
    rest: list[TensorInfo] = []

    def add(name: str, view: TensorView) -> None:
        if name in views:
            detail = f"{views[name].info.name} has the same place and is used"
            left_out.append(LeftOut(view.info.name, LeaveOutReason.DUPLICATE_NAME, detail))
        else:
            views[name] = view

    for info in checkpoint.tensors.values():
        if info.name.startswith(EMA_PREFIXES):
            left_out.append(LeftOut(info.name, LeaveOutReason.EMA_COPY))
            continue
        for prefix, component, canonical, spelling in COMPONENT_PREFIXES:
            if info.name.startswith(prefix):
                for name, view in _spell(info, info.name[len(prefix) :], component, spelling):
                    add(canonical + name, view)
                break
        else:
            rest.append(info)

    denoiser = {name[len(DENOISER) :] for name in views if name.startswith(DENOISER)}
    if denoiser or not rest:
        family = detect_family(denoiser)
        for info in rest:
            add(info.name, TensorView(info, "other", info.shape))
    else:
        family, component, canonical, wrapper = _identify_unprefixed(rest)
        for info in rest:
            name = info.name[len(wrapper) :] if info.name.startswith(wrapper) else info.name
            add(canonical + name, TensorView(info, component, info.shape))
    return NamedModel(family, views, tuple(left_out))


def detect_family(names: set[str]) -> Family:
    """The family whose signature the names carry; the generic one where there is none."""
    for family in FAMILIES:
        if all(name in names for name in family.signature) and not any(name in names for name in family.absent):
            return family
    return GENERIC


def _identify_unprefixed(rest: list[TensorInfo]) -> tuple[Family, str, str, str]:
    """Family, component, canonical start, and the wrapper prefix to strip, of a file without component names."""
    names = {info.name for info in rest}
    for wrapper in ("", *WRAPPER_PREFIXES):
        inner = {name[len(wrapper) :] for name in names if name.startswith(wrapper)}
        family = detect_family(inner)
        if family is not GENERIC:
            return family, "denoiser", DENOISER, wrapper
    widths = {info.name: info.shape[-1] for info in rest if info.shape}
    for key, allowed, canonical in TEXT_ENCODER_FILES:
        if key in widths and (not allowed or widths[key] in allowed):
            return GENERIC, "text_encoders", canonical, ""
    for wrapper in WRAPPER_PREFIXES:
        if all(name.startswith(wrapper) for name in names):
            return GENERIC, "denoiser", DENOISER, wrapper
    return GENERIC, "denoiser", DENOISER, ""


def _spell(info: TensorInfo, name: str, component: str, spelling: str) -> list[tuple[str, TensorView]]:
    """The canonical name(s) of one tensor inside its component; a fused one gives several."""
    if spelling == "open_clip":
        return _spell_open_clip(info, name, component)
    if spelling == "clip" and name.startswith(_CLIP_ROOTS):  # files of 2022 lack the level
        name = "text_model." + name
    return [(name, TensorView(info, component, info.shape))]


def _spell_open_clip(info: TensorInfo, name: str, component: str) -> list[tuple[str, TensorView]]:
    if name == "positional_embedding":
        return [("text_model.embeddings.position_embedding.weight", TensorView(info, component, info.shape))]
    if name == "text_projection" and len(info.shape) == 2:
        view = TensorView(info, component, info.shape[::-1], transposed=True)
        return [("text_projection.weight", view)]
    for old, new in OPEN_CLIP_NAMES:
        name = name.replace(old, new)
    if name.endswith(("in_proj_weight", "in_proj_bias")) and info.shape and info.shape[0] % 3 == 0:
        stem, kind = name.rsplit("in_proj_", 1)
        third = info.shape[0] // 3
        return [
            (
                f"{stem}{part}_proj.{kind}",
                TensorView(info, component, (third, *info.shape[1:]), (index * third, (index + 1) * third)),
            )
            for index, part in enumerate("qkv")
        ]
    return [(name, TensorView(info, component, info.shape))]
