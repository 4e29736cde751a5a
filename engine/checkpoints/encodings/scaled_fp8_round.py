"""Rounding as `engine.checkpoints.encodings.scaled_fp8` stores numbers, with the scales that are stored."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.encodings.raw_round import cast
from engine.checkpoints.stored import WeightSource
from engine.steps import check

_BLOCK = 1 << 18  # values that are rounded at once: whole rows, at least one


def round_like(values: torch.Tensor, source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """float32(fp8(values / scale)) * scale.

    Converters divide in float32, or multiply by the reciprocal, in float32 or in the dtype of the numbers
    (comfy-kitchen 0.2.40, backends/eager/quantization.py, ``quantize_per_tensor_fp8``). Where these give
    different fp8 numbers the one that is stored is taken, if it is among them: which of them a converter used cannot be
    known.
    """
    weight, scale = parts
    factors = scale.to(torch.float32).reshape(-1, *(1,) * (weight.dim() - 1))
    result = torch.empty(weight.shape, dtype=torch.float32, device=weight.device)
    step = max(1, _BLOCK * len(weight) // max(1, weight.numel()))
    for start in range(0, len(weight), step):
        check()
        rows = slice(start, start + step)
        own = factors if len(factors) == 1 else factors[rows]
        result[rows] = _codes(values[rows], weight[rows], own)
        result[rows].mul_(own)
    return result


def _codes(values: torch.Tensor, stored: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """The fp8 numbers: of the ways to round those that are stored, where one gives them."""
    divisors = torch.where(factors == 0.0, 1.0, factors)  # a scale of zero gives zeros whatever is stored
    numbers = values.to(torch.float32)
    bound = 2.0 * torch.finfo(stored.dtype).max * divisors.abs()  # beyond it a quotient may not be finite
    numbers = torch.where(numbers.isinf(), numbers, numbers.clamp(-bound, bound))
    codes = cast(numbers / divisors, stored.dtype)
    inverse = divisors.reciprocal()
    for dtype in dict.fromkeys((torch.float32, values.dtype)):
        other = cast(values.to(dtype) * inverse.to(dtype), stored.dtype)
        there, found, rest = (tensor.view(torch.uint8) for tensor in (stored, other, codes))
        codes = torch.where(found == there, found, rest).view(stored.dtype)
    return codes
