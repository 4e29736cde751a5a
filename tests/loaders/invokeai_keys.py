"""Which keys of a Kohya file InvokeAI knows, as tables; see `key_maps` for how they are used.

Facts read in its source, written down anew: invokeai/backend/patches/lora_conversions, sd_, sdxl_, flux_kohya_,
wan_, qwen_image_ and anima_lora_conversion_utils.py; model_manager/load/model_loaders/lora.py, which of these belongs
to which model. A file for Flux.1 with one key beyond these is not taken at all; of the others what is unknown is
passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from loaders import key_maps

State = Mapping[str, torch.Tensor]
_MODULES = {
    "flux": (
        r"double_blocks\.\d+\.(img|txt)_(attn|mlp|mod)\..+",
        r"single_blocks\.\d+\.(linear1|linear2|modulation\..+)",
    ),
    "wan": (r"blocks\.\d+\.(self|cross)_attn\.[qkvo]", r"blocks\.\d+\.ffn\.[02]"),
    "qwen_image": (
        r"transformer_blocks\.\d+\.attn\.(to_[qkv]|to_out\.0|to_add_out|add_[qkv]_proj)",
        r"transformer_blocks\.\d+\.(img|txt)_(mlp\.net\.(0\.proj|2)|mod\.1)",
    ),
    "anima": (
        r"(llm_adapter\.)?blocks\.\d+\.(self|cross)_attn\.([qkvo]|output)_proj",
        r"(llm_adapter\.)?blocks\.\d+\.mlp\.layer[12]",
        r"(llm_adapter\.)?blocks\.\d+\.adaln_modulation_(self_attn|cross_attn|mlp)\.\d",
    ),
}
_CLIP_OF_FLUX = re.compile(r"clip_l\.transformer\.(text_model\.encoder\.layers\.\d+\.(mlp|self_attn)\.\w+)\.weight")


def invokeai_keys(family: str, state: State) -> dict[str, str]:
    """Base names of keys -> weights of one family's models."""
    if family not in _MODULES:
        return key_maps.a1111_keys(state)  # Stable Diffusion's: diffusers' names of SD 1.x, Stability's of SDXL
    keys = {}
    for name in state:
        module = name.removeprefix("diffusion_model.").removesuffix(".weight")
        if name.endswith(".weight") and any(re.fullmatch(pattern, module) for pattern in _MODULES[family]):
            keys["lora_unet_" + module.replace(".", "_")] = name
        encoder = _CLIP_OF_FLUX.fullmatch(name)
        if family == "flux" and encoder is not None:
            keys["lora_te1_" + encoder[1].replace(".", "_")] = name
    return keys
