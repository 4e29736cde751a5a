"""Recognise quantised weights that no encoding reads by what lies beside them, so that they are never raw numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.checkpoints.gguf_types import BLOCK_TYPES
from engine.checkpoints.stored import StoredTensor


@dataclass(frozen=True)
class Quantisation:
    """A recognised scheme, in words, and a tensor that shows it.

    Attributes:
        title: what people call it.
        example: the tensor.
        remedy: what can be done: ``other_file``, or ``unknown_format`` where a later version may know it.
    """

    title: str
    example: str
    remedy: str = "other_file"


_SUFFIXES: tuple[tuple[str, str], ...] = (
    # the last part(s) of a tensor's name, the scheme that writes it; the first match names the file
    ("scaled_fp8", "scaled fp8 (ComfyUI)"),
    (".comfy_quant", "quantised layers (ComfyUI)"),
    (".weight_scale_inv", "block-scaled fp8 (Hugging Face)"),
    (".qzeros", "GPTQ or AWQ"),
    (".wscales", "SVDQuant"),
    (".smooth_factor", "SVDQuant"),
    (".absmax", "bitsandbytes"),
    (".quant_map", "bitsandbytes"),
    (".nested_absmax", "bitsandbytes"),
    (".SCB", "bitsandbytes int8"),
    (".weight_packed", "packed weights (compressed-tensors)"),
    (".weight_g_idx", "packed integers in an order of activations (compressed-tensors)"),
    (".W_q", "HQQ"),
    (".weight._data", "quanto"),
    (".weight.qdata", "torchao"),
    ("._weight_qdata", "torchao"),
    (".codebooks", "AQLM"),
    ("_blocks", "mxfp4 (gpt-oss)"),
    (".weight_scale_2", "nvfp4"),
    (".weight_scale", "scaled weights"),
    (".scale_weight", "scaled fp8 (ComfyUI)"),
)
_WHOLE_NUMBERS = ("I8", "U8", "I16", "U16", "I32", "U32")


def quantisation_of(stored: Mapping[str, StoredTensor]) -> Quantisation | None:
    """Name the scheme of quantised tensors; None for plain ones. Looks at names, dtypes and shapes only."""
    for recognise in (_packed_columns, _by_suffix, _fp8_scale):
        if found := recognise(stored):
            return found
    for info in stored.values():
        if packed := _packed_title(info):
            return Quantisation(packed, info.name)
    return None


def _packed_columns(stored: Mapping[str, StoredTensor]) -> Quantisation | None:
    """``qweight`` and what stands beside it, which tells its writers apart."""
    name = next((name for name in stored if name.endswith(".qweight")), None)
    if name is None:
        return None
    module = name.removesuffix("qweight")
    if module + "wscales" in stored or module + "smooth" in stored:
        return Quantisation("SVDQuant", name)
    if module + "g_idx" in stored:
        return Quantisation("GPTQ", name)
    return Quantisation("AWQ" if module + "qzeros" in stored else "GPTQ, AWQ or SVDQuant", name)


def _by_suffix(stored: Mapping[str, StoredTensor]) -> Quantisation | None:
    for suffix, title in _SUFFIXES:
        for name, info in stored.items():
            if name.endswith(suffix) and (suffix != "_blocks" or _is_packed_experts(stored, info)):
                return Quantisation(title, name)
    return None


def _is_packed_experts(stored: Mapping[str, StoredTensor], info: StoredTensor) -> bool:
    return info.dtype == "U8" and info.name.removesuffix("_blocks") + "_scales" in stored


def _fp8_scale(stored: Mapping[str, StoredTensor]) -> Quantisation | None:
    """A tensor that looks like the scale of an fp8 weight, under whatever name; scales of inputs do not count.

    Experts in one tensor have no module of their own: the scales of ``experts.gate_up_proj`` are called
    ``experts.gate_up_proj_scale`` or ``experts.gate_up_proj_scale_inv``.
    """
    weights = {info.name for info in stored.values() if info.dtype.startswith("F8_")}
    modules = {name.removesuffix(".weight") for name in weights if name.endswith(".weight")}
    for name in stored:
        if name.removesuffix("_inv").removesuffix("_scale") in weights - {name}:
            return Quantisation("fp8 with scales", name)
        module, _, last = name.rpartition(".")
        if "scale" in last and "input" not in last and module.removesuffix(".weight") in modules:
            return Quantisation("fp8 with scales", name)
    return None


def _packed_title(info: StoredTensor) -> str | None:
    if info.dtype in BLOCK_TYPES:
        return f"GGUF {info.dtype}"
    if info.dtype in ("F4", "F8_E8M0"):
        return "block-scaled 4-bit or 8-bit floats"
    if info.dtype in _WHOLE_NUMBERS and info.name.endswith(".weight") and len(info.shape) >= 2:
        return f"integer weights ({info.dtype})"
    return None
