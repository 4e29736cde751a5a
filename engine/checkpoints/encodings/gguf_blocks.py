"""The blocks of 32 values of GGUF files, decoded: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1 and IQ4_NL.

Each function takes blocks as (count, bytes) uint8, contiguous, and gives (count, 32) float32 on the same device.
Source: ggml, src/ggml-common.h, the structures ``block_q8_0`` and so on: scales are float16, little endian; the low
nibbles of a block are its first half.
"""

from __future__ import annotations

import torch

IQ4_VALUES = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
"""What a nibble of IQ4_NL and IQ4_XS stands for."""


def halves(blocks: torch.Tensor, start: int, count: int = 1) -> torch.Tensor:
    """Float16 numbers that lie `start` bytes into each block, as (blocks, count) float32."""
    return blocks[:, start : start + 2 * count].contiguous().view(torch.float16).to(torch.float32)


def nibbles(packed: torch.Tensor) -> torch.Tensor:
    """(..., n) bytes as (..., 2 n) uint8: all low nibbles, then all high ones."""
    return torch.cat((packed & 15, packed >> 4), dim=-1)


def codes_of(kind: str, blocks: torch.Tensor) -> torch.Tensor:
    """The whole numbers of a type of blocks that are multiplied by its scale, as (blocks, 32) float32."""
    if kind == "Q8_0":
        return blocks[:, 2:].view(torch.int8).to(torch.float32)
    if kind == "Q4_0":
        return nibbles(blocks[:, 2:]).to(torch.float32).sub_(8)
    if kind == "Q4_1":
        return nibbles(blocks[:, 4:]).to(torch.float32)
    if kind == "Q5_0":
        return _five_bits(blocks, 2).sub_(16)
    return _five_bits(blocks, 4)


def q8_0(blocks: torch.Tensor) -> torch.Tensor:
    """d, 32 signed bytes: d * q."""
    return codes_of("Q8_0", blocks).mul_(halves(blocks, 0))


def q4_0(blocks: torch.Tensor) -> torch.Tensor:
    """d, 16 bytes of nibbles: d * (q - 8)."""
    return codes_of("Q4_0", blocks).mul_(halves(blocks, 0))


def q4_1(blocks: torch.Tensor) -> torch.Tensor:
    """d, m, 16 bytes of nibbles: d * q + m."""
    return codes_of("Q4_1", blocks).mul_(halves(blocks, 0)).add_(halves(blocks, 2))


def q5_0(blocks: torch.Tensor) -> torch.Tensor:
    """d, 32 fifth bits, 16 bytes of nibbles: d * (q - 16)."""
    return codes_of("Q5_0", blocks).mul_(halves(blocks, 0))


def q5_1(blocks: torch.Tensor) -> torch.Tensor:
    """d, m, 32 fifth bits, 16 bytes of nibbles: d * q + m."""
    return codes_of("Q5_1", blocks).mul_(halves(blocks, 0)).add_(halves(blocks, 2))


def iq4_nl(blocks: torch.Tensor) -> torch.Tensor:
    """d, 16 bytes of nibbles: d * the value that each stands for."""
    return from_iq4(nibbles(blocks[:, 2:])).mul_(halves(blocks, 0))


def from_iq4(codes: torch.Tensor, table: torch.Tensor | None = None) -> torch.Tensor:
    """What nibbles of the non-linear types stand for, as float32; or their entries in another table."""
    values = torch.tensor(IQ4_VALUES, dtype=torch.float32, device=codes.device) if table is None else table
    return values.index_select(0, codes.view(-1).to(torch.int32)).view(codes.shape)


def _five_bits(blocks: torch.Tensor, start: int) -> torch.Tensor:
    """Numbers of five bits as float32; the fifth bits begin `start` bytes into each block, value 0 first."""
    shifts = torch.arange(8, dtype=torch.uint8, device=blocks.device)
    fifth = (blocks[:, start : start + 4, None] >> shifts & 1).reshape(-1, 32)
    return (nibbles(blocks[:, start + 4 :]) | fifth << 4).to(torch.float32)
