"""Decoding of `engine.checkpoints.encodings.gguf`: some blocks at a time, into the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from engine.checkpoints.encodings import gguf_blocks, gguf_k_blocks, gguf_steps, step_sizes
from engine.checkpoints.encodings.gguf import CHUNK_VALUES, HEAD_ROWS, SHIFT, SKIPPED
from engine.checkpoints.gguf_types import BLOCK_TYPES
from engine.checkpoints.stored import WeightSource
from engine.steps import check

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


@dataclass(frozen=True)
class Chunk:
    """Some of what is stored, and which of a weight's numbers it holds.

    Attributes:
        lines: whole blocks, (count, bytes) uint8, or rows of plain numbers.
        first: the first of the weight's numbers that it holds, and
        last: the one behind the last; one after another in the order of the weight.
        skipped: numbers of the chunk before the first one.
    """

    lines: torch.Tensor
    first: int
    last: int
    skipped: int


def decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The numbers in float32, in the shape of the source, whose parameters stand in `encodings.gguf`."""
    values = torch.empty(source.numel, dtype=torch.float32, device=parts[0].device)
    for chunk in chunks(source, parts[0]):
        numbers = numbers_of(source, chunk.lines)
        values[chunk.first : chunk.last] = numbers[chunk.skipped : chunk.skipped + chunk.last - chunk.first]
        del numbers, chunk  # before the next ones are made
    shift = float(source.parameters.get(SHIFT, 0.0))
    return (values.add_(shift) if shift else values).reshape(source.shape)


def steps(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The scales of the blocks, which whole numbers are multiplied by; of IQ4 types the steps of what nibbles mean."""
    found = torch.empty(source.numel, dtype=torch.float32, device=parts[0].device)
    for chunk in chunks(source, parts[0]):
        if source.stored_dtype in BLOCK_TYPES:
            some = gguf_steps.of_blocks(source.stored_dtype, chunk.lines)
        else:
            some = step_sizes.of_floats(chunk.lines)
        found[chunk.first : chunk.last] = some.reshape(-1)[chunk.skipped : chunk.skipped + chunk.last - chunk.first]
        del some, chunk  # before the next ones are made
    return found.reshape(source.shape)


def chunks(source: WeightSource, stored: torch.Tensor) -> Iterator[Chunk]:
    """Go over what is stored of a weight, some of it at a time, in the order of the weight's numbers."""
    if HEAD_ROWS in source.parameters:
        yield from _of_heads(source, stored)
    else:
        yield from _of_run(source, stored)


def numbers_of(source: WeightSource, lines: torch.Tensor) -> torch.Tensor:
    """The numbers of a chunk's lines, float32, one after another."""
    kind = BLOCK_TYPES.get(source.stored_dtype)
    return (lines.to(torch.float32) if kind is None else DECODERS[kind.name](lines)).view(-1)


def _of_run(source: WeightSource, stored: torch.Tensor) -> Iterator[Chunk]:
    """Numbers one after another, without those of the first and the last block that are not the weight's."""
    kind = BLOCK_TYPES.get(source.stored_dtype)
    width, line = (kind.values, kind.nbytes) if kind else (1, 1)
    lines, count = stored.reshape(-1, line), source.numel
    before = int(source.parameters.get(SKIPPED, 0))
    step = max(1, CHUNK_VALUES // width)
    for start in range(0, len(lines), step):
        check()
        begin = start * width - before
        some = lines[start : start + step]
        first = max(0, begin)
        yield Chunk(some, first, min(count, begin + len(some) * width), first - begin)


def _of_heads(source: WeightSource, stored: torch.Tensor) -> Iterator[Chunk]:
    """Rows that lie as pairs: row 2 j + i of a head is stored where row j + i * half of it belongs."""
    kind = BLOCK_TYPES.get(source.stored_dtype)
    rows, head_rows = source.shape[0], int(source.parameters[HEAD_ROWS])
    before = int(source.parameters.get(SKIPPED, 0))
    width = source.numel // max(1, rows)
    lines = stored.reshape(int(source.parts[0].shape[0]), -1)
    step = max(1, CHUNK_VALUES // max(1, width))
    for start in range(0, rows, step):
        check()
        stop = min(rows, start + step)
        some = lines[_stored_rows(start + before, stop + before, head_rows, stored.device)]
        yield Chunk(some if kind is None else some.view(-1, kind.nbytes), start * width, stop * width, 0)
        del some


def _stored_rows(start: int, stop: int, head_rows: int, device: torch.device) -> torch.Tensor:
    """Where rows of a weight are stored, counted from its first head."""
    row = torch.arange(start, stop, device=device)
    head, place = row // head_rows, row % head_rows
    return head * head_rows + 2 * (place % (head_rows // 2)) + place // (head_rows // 2)
