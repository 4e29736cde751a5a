"""Models for tests: written by the safetensors library, or byte by byte where they must be broken."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]
PREFIX = "model.diffusion_model."


def random_tensor(*shape: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def save_model(path: Path, tensors: Tensors, metadata: dict[str, str] | None = None) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata=metadata)
    return path


def every_kind(seed: int) -> Tensors:
    """One weight of each kind that a model can have, under names that belong to no known family."""
    shapes = {
        "blocks.0.attn.weight": (24, 16),
        "blocks.0.attn.bias": (24,),
        "blocks.0.norm.weight": (16,),
        "blocks.0.wide.weight": (5, 40),
        "blocks.1.conv1d.weight": (6, 4, 3),
        "blocks.1.conv2d.weight": (8, 4, 3, 3),
        "blocks.1.conv2d.bias": (8,),
        "blocks.1.conv3d.weight": (6, 3, 2, 2, 2),
        "blocks.1.modulation": (1, 6, 8),
        "blocks.1.lonely.bias": (7,),
        "temperature": (),
    }
    return {name: random_tensor(*shape, seed=seed + index) for index, (name, shape) in enumerate(shapes.items())}


def save_pair(folder: Path, *, change: float = 0.1, prefix: str = PREFIX) -> tuple[Path, Path]:
    """A fine-tuned model and its original in float32, with every kind of weight, all changed."""
    base = every_kind(seed=0)
    step = every_kind(seed=100)
    tuned = {prefix + name: tensor + change * step[name] for name, tensor in base.items()}
    original = {prefix + name: tensor for name, tensor in base.items()}
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", original)


def matrices(count: int, *, seed: int = 0, shape: tuple[int, int] = (24, 16)) -> Tensors:
    return {f"{PREFIX}layers.{index}.weight": random_tensor(*shape, seed=seed + index) for index in range(count)}


def write_raw(path: Path, header: object, data: bytes = b"", *, claimed: int | None = None) -> Path:
    """A safetensors file with any header: an object, or the JSON text itself."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    length = len(text) if claimed is None else claimed
    path.write_bytes(length.to_bytes(8, "little") + text + data)
    return path


def header_entry(begin: int, end: int, dtype: str = "F32", shape: list[int] | None = None) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape or [(end - begin) // 4], "data_offsets": [begin, end]}
