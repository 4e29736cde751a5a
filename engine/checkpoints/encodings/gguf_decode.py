"""Decoding of `engine.checkpoints.encodings.gguf`: some blocks at a time, into the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from engine.checkpoints.encodings import gguf_blocks, gguf_k_blocks
from engine.checkpoints.encodings.gguf import CHUNK_VALUES, HEAD_ROWS, SHIFT, SKIPPED
from engine.checkpoints.gguf_types import BLOCK_TYPES
from engine.checkpoints.stored import WeightSource

DECODERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "Q8_0": gguf_blocks.q8_0,
    "Q4_0": gguf_blocks.q4_0,
    "Q4_1": gguf_blocks.q4_1,
    "Q5_0": gguf_blocks.q5_0,
    "Q5_1": gguf_blocks.q5_1,
    "IQ4_NL": gguf_blocks.iq4_nl,
    "Q2_K": gguf_k_blocks.q2_k,
    "Q3_K": gguf_k_blocks.q3_k,
    "Q4_K": gguf_k_blocks.q4_k,
    "Q5_K": gguf_k_blocks.q5_k,
    "Q6_K": gguf_k_blocks.q6_k,
    "IQ4_XS": gguf_k_blocks.iq4_xs,
}


def decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The numbers in float32, in the shape of the source, whose parameters stand in `encodings.gguf`."""
    (stored,) = parts
    values = torch.empty(source.numel, dtype=torch.float32, device=stored.device)
    skipped, head_rows = int(source.parameters.get(SKIPPED, 0)), int(source.parameters.get(HEAD_ROWS, 0))
    if head_rows:
        _decode_heads(source, stored, values, head_rows, skipped)
    else:
        _decode_run(source, stored, values, skipped)
    shift = float(source.parameters.get(SHIFT, 0.0))
    return (values.add_(shift) if shift else values).reshape(source.shape)


def _decode_run(source: WeightSource, stored: torch.Tensor, values: torch.Tensor, skipped: int) -> None:
    """Values one after another, without the first `skipped` and what lies behind them in the last block."""
    kind = BLOCK_TYPES.get(source.stored_dtype)
    width, line = (kind.values, kind.nbytes) if kind else (1, 1)
    blocks = stored.reshape(-1, line)
    step = max(1, CHUNK_VALUES // width)
    for start in range(0, len(blocks), step):
        chunk = _numbers(source, blocks[start : start + step]).view(-1)
        first = start * width - skipped
        place = slice(max(0, first), min(len(values), first + len(chunk)))
        values[place] = chunk[place.start - first : place.stop - first]
        del chunk  # before the next one is made


def _decode_heads(
    source: WeightSource, stored: torch.Tensor, values: torch.Tensor, head_rows: int, skipped: int
) -> None:
    """Rows that lie as pairs: row 2 j + i of a head is stored where row j + i * half of it belongs."""
    rows = source.shape[0]
    width = source.numel // max(1, rows)
    lines = stored.reshape(int(source.parts[0].shape[0]), -1)
    step = max(1, CHUNK_VALUES // max(1, width))
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        row = torch.arange(start + skipped, stop + skipped, device=stored.device)
        head, place = row // head_rows, row % head_rows
        half, pair = place // (head_rows // 2), place % (head_rows // 2)
        chosen = lines[head * head_rows + 2 * pair + half]
        values[start * width : stop * width] = _numbers(source, chosen).view(-1)


def _numbers(source: WeightSource, lines: torch.Tensor) -> torch.Tensor:
    """Whole blocks, or plain numbers, as float32."""
    kind = BLOCK_TYPES.get(source.stored_dtype)
    return lines.to(torch.float32) if kind is None else DECODERS[kind.name](lines.reshape(-1, kind.nbytes))
