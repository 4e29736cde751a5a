"""Recognise quantised weights by what lies beside them, so that they are never read as raw numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.checkpoints.gguf_types import BLOCK_TYPES
from engine.checkpoints.stored import StoredTensor


@dataclass(frozen=True)
class Quantisation:
    """A recognised scheme, in words, and a tensor that shows it."""

    title: str
    example: str


_SUFFIXES: tuple[tuple[str, str], ...] = (
    # the last part(s) of a tensor's name, the scheme that writes it; the first match names the file
    ("scaled_fp8", "scaled fp8 (ComfyUI)"),
    (".comfy_quant", "quantised layers (ComfyUI)"),
    (".weight_scale_inv", "block-scaled fp8 (Hugging Face)"),
    (".qweight", "GPTQ, AWQ or SVDQuant"),
    (".qzeros", "GPTQ or AWQ"),
    (".wscales", "SVDQuant"),
    (".absmax", "bitsandbytes"),
    (".quant_map", "bitsandbytes"),
    (".nested_absmax", "bitsandbytes"),
    (".quant_state.bitsandbytes__nf4", "bitsandbytes nf4"),
    (".quant_state.bitsandbytes__fp4", "bitsandbytes fp4"),
    (".SCB", "bitsandbytes int8"),
    (".weight_packed", "packed integers (compressed-tensors)"),
    (".W_q", "HQQ"),
    (".weight._data", "quanto"),
    (".weight_scale_2", "nvfp4"),
    (".weight_scale", "scaled weights"),
    (".scale_weight", "scaled fp8 (ComfyUI)"),
)
_METADATA = "_quantization_metadata"


def quantisation_of(stored: Mapping[str, StoredTensor], metadata: Mapping[str, str]) -> Quantisation | None:
    """Name the scheme of quantised tensors; None for plain ones. Looks at names, dtypes and shapes only."""
    if _METADATA in metadata:
        return Quantisation("quantised layers (ComfyUI)", _METADATA)
    for suffix, title in _SUFFIXES:
        for name in stored:
            if name.endswith(suffix):
                return Quantisation(title, name)
    if scale := _fp8_scale(stored):
        return Quantisation("fp8 with scales", scale)
    for info in stored.values():
        if packed := _packed_title(info):
            return Quantisation(packed, info.name)
    return None


def _fp8_scale(stored: Mapping[str, StoredTensor]) -> str | None:
    """A tensor that looks like the scale of an fp8 weight, under whatever name; scales of inputs do not count."""
    modules = {
        info.name.removesuffix(".weight")
        for info in stored.values()
        if info.dtype.startswith("F8_") and info.name.endswith(".weight")
    }
    for name in stored:
        module, _, last = name.rpartition(".")
        if "scale" in last and "input" not in last and module.removesuffix(".weight") in modules:
            return name
    return None


def _packed_title(info: StoredTensor) -> str | None:
    if info.dtype in BLOCK_TYPES:
        return f"GGUF {info.dtype}"
    if info.dtype in ("F4", "F8_E8M0"):
        return "block-scaled 4-bit or 8-bit floats"
    if (
        info.dtype in ("I8", "U8", "I16", "U16", "I32", "U32")
        and info.name.endswith(".weight")
        and len(info.shape) >= 2
    ):
        return f"integer weights ({info.dtype})"
    return None
