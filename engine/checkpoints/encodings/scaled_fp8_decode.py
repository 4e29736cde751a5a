"""Decoding of `engine.checkpoints.encodings.scaled_fp8`."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.encodings import step_sizes
from engine.checkpoints.encodings.grouped_decode import of_bytes
from engine.checkpoints.stored import WeightSource


def decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """float32(weight) * scale, in the weight's shape; every product is rounded once, to float32."""
    weight, scale = parts
    factors = scale.to(torch.float32).reshape(-1, *(1,) * (weight.dim() - 1))
    return weight.to(torch.float32).mul_(factors)


def steps(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The steps of fp8 times the scales."""
    weight, scale = parts
    factors = scale.to(torch.float32).abs().reshape(-1, *(1,) * (weight.dim() - 1))
    found = of_bytes(weight.reshape(len(weight), -1), step_sizes.of_bytes(weight.dtype, weight.device))
    return found.view(weight.shape).mul_(factors)
