"""The blocks of 256 values of GGUF files, decoded: Q2_K to Q6_K and IQ4_XS.

Each function takes blocks as (count, bytes) uint8, contiguous, and gives (count, 256) float32 on the same device. A
block has one or two float16 numbers, and a scale of a few bits for each 16 or 32 values, which multiplies those.
Source: ggml, src/ggml-common.h (the structures) and src/ggml-quants.c (which bits belong to which value).
"""

from __future__ import annotations

import torch

from engine.checkpoints.encodings.gguf_blocks import from_iq4, halves, nibbles


def q2_k(blocks: torch.Tensor) -> torch.Tensor:
    """16 scales with their minima, 64 bytes of 2 bits, d, dmin: d * scale * q - dmin * minimum, for each 16."""
    scale = scales_of("Q2_K", blocks)
    least = halves(blocks, 82) * (blocks[:, :16] >> 4)
    values = _bit_pairs(blocks[:, 16:80]).view(-1, 16, 16).to(torch.float32)
    return values.mul_(scale[:, :, None]).sub_(least[:, :, None]).view(-1, 256)


def q3_k(blocks: torch.Tensor) -> torch.Tensor:
    """32 bytes of third bits, 64 of 2 bits, 12 of 16 scales, d: d * (scale - 32) * (q - 4), for each 16."""
    scale = scales_of("Q3_K", blocks)
    third = _spread(blocks[:, :32], 1).reshape(-1, 256)
    values = (_bit_pairs(blocks[:, 32:96]) | third << 2).to(torch.float32).sub_(4)
    return values.view(-1, 16, 16).mul_(scale[:, :, None]).view(-1, 256)


def q4_k(blocks: torch.Tensor) -> torch.Tensor:
    """d, dmin, 12 bytes of 8 scales and minima, 128 of nibbles: d * scale * q - dmin * minimum, for each 32."""
    values = nibbles(blocks[:, 16:].view(-1, 4, 32)).view(-1, 8, 32).to(torch.float32)
    return _scaled(values, blocks)


def q5_k(blocks: torch.Tensor) -> torch.Tensor:
    """As Q4_K, with 32 bytes of fifth bits before the nibbles."""
    fifth = _spread(blocks[:, 16:48], 1)
    values = nibbles(blocks[:, 48:].view(-1, 4, 32)).view(-1, 8, 32) | fifth << 4
    return _scaled(values.to(torch.float32), blocks)


def q6_k(blocks: torch.Tensor) -> torch.Tensor:
    """128 bytes of low nibbles, 64 of upper 2 bits, 16 signed scales, d: d * scale * (q - 32), for each 16."""
    low = nibbles(blocks[:, :128].view(-1, 2, 64)).view(-1, 256)
    values = (low | _bit_pairs(blocks[:, 128:192]) << 4).to(torch.float32).sub_(32)
    return values.view(-1, 16, 16).mul_(scales_of("Q6_K", blocks)[:, :, None]).view(-1, 256)


def iq4_xs_codes(blocks: torch.Tensor) -> torch.Tensor:
    """The nibbles of IQ4_XS, (count, 8, 32) uint8."""
    return nibbles(blocks[:, 8:].view(-1, 8, 16))


def iq4_xs(blocks: torch.Tensor) -> torch.Tensor:
    """d, 8 scales of 6 bits (upper 2 first), 128 bytes of nibbles: d * (scale - 32) * value, for each 32."""
    values = from_iq4(iq4_xs_codes(blocks))
    return values.mul_(scales_of("IQ4_XS", blocks)[:, :, None]).view(-1, 256)


def scales_of(kind: str, blocks: torch.Tensor) -> torch.Tensor:
    """What the whole numbers of a type of blocks are multiplied by: (count, 8 or 16) float32, one for each 32 or 16."""
    if kind == "Q2_K":
        return halves(blocks, 80) * (blocks[:, :16] & 15)
    if kind == "Q3_K":
        low, high = nibbles(blocks[:, 96:104]), _spread(blocks[:, 104:108], 2).reshape(-1, 16)
        return halves(blocks, 108) * (low | high << 4).to(torch.float32).sub_(32)
    if kind == "Q6_K":
        return halves(blocks, 208) * blocks[:, 192:208].view(torch.int8)
    if kind == "IQ4_XS":
        high = _spread(blocks[:, 2:4], 2).transpose(1, 2).reshape(-1, 8)
        low = torch.stack((blocks[:, 4:8] & 15, blocks[:, 4:8] >> 4), dim=-1).view(-1, 8)
        return halves(blocks, 0) * (low | high << 4).to(torch.float32).sub_(32)
    first, third = blocks[:, 4:8], blocks[:, 12:16]
    return halves(blocks, 0) * torch.cat((first & 63, third & 15 | first >> 6 << 4), dim=1)


def _scaled(values: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
    """(blocks, 8, 32) values with the scales and minima of Q4_K and Q5_K, as (blocks, 256)."""
    second, third = blocks[:, 8:12], blocks[:, 12:16]
    least = torch.cat((second & 63, third >> 4 | second >> 6 << 4), dim=1)
    values.mul_(scales_of("Q4_K", blocks)[:, :, None])
    return values.sub_((halves(blocks, 2) * least)[:, :, None]).view(-1, 256)


def _spread(packed: torch.Tensor, bits: int) -> torch.Tensor:
    """(..., n) bytes as (..., 8 / bits, n) uint8: the lowest bits of all bytes, then the next ones, and so on."""
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=packed.device)
    return packed.unsqueeze(-2) >> shifts[:, None] & (1 << bits) - 1


def _bit_pairs(packed: torch.Tensor) -> torch.Tensor:
    """64 bytes as (blocks, 256) uint8: of each 32 bytes the lowest two bits, then the next ones."""
    return _spread(packed.view(-1, 2, 32), 2).view(-1, 256)
