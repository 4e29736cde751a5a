"""Which keys of a LoRA three programs know, and what they do to their weights with them.

Facts read in the programs' sources, written down anew:

- ComfyUI, comfy/lora.py, ``model_lora_keys_unet``, ``model_lora_keys_clip``, ``load_lora``; comfy/weight_adapter/.
- Forge, packages_3rdparty/comfyui_lora_collection/lora.py (5e1dcd3; until then parameters that are no ``.weight`` were
  unknown, and T5 was the third alone); extensions-builtin/sd_forge_lora/networks.py, ``load_lora_for_models``: a
  file with more than 12 keys that match nothing is not applied at all.
- A1111, extensions-builtin/Lora/networks.py, ``load_network`` and ``convert_diffusers_name_to_compvis``.

A reader takes the state dicts that `state_names` gives and answers what is added to which weight; a key that a program
does not know, or whose shape does not fit, is in `Reading.unknown`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

State = Mapping[str, torch.Tensor]
FORGE_REFUSES_ABOVE = 12
CLIP_MODULES = ("mlp.fc1", "mlp.fc2", *(f"self_attn.{part}_proj" for part in ("k", "q", "v", "out")))
_LAYER = re.compile(r"(clip_[lgh])\.transformer\.text_model\.encoder\.layers\.(\d+)\.(.+)\.weight")


@dataclass
class Reading:
    """What a program makes of a file.

    Attributes:
        added: name of a weight -> what the file at strength 1 adds, in float64.
        unknown: keys that match nothing, or do not fit.
    """

    added: dict[str, torch.Tensor] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)


def text_encoder_keys(state: State, *, forge: bool = False, earlier: bool = False) -> dict[str, str]:
    """Base names of keys -> weights of text encoders; see `forge_keys`."""
    keys: dict[str, str] = {}
    weights = [name for name in state if name.endswith(".weight") and not name.startswith("diffusion_model.")]
    clips = {name.split(".")[0] for name in weights}
    for name in weights:
        if not forge:
            keys["text_encoders." + name.removesuffix(".weight")] = name
        match = _LAYER.fullmatch(name)
        if match is not None and match[3] in CLIP_MODULES and int(match[2]) < 32:
            inner = f"text_model_encoder_layers_{match[2]}_{match[3].replace('.', '_')}"
            if match[1] == "clip_g":
                prefixes: tuple[str, ...] = ("lora_te2_",) if "clip_l" in clips else ("lora_te_",)
            else:
                prefixes = ("lora_te_", "lora_te1_")
            keys |= {prefix + inner: name for prefix in prefixes}
        if name.startswith("t5xxl.transformer."):
            inner = name.removeprefix("t5xxl.transformer.").removesuffix(".weight").replace(".", "_")
            keys |= {f"lora_te{number}_{inner}": name for number in _numbers_of_t5(clips, forge, earlier)}
    for number, clip in ((1, "clip_l"), (2, "clip_g")):
        projection = f"{clip}.transformer.text_projection.weight"
        if projection in state:
            keys[f"lora_te{number}_text_projection"] = projection
    if not forge and len(clips) == 1:
        start = f"{next(iter(clips))}.transformer.model."
        for name in weights:
            if name.startswith(start):
                keys["lora_te_" + name.removeprefix(start).removesuffix(".weight").replace(".", "_")] = name
    return keys


def _numbers_of_t5(clips: set[str], forge: bool, earlier: bool) -> tuple[int, ...]:
    if forge:
        return (3,) if earlier else (2, 3)
    number = 1 + ("clip_g" in clips) + ("clip_l" in clips)
    return (2, 3) if number == 2 and "clip_l" in clips else (number,)


def comfyui_keys(state: State, *, unet: bool = False) -> dict[str, str]:
    """Base names of keys -> ComfyUI's weights; parameters that are no ``.weight`` under their whole name.

    Args:
        state: of the denoiser and the text encoders.
        unet: Stable Diffusion's, which is known by diffusers' names, too.
    """
    keys = text_encoder_keys(state) | _denoiser_keys(state)
    return keys | (_unet_keys(state) if unet else {})


def forge_keys(state: State, *, unet: bool = False, earlier: bool = False) -> dict[str, str]:
    """Base names of keys -> Forge's weights; see `comfyui_keys`.

    Args:
        state: of the denoiser and the text encoders.
        unet: Stable Diffusion's.
        earlier: as its releases did before parameters that are no ``.weight`` were known.
    """
    keys = text_encoder_keys(state, forge=True, earlier=earlier)
    modules = {name: tensor for name, tensor in state.items() if name.endswith(".weight")} if earlier else state
    return keys | _denoiser_keys(modules) | (_unet_keys(state) if unet else {})


def _denoiser_keys(state: State) -> dict[str, str]:
    keys: dict[str, str] = {}
    for name in state:
        if name.startswith("diffusion_model."):
            keys[name.removesuffix(".weight")] = name
            if name.endswith(".weight"):
                keys[f"lora_unet_{_underscored(name)}"] = name
    return keys


def a1111_keys(state: State) -> dict[str, str]:
    """Base names of keys -> A1111's weights, of SD 1.x, SD 2.x and SDXL."""
    clips = {name.split(".")[0] for name in state if ".transformer." in name}
    keys = _unet_keys(state) if "clip_g" not in clips else {}
    for name in state:
        if name.startswith("diffusion_model.") and name.endswith(".weight"):
            keys[f"lora_unet_{_underscored(name)}"] = name
        match = _LAYER.fullmatch(name)
        if match is not None and match[3] in CLIP_MODULES:
            inner = f"text_model_encoder_layers_{match[2]}_{match[3].replace('.', '_')}"
            prefixes = {"clip_g": ("lora_te2_",), "clip_h": ("lora_te_",), "clip_l": ("lora_te1_",)}[match[1]]
            if match[1] == "clip_l" and "clip_g" not in clips:
                prefixes = ("lora_te_", "lora_te1_")
            keys |= {prefix + inner: name for prefix in prefixes}
    return keys


