"""An encoding: two numbers of four bits in a byte, and for each row a scale and a zero point.

value = (nibble - zero) * scale; the weight is twice as wide as what is stored, the low nibble comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from engine.checkpoints import StoredTensor, WeightSource
from engine.checkpoints.encodings import Claim, Encoding

PARTS = (".packed", ".row_scale", ".row_zero")


class Nibbles(Encoding):
    """Three stored tensors for each weight."""

    key = "toy_nibbles"
    title = "toy nibbles"
    decoder = "toys.encoding_decode"

    def claim(self, stored: Mapping[str, StoredTensor], metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`."""
        weights = []
        for name, packed in stored.items():
            module = name.removesuffix(PARTS[0])
            if module != name:
                parts = (packed, *(stored[module + part] for part in PARTS[1:]))
                shape = (packed.shape[0], 2 * packed.shape[1])
                weights.append(WeightSource(module + ".weight", shape, "F32", self.key, parts))
        return Claim(tuple(weights))

    def rows(self, source: WeightSource, start: int, stop: int) -> WeightSource | None:
        """See `Encoding.rows`."""
        parts = tuple(part.rows(start, stop) for part in source.parts)
        return replace(source, shape=(stop - start, source.shape[1]), parts=parts)

    def scratch_bytes(self, source: WeightSource) -> int:
        """See `Encoding.scratch_bytes`: the nibbles as int64, more than the result, and the scales as float32."""
        return 8 * source.numel + 4 * source.shape[0]


class WholeNibbles(Nibbles):
    """The same where no rows can be read by themselves."""

    key = "toy_whole_nibbles"

    def rows(self, source: WeightSource, start: int, stop: int) -> WeightSource | None:
        """See `Encoding.rows`."""
        return None


def encoded(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """The three tensors of a weight with an even number of columns; computed with numpy."""
    values = weight.double().numpy()
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    scale = np.maximum((high - low) / 15, 1e-8).astype(np.float16)
    zero = (-low / scale.astype(np.float64)).astype(np.float32)
    nibbles = np.clip(np.rint(values / scale.astype(np.float64) + zero), 0, 15).astype(np.uint8)
    packed = nibbles[:, 0::2] | nibbles[:, 1::2] << 4
    parts = packed, scale[:, 0], zero[:, 0]
    return {name + part: torch.from_numpy(array.copy()) for part, array in zip(PARTS, parts, strict=True)}


def reference(tensors: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """What those three stand for, in float32; computed with numpy, number by number as the formula says."""
    packed, scale, zero = (tensors[name + part].numpy() for part in PARTS)
    values = np.empty((packed.shape[0], 2 * packed.shape[1]), np.float32)
    values[:, 0::2], values[:, 1::2] = packed & 15, packed >> 4
    return torch.from_numpy((values - zero[:, None]) * scale.astype(np.float32)[:, None])
