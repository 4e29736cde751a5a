"""GGUF files for tests: written by the gguf package, or byte by byte where they must be broken."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from model_files import Tensors

ENCODABLE = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")
RANDOM_ONLY = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")
DECODED = ENCODABLE + RANDOM_ONLY
SCALES = {
    # where the float16 numbers of a block stand
    **{"Q8_0": (0,), "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "IQ4_NL": (0,), "IQ4_XS": (0,)},
    **{"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)},
}


def block_size(kind: str) -> tuple[int, int]:
    """Values and bytes of a block, as the package has them."""
    return gguf.GGML_QUANT_SIZES[Kind[kind]]


def random_blocks(kind: str, count: int, seed: int) -> np.ndarray:
    """Valid blocks with all bits at random but for the scales, which are numbers near 0.01; (count, bytes)."""
    values, nbytes = block_size(kind)
    generator = np.random.default_rng([seed, values, nbytes])
    blocks = generator.integers(0, 256, (count, nbytes), dtype=np.uint8)
    for place in SCALES.get(kind, ()):
        scales = (0.01 * generator.standard_normal(count)).astype(np.float16)
        blocks[:, place : place + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks


def random_rows(kind: str, rows: int, columns: int, seed: int) -> np.ndarray:
    """A matrix of a block type as the package's writer takes it: (rows, bytes of a row)."""
    values, nbytes = block_size(kind)
    return random_blocks(kind, rows * columns // values, seed).reshape(rows, columns // values * nbytes)


def encoded(kind: str, weight: torch.Tensor) -> np.ndarray:
    """A weight as the package encodes it."""
    return gguf.quantize(weight.float().numpy(), Kind[kind])


def decoded(kind: str, data: np.ndarray) -> torch.Tensor:
    """What the package decodes, float32."""
    return torch.from_numpy(gguf.dequantize(data, Kind[kind]))


@dataclass
class GgufModel:
    """What goes into a file: plain tensors, and encoded ones with their types."""

    tensors: Tensors = field(default_factory=dict)
    blocks: dict[str, tuple[str, np.ndarray]] = field(default_factory=dict)
    architecture: str = "flux"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    original_shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)


def save_gguf(path: Path, model: GgufModel, **options: Any) -> Path:
    """Write a model as the gguf package does; `options` are those of its writer."""
    writer = gguf.GGUFWriter(path, model.architecture, **options)
    for key, value in model.metadata.items():
        if key == "general.alignment":
            writer.add_custom_alignment(value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, (list, tuple)):
            writer.add_array(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_uint32(key, value)
    for name, shape in model.original_shapes.items():
        writer.add_array(f"comfy.gguf.orig_shape.{name}", tuple(shape))
    for name, tensor in model.tensors.items():
        if tensor.dtype == torch.bfloat16:
            data = tensor.contiguous().view(torch.uint8).numpy()
            writer.add_tensor(name, data, raw_dtype=Kind.BF16)
        else:
            writer.add_tensor(name, tensor.contiguous().numpy())
    for name, (kind, data) in model.blocks.items():
        writer.add_tensor(name, data, raw_dtype=Kind[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def text(value: str | bytes) -> bytes:
    """A string of the format."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def entry(key: str, kind: int, value: bytes) -> bytes:
    """A metadata entry of any type."""
    return text(key) + struct.pack("<I", kind) + value


def string_entry(key: str, value: str) -> bytes:
    return entry(key, 8, text(value))


def array_entry(key: str, kind: int, count: int, items: bytes) -> bytes:
    return entry(key, 9, struct.pack("<IQ", kind, count) + items)


def tensor_entry(name: str, sizes: Sequence[int], kind: int, offset: int) -> bytes:
    """A tensor's entry; sizes in the order of the format, the innermost first."""
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


@dataclass
class RawGguf:
    """A file byte by byte: what is not given is as it should be."""

    entries: Sequence[bytes] = (string_entry("general.architecture", "flux"),)
    tensors: Sequence[bytes] = ()
    data: bytes = b""
    version: int = 3
    entry_count: int | None = None
    tensor_count: int | None = None
    alignment: int = 32
    magic: bytes = b"GGUF"

    def save(self, path: Path) -> Path:
        counts = (
            len(self.tensors) if self.tensor_count is None else self.tensor_count,
            len(self.entries) if self.entry_count is None else self.entry_count,
        )
        head = self.magic + struct.pack("<IQQ", self.version, *counts) + b"".join([*self.entries, *self.tensors])
        padding = -len(head) % self.alignment if self.data else 0
        path.write_bytes(head + bytes(padding) + self.data)
        return path
