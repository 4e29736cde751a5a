"""A LoRA applied by ComfyUI's rule, written from its source and not from ours.

Source: ComfyUI, comfy/lora.py (`model_lora_keys_unet`, `model_lora_keys_clip`, `load_lora`) and
comfy/weight_adapter/lora.py (`LoRAAdapter.calculate_weight`).
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open

Tensors = dict[str, torch.Tensor]
ENDINGS = (".lora_up.weight", ".lora_down.weight", ".alpha", ".diff", ".diff_b", ".set_weight")


def load_lora(path: Path) -> Tensors:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


def key_map(model: Tensors) -> dict[str, str]:
    """Base name of a LoRA's keys -> the model's own name, for a state dict under ``diffusion_model.``.

    Norms called ``.scale`` are called ``.weight`` by newer releases: both names lead to them here.
    """
    keys = {name.removesuffix(".weight"): name for name in model}
    return keys | {name.removesuffix(".scale"): name for name in model if name.endswith("_norm.scale")}


def changes(lora: Tensors, model: Tensors) -> Tensors:
    """What the LoRA at strength 1 adds to each weight, in float64."""
    loaded: set[str] = set()
    added: Tensors = {}
    for base, name in key_map(model).items():
        up, down, alpha = (f"{base}{ending}" for ending in ENDINGS[:3])
        if up in lora:
            scale = lora[alpha].item() / lora[down].shape[0]
            product = lora[up].double().flatten(start_dim=1) @ lora[down].double().flatten(start_dim=1)
            added[name] = scale * product.reshape(model[name].shape)
            loaded |= {up, down, alpha}
        if f"{base}.diff" in lora:
            assert lora[f"{base}.diff"].shape == model[name].shape, name
            added[name] = lora[f"{base}.diff"].double()
            loaded.add(f"{base}.diff")
        if f"{base}.diff_b" in lora:
            bias = name.removesuffix(".weight") + ".bias"
            assert lora[f"{base}.diff_b"].shape == model[bias].shape, bias
            added[bias] = lora[f"{base}.diff_b"].double()
            loaded.add(f"{base}.diff_b")
    not_loaded = set(lora) - loaded
    assert not not_loaded, f"lora key not loaded: {sorted(not_loaded)}"
    return added


def apply(lora: Tensors, model: Tensors) -> Tensors:
    """The model with the LoRA at strength 1, in float32."""
    added = changes(lora, model)
    return {name: (tensor.double() + added.get(name, 0.0)).float() for name, tensor in model.items()}
