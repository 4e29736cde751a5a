"""The steps of the blocks of GGUF files: how far apart the numbers are that a block can hold.

The step is the scale that is stored, but for what encoders do to make the error of a block small: the number that makes
a scale or a minimum is not rounded at all, and the K types and IQ4 search among some scales for the best one.
"""

from __future__ import annotations

import torch

from engine.checkpoints.encodings import step_sizes
from engine.checkpoints.encodings.gguf_blocks import IQ4_VALUES, from_iq4, halves, nibbles
from engine.checkpoints.encodings.gguf_k_blocks import iq4_xs_codes, scales_of
from engine.checkpoints.gguf_types import BLOCK_TYPES

# The share of a uniform error's variance that is left. Of Q8_0, Q4_1 and Q5_1 it follows from one or two numbers of 32
# that are exact; Q4_0 and Q5_0 lose as much at the end that has one code less. Those of the others are measured: what
# `ggml_quantize_chunk` leaves of numbers drawn from normal and uniform distributions, with and without weights of
# importance, lies within a tenth of them. See docs/benchmarks.md.
_LEFT = {
    "Q8_0": 31 / 32,
    "Q4_1": 30 / 32,
    "Q5_1": 30 / 32,
    "Q2_K": 0.76,
    "Q3_K": 0.9,
    "Q4_K": 0.76,
    "Q5_K": 0.83,
    "Q6_K": 0.81,
    "IQ4_NL": 0.83,
    "IQ4_XS": 0.84,
}


def of_blocks(kind: str, blocks: torch.Tensor) -> torch.Tensor:
    """The step of every number of some blocks.

    Args:
        kind: a key of `BLOCK_TYPES` that is read.
        blocks: (count, bytes) uint8, contiguous.

    Returns:
        (count, values of a block) float32.
    """
    values = BLOCK_TYPES[kind].values
    scales = halves(blocks, 0) if values == 32 else scales_of(kind, blocks)
    scales = scales.abs_().mul_(_LEFT.get(kind, 1.0) ** 0.5)[:, :, None]
    if kind in ("IQ4_NL", "IQ4_XS"):
        codes = nibbles(blocks[:, 2:])[:, None] if kind == "IQ4_NL" else iq4_xs_codes(blocks)
        table = step_sizes.of_levels(torch.tensor(IQ4_VALUES)).to(blocks.device)
        return from_iq4(codes, table).mul_(scales).view(-1, values)
    return scales.expand(-1, -1, values // scales.shape[1]).reshape(-1, values)
