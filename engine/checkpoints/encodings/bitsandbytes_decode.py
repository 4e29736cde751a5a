"""Decoding of `engine.checkpoints.encodings.bitsandbytes`: the 4-bit kinds."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.encodings import step_sizes
from engine.checkpoints.encodings.grouped_decode import over_groups, unpacked
from engine.checkpoints.stored import WeightSource


def decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """quant_map[code] * absmax of the block, in float32."""
    raw, absmax, table, *nested = parts
    numbers = unpacked(raw.reshape(-1, 1), "high_first", 2, table=table).view(-1)
    return _scaled(source, numbers, absmax, nested)


def steps(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The steps of quant_map times the same factors."""
    raw, absmax, table, *nested = parts
    marked = step_sizes.of_levels(table, marked=True)
    found = unpacked(raw.reshape(-1, 1), "high_first", 2, table=marked).view(-1)
    block = source.parameters["block"]
    whole = len(found) // block * block
    step_sizes.settle_largest(found[:whole].view(-1, block), block)
    step_sizes.settle_largest(found[None, whole:], block)
    return _scaled(source, found, absmax, nested).abs_()


def _scaled(
    source: WeightSource, numbers: torch.Tensor, absmax: torch.Tensor, nested: Sequence[torch.Tensor]
) -> torch.Tensor:
    """What there is for each code, (n,), times the factors of the blocks; changed in place, in the source's shape."""
    given = source.parameters
    block = given["block"]
    factors = _factors(absmax, nested, source) if nested else absmax
    whole = len(numbers) // block
    if whole:
        over_groups(numbers[: whole * block].view(whole, block), factors[:whole, None], block)
    if whole * block < len(numbers):
        numbers[whole * block :].mul_(factors[whole])
    return numbers[given["first"] : given["first"] + source.numel].reshape(source.shape)


def _factors(absmax: torch.Tensor, nested: Sequence[torch.Tensor], source: WeightSource) -> torch.Tensor:
    """The factors of the blocks where these are in blocks themselves."""
    given = source.parameters
    scale, table = nested
    factors = table.index_select(0, absmax.to(torch.int32))
    place = torch.arange(given["nested_first"], given["nested_first"] + len(absmax), device=absmax.device)
    return factors.mul_(scale[place.div_(given["nested"], rounding_mode="floor")]).add_(given["offset"])