def _underscored(name: str) -> str:
    return name.removeprefix("diffusion_model.").removesuffix(".weight").replace(".", "_")


_RESNET = {
    "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
    "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
}  # fmt: skip
_AROUND = {
    "input_blocks.0.0": "conv_in", "out.0": "conv_norm_out", "out.2": "conv_out",
    "time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
}  # fmt: skip


def _unet_keys(state: State) -> dict[str, str]:
    """Diffusers' names of a U-Net with two residual blocks for each level, as all released ones have."""
    keys: dict[str, str] = {}
    for name in state:
        if not (name.startswith("diffusion_model.") and name.endswith(".weight")):
            continue
        there = _diffusers_name(name.removeprefix("diffusion_model.").removesuffix(".weight"))
        if there is not None:
            keys[f"lora_unet_{there.replace('.', '_')}"] = name
    return keys


def _diffusers_name(module: str) -> str | None:
    if module in _AROUND:
        return _AROUND[module]
    match = re.fullmatch(r"(input|output)_blocks\.(\d+)\.(\d+)\.(.+)", module)
    if match is not None:
        number, at, rest = int(match[2]), int(match[3]), match[4]
        if rest == "op":
            return f"down_blocks.{number // 3 - 1}.downsamplers.0.conv"
        if rest == "conv":
            return f"up_blocks.{number // 3}.upsamplers.0.conv"
        level, layer = divmod(number - 1, 3) if match[1] == "input" else divmod(number, 3)
        block = f"{'down' if match[1] == 'input' else 'up'}_blocks.{level}"
        return f"{block}.attentions.{layer}.{rest}" if at == 1 else f"{block}.resnets.{layer}.{_RESNET[rest]}"
    match = re.fullmatch(r"middle_block\.(\d)\.(.+)", module)
    if match is not None:
        if match[1] == "1":
            return f"mid_block.attentions.0.{match[2]}"
        return f"mid_block.resnets.{int(match[1]) // 2}.{_RESNET[match[2]]}"
    return None


COMFYUI_PARTS = (".diff", ".diff_b", ".set_weight")
FORGE_PARTS = (".diff", ".diff_b", ".set_weight")
A1111_PARTS = (".diff", ".diff_b")


def read(lora: State, state: State, keys: Mapping[str, str], parts: tuple[str, ...] = COMFYUI_PARTS) -> Reading:
    """Look up every base name, and add what stands behind it.

    Args:
        lora: the file.
        state: the program's weights.
        keys: base names -> weights.
        parts: what the program reads beside factors and their alpha.
    """
    reading = Reading()
    known: set[str] = set()
    for base, name in keys.items():
        known |= _factors(reading, lora, state, base, name) | _parts(reading, lora, state, base, name, parts)
    reading.unknown = set(lora) - known
    return reading


def _factors(reading: Reading, lora: State, state: State, base: str, name: str) -> set[str]:
    up, down, alpha = f"{base}.lora_up.weight", f"{base}.lora_down.weight", f"{base}.alpha"
    if up not in lora or down not in lora:
        return set()
    left, right = lora[up].double().flatten(1), lora[down].double().flatten(1)
    scale = float(lora[alpha]) / len(right) if alpha in lora else 1.0
    fits = left.shape[1] == len(right) and len(left) == len(state[name])
    if not fits or lora[down].shape[1:] != state[name].shape[1:]:
        return set()
    reading.added[name] = scale * (left @ right).reshape(state[name].shape)
    return {up, down} | ({alpha} & set(lora))


def _parts(reading: Reading, lora: State, state: State, base: str, name: str, parts: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    targets = {".diff": name, ".diff_b": name.removesuffix(".weight") + ".bias", ".set_weight": name}
    for part in parts:
        key, target = base + part, targets[part]
        if key in lora and target in state and lora[key].shape == state[target].shape:
            value = lora[key].double()
            reading.added[target] = value - state[target].double() if part == ".set_weight" else value
            found.add(key)
    return found


def refused_by_forge(reading: Reading) -> bool:
    """Whether Forge takes the file for one of another model and applies nothing of it."""
    return len(reading.unknown) > FORGE_REFUSES_ABOVE
