"""A tiny Flux in ComfyUI's scaled fp8, encoded and decoded by comfy-kitchen, the library that ComfyUI uses itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import comfy_kitchen
import torch
from model_files import Tensors, save_model
from native_models import NATIVE_MODELS, state_of

PREFIX = "model.diffusion_model."
OURS = "diffusion_model."


@dataclass(frozen=True)
class ScaledPair:
    """Fine-tuned and original in their files, and the numbers of both as comfy-kitchen decodes them, by our names."""

    files: tuple[Path, Path]
    tuned: Tensors
    base: Tensors


def scaled(weight: torch.Tensor, dtype: torch.dtype = torch.float8_e4m3fn) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix in fp8, and its scale, a single number in float32."""
    scale = weight.abs().max().to(torch.float32) / torch.finfo(dtype).max
    return comfy_kitchen.quantize_per_tensor_fp8(weight.clone(), scale, dtype), scale


def scaled_file(path: Path, state: Tensors, dtype: torch.dtype = torch.float8_e4m3fn) -> tuple[Path, Tensors]:
    """Write a model whose matrices are scaled, all else in fp16; returns the numbers it stands for, in float32."""
    tensors: Tensors = {PREFIX + "scaled_fp8": torch.zeros(2).to(dtype)}
    numbers: Tensors = {}
    for name, tensor in state.items():
        if tensor.dim() != 2:
            tensors[PREFIX + name] = tensor.half()
            numbers[OURS + name] = tensor.half().float()
            continue
        weight, scale = scaled(tensor, dtype)
        module = PREFIX + name.removesuffix(".weight")
        tensors |= {PREFIX + name: weight, f"{module}.scale_weight": scale, f"{module}.scale_input": torch.ones(())}
        numbers[OURS + name] = comfy_kitchen.dequantize_per_tensor_fp8(weight, scale, torch.float32)
    return save_model(path, tensors), numbers


def scaled_pair(folder: Path, *, both: bool = False, dtype: torch.dtype = torch.float8_e4m3fn) -> ScaledPair:
    """A fine-tune of a tiny Flux in scaled fp8, and its original in fp16, or in scaled fp8 too."""
    flux = NATIVE_MODELS["flux"]
    original, step = state_of("flux", seed=0), state_of("flux", seed=1)
    state = flux.native({name: tensor + 0.5 * step[name] for name, tensor in original.items()})
    tuned, tuned_numbers = scaled_file(folder / "tuned.safetensors", state, dtype)
    if both:
        base, numbers = scaled_file(folder / "base.safetensors", flux.native(original), dtype)
    else:
        halves = {PREFIX + name: tensor.half() for name, tensor in flux.native(original).items()}
        base = save_model(folder / "base.safetensors", halves)
        numbers = {OURS + name.removeprefix(PREFIX): tensor.float() for name, tensor in halves.items()}
    return ScaledPair((tuned, base), tuned_numbers, numbers)
