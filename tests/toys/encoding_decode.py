"""Decoding of `toys.encoding`."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints import WeightSource


def decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """See `engine.checkpoints.encodings.Encoding.decoder`."""
    packed, scale, zero = parts
    nibbles = torch.stack((packed & 15, packed >> 4), dim=-1).reshape(source.shape).to(torch.int64)
    return nibbles.to(torch.float32).sub_(zero[:, None]).mul_(scale.to(torch.float32)[:, None])


def steps(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """See `engine.checkpoints.encodings.Encoding.decoder`."""
    return parts[1].to(torch.float32)[:, None].expand(source.shape).contiguous()
