"""Rounding to a dtype, as `engine.checkpoints.encodings.raw` stores numbers: what a conversion tool's cast does."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.stored import WeightSource
from engine.steps import check

_IN_CACHE, _ON_DEVICE = 1 << 18, 1 << 20  # values that are cast at once: `CASTING_BYTES` are for their copies
_CHECKED = 1 << 23  # values after which it is asked whether the work is to stop


def round_like(values: torch.Tensor, source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The numbers in the dtype of the stored tensor, see `cast`."""
    return cast(values, parts[0].dtype)


def cast(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Numbers rounded to a floating dtype, to the nearest, ties to the even one.

    Finite numbers beyond the dtype's range become its largest ones, whatever this version of torch makes of them
    (conversion tools clamp them, or their files hold NaN, which is found in the file); infinities become NaN.

    Args:
        values: any shape and floating dtype, not changed.
        dtype: what they are rounded to.
    """
    flat = values.reshape(-1)
    result = torch.empty(len(flat), dtype=dtype, device=values.device)
    limit = torch.finfo(dtype).max
    on_host = values.device.type == "cpu"
    step = _IN_CACHE if on_host else _ON_DEVICE
    for start in range(0, len(flat), step):
        if start % _CHECKED == 0:
            check()
        part = flat[start : start + step].to(torch.float32)
        if not (on_host and _within(part, limit)):  # elsewhere to look at the values would be to wait for them
            part = torch.where(part.isinf(), torch.nan, part.clamp(-limit, limit))
        result[start : start + step] = part
    return result.view(values.shape)


def same_when_cast(values: torch.Tensor, dtype: torch.dtype, others: torch.Tensor) -> bool:
    """Whether numbers rounded to a dtype are the others, which are of it; looks no further than to one that is not.

    Args:
        values: any shape.
        dtype: what they are rounded to.
        others: the same shape.
    """
    ours, theirs = values.reshape(-1), others.reshape(-1)
    step = _IN_CACHE if values.device.type == "cpu" else _ON_DEVICE
    for start in range(0, len(ours), step):
        if start % _CHECKED == 0:
            check()
        part = slice(start, start + step)
        if not torch.equal(cast(ours[part], dtype).to(torch.float32), theirs[part].to(torch.float32)):
            return False
    return True


def _within(values: torch.Tensor, limit: float) -> bool:
    low, high = torch.aminmax(values)
    return bool(-limit <= low and high <= limit)
