"""ComfyUI's key names for a LoRA. Source: ComfyUI, comfy/lora.py, ``model_lora_keys_unet`` and ``load_lora``.

ComfyUI looks up ``<module>`` of every ``<module>.weight`` and the full name of every other parameter, and
reads ``.lora_up.weight``, ``.lora_down.weight``, ``.alpha``, ``.diff``, ``.diff_b`` and ``.set_weight`` after it.
"""

from __future__ import annotations

from engine.checkpoints.lora_keys import BIAS_DIFFERENCE, DIFFERENCE, FACTORS, WHOLE_WEIGHT
from engine.models.families import Family
from engine.models.names import DENOISER


def factor_key(family: Family, name: str, part: str) -> str:
    """Key of a part of the weight with this canonical name: ``up``, ``down`` or ``alpha``."""
    return _base(family, name) + FACTORS[part]


def difference_key(family: Family, name: str, kind: str) -> str:
    """Key of a stored difference: ``.diff_b`` for the bias beside a weight, else ``.diff``."""
    if kind == "bias":
        return _base(family, name.removesuffix(".bias") + ".weight") + BIAS_DIFFERENCE
    return _base(family, name) + DIFFERENCE


def set_weight_key(family: Family, name: str) -> str:
    """Key of a weight that is set as a whole."""
    return _base(family, name) + WHOLE_WEIGHT


def has_loader(family: Family) -> bool:
    """Whether ComfyUI loads LoRAs for this family under the names written here."""
    return bool(family.lora_prefix)


def _base(family: Family, name: str) -> str:
    module = name.removesuffix(".weight")
    if not module.startswith(DENOISER) or not family.lora_prefix:
        return module
    inner = module[len(DENOISER) :]
    if family.lora_prefix.endswith("_"):  # the kohya spelling, which ComfyUI knows for diffusers' U-Net names
        inner = inner.replace(".", "_")
    return family.lora_prefix + inner
