"""Rounding as the blocks of GGUF files of 32 values store numbers, with the scales that are stored.

A block of such a type has a scale d, some also a minimum m, and a number is stored as the code nearest to
(number - m) / d. The converter divides by d and m before it rounds these to float16, and only the latter are stored:
a code that is off by no more than this can have made is taken for the number's, any other number gets the nearest one.
Source: ggml, src/ggml-quants.c, ``quantize_row_q8_0_ref`` and so on. The K types and IQ4_NL search for their scales,
and what that gives cannot be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.encodings.gguf import SHIFT
from engine.checkpoints.encodings.gguf_blocks import codes_of, halves
from engine.checkpoints.encodings.gguf_decode import Chunk, chunks
from engine.checkpoints.encodings.raw_round import cast
from engine.checkpoints.gguf_types import BLOCK_TYPES
from engine.checkpoints.stored import WeightSource

_RANGES = {"Q8_0": (-127, 127), "Q4_0": (-8, 7), "Q5_0": (-16, 15), "Q4_1": (0, 15), "Q5_1": (0, 31)}
_WITH_MINIMUM = ("Q4_1", "Q5_1")
_HALF_ULP, _LEAST_HALF = 2.0**-11, 2.0**-25  # of a float16: relative, and of the smallest ones
_DIVIDED, _MOST = 1e-5, 0.25  # what dividing in float32 can make of it; no more is ever taken for rounding


def round_like(values: torch.Tensor, source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The numbers that the blocks would stand for, see the module; of plain numbers those of the dtype."""
    shift = float(source.parameters.get(SHIFT, 0.0))
    width = max(1, source.numel // max(1, source.shape[0] if source.shape else 1))
    rows = values.reshape(-1, width) if values.numel() else values.reshape(0, width)
    result = torch.empty(source.numel, dtype=torch.float32, device=values.device)
    for chunk in chunks(source, parts[0]):
        own = _own(rows, width, chunk)
        if source.stored_dtype in BLOCK_TYPES:
            found = _in_blocks(source.stored_dtype, own, chunk)
        else:
            found = cast(own.sub_(shift), parts[0].dtype).to(torch.float32).add_(shift)
        result[chunk.first : chunk.last] = found
        del own, found, chunk
    return result.view(source.shape)


def _own(rows: torch.Tensor, width: int, chunk: Chunk) -> torch.Tensor:
    """The numbers that belong to a chunk, float32, of rows that need not be contiguous; new memory."""
    start, stop = chunk.first // width, -(-chunk.last // width)
    part = rows[start:stop].reshape(-1)[chunk.first - start * width : chunk.last - start * width]
    return part.to(torch.float32, copy=True)


def _in_blocks(kind: str, own: torch.Tensor, chunk: Chunk) -> torch.Tensor:
    low, high = _RANGES[kind]
    scale, least = halves(chunk.lines, 0), halves(chunk.lines, 2) if kind in _WITH_MINIMUM else None
    whole = own.new_zeros(chunk.lines.shape[0], BLOCK_TYPES[kind].values)
    place = slice(chunk.skipped, chunk.skipped + chunk.last - chunk.first)
    whole.view(-1)[place] = own
    steps = torch.where(scale == 0.0, 1.0, scale)
    doubt = (_LEAST_HALF / steps.abs()).clamp_(min=_HALF_ULP)
    if least is not None:
        whole.sub_(least)
    bound = 2 * max(-low, high) * steps.abs()  # beyond it a quotient may not be finite
    whole = torch.where(whole.isinf(), torch.nan, whole.clamp(-bound, bound)).div_(steps).clamp_(low, high)
    stored = codes_of(kind, chunk.lines)
    slack = whole.abs().mul_(doubt)
    if least is not None:
        slack.add_((least / steps).abs_().mul_(doubt))
    slack.add_(_DIVIDED).clamp_(max=_MOST).add_(0.5)
    same = (whole - stored).abs_() <= slack
    codes = torch.where(same, stored, whole.add_(0.5).floor_().clamp_(max=high)).mul_(scale)
    if least is not None:
        codes.add_(least)
    return codes.view(-1)[place]
