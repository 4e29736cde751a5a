"""Decoding of `engine.checkpoints.encodings.strided`."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.encodings import step_sizes
from engine.checkpoints.stored import WeightSource


def decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The numbers in the tensor's own order, in the source's shape."""
    return parts[0].as_strided(source.shape, source.parameters["strides"]).clone(memory_format=torch.contiguous_format)


def steps(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Those of its dtype."""
    return step_sizes.of_floats(decode(source, parts))
