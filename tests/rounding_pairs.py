"""A pair of models that store the same weights in two dtypes."""

from __future__ import annotations

from pathlib import Path

import torch
from model_files import Tensors, matrices, random_tensor, save_model


def plain_pair(folder: Path, tuned: torch.dtype, base: torch.dtype, *, change: float = 0.1) -> tuple[Path, Path]:
    """Four matrices, two of them trained in float32, then saved; the others only saved, from the finer of the two."""
    finer = min(tuned, base, key=lambda dtype: torch.finfo(dtype).eps)
    sides: tuple[Tensors, Tensors] = ({}, {})
    for index, (name, weight) in enumerate(matrices(4).items()):
        released = weight.to(finer)
        trained = released.float() + change * random_tensor(*weight.shape, seed=50) if index < 2 else released
        sides[0][name], sides[1][name] = trained.to(tuned), released.to(base)
    return save_model(folder / "tuned.safetensors", sides[0]), save_model(folder / "base.safetensors", sides[1])
