"""Decoding of `engine.checkpoints.encodings.raw`."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.stored import WeightSource


def decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The stored tensor itself."""
    return parts[0]
