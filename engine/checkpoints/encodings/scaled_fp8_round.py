"""Rounding as `engine.checkpoints.encodings.scaled_fp8` stores numbers, with the scales that are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from engine.checkpoints.encodings.raw_round import cast
from engine.checkpoints.stored import WeightSource
from engine.steps import check

_BLOCK = 1 << 18  # values that are rounded at once: whole rows, at least one
_LEAST_INTEGERS = (-128, -127)  # of int8: encoders use all of them, or as many below zero as above


def round_like(values: torch.Tensor, source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """float32(fp8(values / scale)) * scale; see `stored_codes`."""
    weight, scale = parts
    factors = scale.to(torch.float32).reshape(-1, *(1,) * (weight.dim() - 1))
    result = torch.empty(weight.shape, dtype=torch.float32, device=weight.device)
    step = max(1, _BLOCK * len(weight) // max(1, weight.numel()))
    for start in range(0, len(weight), step):
        check()
        rows = slice(start, start + step)
        own = factors if len(factors) == 1 else factors[rows]
        result[rows] = stored_codes(values[rows], weight[rows], own)
        result[rows].mul_(own)
    return result


def stored_codes(values: torch.Tensor, stored: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Numbers divided by their scales and rounded to what is stored: fp8, or int8.

    Encoders divide or multiply by the reciprocal, in float32 or in the dtype of the numbers (comfy-kitchen 0.2.40,
    backends/eager/quantization.py, ``quantize_per_tensor_fp8``; compressed-tensors 0.20.0,
    quantization/lifecycle/forward.py, ``_quantize``). Where these give different codes the one that is stored is
    taken, if it is among them: which of them an encoder used cannot be known.

    Args:
        values: any floating dtype.
        stored: the codes of the weight that is imitated, in the same shape.
        factors: its scales in float32, in a shape that can be expanded to that.

    Returns:
        Of the dtype of `stored`; where a scale is zero nothing that matters.
    """
    divisors = torch.where(factors == 0.0, 1.0, factors)
    numbers = values.to(torch.float32)
    largest = 128.0 if stored.dtype is torch.int8 else torch.finfo(stored.dtype).max
    bound = 2.0 * largest * divisors.abs()  # beyond it a quotient may not be finite
    numbers = torch.where(numbers.isinf(), numbers, numbers.clamp(-bound, bound))
    first, *_ = _codes(numbers / divisors, stored.dtype)
    codes, found = first.reshape(-1).view(torch.uint8), stored.reshape(-1).view(torch.uint8)
    other = (codes != found).nonzero().squeeze(1)
    if len(other):
        by = divisors.expand(stored.shape).reshape(-1)[other] if divisors.numel() > 1 else divisors.reshape(-1)
        own, wanted = values.reshape(-1)[other], found[other]
        some = codes[other]
        for quotients in _quotients(own, numbers.reshape(-1)[other], by):
            for again in _codes(quotients, stored.dtype):
                some = torch.where(again.view(torch.uint8) == wanted, wanted, some)
        codes[other] = some
    return codes.view(stored.dtype).view(stored.shape)


def _quotients(values: torch.Tensor, numbers: torch.Tensor, divisors: torch.Tensor) -> Iterator[torch.Tensor]:
    inverse = divisors.reciprocal()
    yield numbers / divisors
    yield numbers * inverse
    if values.dtype is not torch.float32:
        yield values * inverse.to(values.dtype)
        yield values / divisors.to(values.dtype)


def _codes(quotients: torch.Tensor, dtype: torch.dtype) -> Iterator[torch.Tensor]:
    if dtype is not torch.int8:
        yield cast(quotients, dtype)
        return
    whole = quotients.round()  # of two as near the even one
    for least in _LEAST_INTEGERS:
        yield whole.clamp(least, 127).nan_to_num(0.0).to(torch.int8)
