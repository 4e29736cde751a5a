"""Families of models as they lie on disks: related bases, their fine-tunes, merges and copies in other encodings."""

from __future__ import annotations

from pathlib import Path

import torch
from gguf_files import GgufModel, encoded, save_gguf
from model_files import Tensors, random_tensor, save_model
from scaled_models import scaled

PREFIX = "model.diffusion_model."
SHAPES = {
    **{f"double_blocks.{block}.img_attn.qkv.weight": (192, 64) for block in range(4)},
    **{f"double_blocks.{block}.img_mlp.0.weight": (128, 64) for block in range(4)},
    **{f"double_blocks.{block}.img_mlp.2.weight": (64, 128) for block in range(4)},
    "img_in.weight": (64, 32),
    "final_layer.linear.weight": (32, 64),
}


def fresh(seed: int) -> Tensors:
    """A model of its own: every number anew, rows of unequal size."""
    tensors = {}
    for at, (name, shape) in enumerate(SHAPES.items()):
        rows = torch.exp(0.5 * random_tensor(shape[0], 1, seed=1000 * seed + 500 + at))
        tensors[name] = 0.02 * rows * random_tensor(*shape, seed=1000 * seed + at)
    return tensors


def changed(model: Tensors, seed: int, share: float) -> Tensors:
    """A fine-tune: a change of low rank and of full rank together, `share` of each layer's norm."""
    result = {}
    for at, (name, tensor) in enumerate(model.items()):
        rows, columns = tensor.shape
        low = random_tensor(rows, 4, seed=7000 + 100 * seed + at) @ random_tensor(
            4, columns, seed=9000 + 100 * seed + at
        )
        step = low / low.norm() + 0.3 * torch.nn.functional.normalize(
            random_tensor(rows, columns, seed=5000 + 100 * seed + at).flatten(), dim=0
        ).view(rows, columns)
        result[name] = tensor + share * tensor.norm() * step / step.norm()
    return result


def merged(*parts: tuple[float, Tensors]) -> Tensors:
    """A weighted mean, computed in float32."""
    names = parts[0][1]
    return {name: sum((weight * model[name].float() for weight, model in parts), torch.zeros(())) for name in names}


def save(path: Path, model: Tensors, dtype: torch.dtype = torch.bfloat16) -> Path:
    """A file of plain numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_model(path, {PREFIX + name: tensor.to(dtype) for name, tensor in model.items()})


def save_scaled(path: Path, model: Tensors) -> Path:
    """A copy in ComfyUI's scaled fp8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {PREFIX + "scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)}
    for name, tensor in model.items():
        weight, scale = scaled(tensor.float())
        tensors |= {PREFIX + name: weight, f"{PREFIX}{name.removesuffix('.weight')}.scale_weight": scale}
    return save_model(path, tensors)


def save_blocks(path: Path, model: Tensors, kind: str) -> Path:
    """A copy in a block type of GGUF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_gguf(path, GgufModel(blocks={name: (kind, encoded(kind, tensor)) for name, tensor in model.items()}))


def stored(model: Tensors, dtype: torch.dtype = torch.bfloat16) -> Tensors:
    """A model as a file of this dtype gives it back, in float32."""
    return {name: tensor.to(dtype).float() for name, tensor in model.items()}
