"""Model pairs of any size, written tensor by tensor, so that making one takes the memory of one tensor.

The change is a product of rank 96 whose singular values fall as i^-0.6, so that nothing ends at the rank that is asked
for, under the noise of rounding both sides to bfloat16.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

PREFIX = "model.diffusion_model."
WIDEST = 3072
LEAST_BLOCKS = 4
_POOL = (1 << 22) + 7  # random numbers that are used over and over; odd, so that rows of a matrix differ
_CHANGE = 0.03  # |delta| / |original|, as a strong fine-tune has
_CHANGE_RANK = 96
_DECAY = -0.6

Pair = tuple[Path, Path]


@dataclass(frozen=True)
class Layout:
    """Shapes of a model with the names of the Wan family.

    Attributes:
        kind: ``transformer`` has four square matrices, two of four times the width and two norms per block; ``equal``
            four square matrices and nothing else.
        width: side of the square matrices.
        blocks: how many.
    """

    kind: Literal["transformer", "equal"]
    width: int
    blocks: int

    @property
    def name(self) -> str:
        """Start of the files' names."""
        return f"{self.kind}-{self.width}-{self.blocks}"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor in the order of the file; the first name is what the family is recognised by."""
        shapes: dict[str, tuple[int, ...]] = {f"{PREFIX}head.modulation": (1, 2, self.width)}
        for block in range(self.blocks):
            shapes.update({f"{PREFIX}blocks.{block}.{name}": shape for name, shape in self._block().items()})
        return shapes

    def _block(self) -> dict[str, tuple[int, ...]]:
        square: dict[str, tuple[int, ...]] = {f"self_attn.{x}.weight": (self.width, self.width) for x in "qkvo"}
        if self.kind == "equal":
            return square
        wide: dict[str, tuple[int, ...]] = {
            "ffn.0.weight": (4 * self.width, self.width),
            "ffn.2.weight": (self.width, 4 * self.width),
        }
        norms: dict[str, tuple[int, ...]] = {f"norm{number}.weight": (self.width,) for number in (1, 3)}
        return {**square, **wide, **norms}

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors of one side."""
        return sum(2 * math.prod(shape) for shape in self.shapes.values())


def transformer(nbytes: float, width: int) -> Layout:
    """The smallest transformer of that width that has so many bytes."""
    blocks = Layout("transformer", width, 1).nbytes - Layout("transformer", width, 0).nbytes
    return Layout("transformer", width, max(1, math.ceil(nbytes / blocks)))


def width_for(nbytes: float) -> int:
    """The largest width, up to 3072, at which so many bytes are at least four blocks of a transformer."""
    fitting = int(math.sqrt(nbytes / LEAST_BLOCKS / 24))
    return min(WIDEST, max(128, fitting // 128 * 128))


def write_pair(layout: Layout, folder: Path) -> Pair:
    """Write the fine-tuned model and the original in bf16 and wait for the disk; returns their paths."""
    tuned_path, base_path = (folder / f"{layout.name}-{side}.safetensors" for side in ("tuned", "base"))
    header = _header(layout)
    pool = torch.randn(_POOL, generator=torch.Generator().manual_seed(0))
    with tuned_path.open("wb") as tuned_file, base_path.open("wb") as base_file:
        for stream in (tuned_file, base_file):
            stream.write(header)
        for index, shape in enumerate(layout.shapes.values()):
            tuned, base = _tensors(shape, index, pool)
            tuned_file.write(_bytes(tuned))
            base_file.write(_bytes(base))
        for stream in (tuned_file, base_file):
            stream.flush()
            os.fsync(stream.fileno())  # else it is written while something is measured
    return tuned_path, base_path


def _header(layout: Layout) -> bytes:
    """Length and JSON of a safetensors file, padded to eight bytes."""
    entries, position = {}, 0
    for name, shape in layout.shapes.items():
        end = position + 2 * math.prod(shape)
        entries[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _tensors(shape: tuple[int, ...], index: int, pool: Tensor) -> tuple[Tensor, Tensor]:
    """Both sides of one tensor, bf16."""
    generator = torch.Generator().manual_seed(index + 1)
    columns = shape[-1]
    base = _tiled(pool, math.prod(shape), 7919 * index).view(-1, columns).div_(math.sqrt(columns)).to(torch.bfloat16)
    rank = min(_CHANGE_RANK, *base.shape)
    weights = torch.arange(1, rank + 1, dtype=torch.float32) ** _DECAY
    weights *= _CHANGE / math.sqrt(columns) / float(weights.norm())
    left = torch.randn(base.shape[0], rank, generator=generator) * weights
    right = torch.randn(rank, columns, generator=generator)
    tuned = torch.addmm(base.to(torch.float32), left, right).to(torch.bfloat16)
    return tuned.reshape(shape), base.reshape(shape)


def _tiled(pool: Tensor, count: int, start: int) -> Tensor:
    """So many numbers of the pool from a place on, over and over; a copy."""
    rolled = pool.roll(-start % _POOL)
    return rolled.repeat(-(-count // _POOL))[:count]


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().data
