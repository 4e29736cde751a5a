"""Decoding of `engine.checkpoints.encodings.raw`."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.encodings import step_sizes
from engine.checkpoints.stored import WeightSource


def decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The stored tensor itself."""
    return parts[0]


def steps(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Those of its dtype."""
    return step_sizes.of_floats(parts[0])
