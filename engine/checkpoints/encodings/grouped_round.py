"""Rounding as `engine.checkpoints.encodings.grouped` stores fp8 and int8 numbers, with the scales that are stored."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.encodings.grouped import codes_in_row, rows_of
from engine.checkpoints.encodings.grouped_decode import over_groups, scales
from engine.checkpoints.encodings.scaled_fp8_round import stored_codes
from engine.checkpoints.stored import WeightSource
from engine.steps import check

_BLOCK = 1 << 18  # values that are rounded at once: whole rows, at least one


def round_like(values: torch.Tensor, source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """code(values / scale) * scale, each block of numbers with its own scale; see `stored_codes`."""
    by_role = dict(zip(source.parameters["roles"], parts, strict=True))
    rows, width = rows_of(source), codes_in_row(source)
    columns = source.numel // rows  # without padding
    weight, numbers = by_role["weight"].reshape(rows, width)[:, :columns], values.reshape(rows, columns)
    entries = scales(source, by_role, rows) if "scale" in by_role else torch.ones((1, 1), device=weight.device)
    group = source.parameters.get("block", (1, width))[1]
    result = torch.empty((rows, columns), dtype=torch.float32, device=weight.device)
    step = max(1, _BLOCK // columns)
    for start in range(0, rows, step):
        check()
        some = slice(start, start + step)
        factors = torch.ones(weight[some].shape, dtype=torch.float32, device=weight.device)
        over_groups(factors, entries if len(entries) == 1 else entries[some], group)
        result[some] = stored_codes(numbers[some], weight[some], factors)
        result[some].mul_(factors)
        if weight.dtype is torch.int8:  # which has no code for what is not finite
            result[some].masked_fill_(~torch.isfinite(numbers[some]), torch.nan)
    return result.reshape(source.shape)
