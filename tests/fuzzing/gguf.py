"""Damage to valid GGUF files of every form: the version, the tables, the blocks, and one of several parts."""

from __future__ import annotations

import random
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from gguf_files import GgufModel, RawGguf, array_entry, entry, random_rows, save_gguf, string_entry, tensor_entry, text

from .mutations import NUMBERS

_REFUSED = "refused.gguf"


@dataclass(frozen=True)
class Sample:
    """A valid model: its files by name, and the one that is damaged and opened."""

    files: dict[str, bytes]
    damaged: str


@cache
def samples() -> tuple[Sample, ...]:
    """Valid models of every form that the container knows."""
    with tempfile.TemporaryDirectory() as folder:
        return tuple(_written(Path(folder)))


def _written(folder: Path) -> list[Sample]:
    weights = {f"blocks.{number}.weight": torch.ones(4, 8) * number for number in range(6)}
    blocks = {kind: (kind, random_rows(kind, 3, 256, seed=1)) for kind in ("Q4_K", "Q8_0", "Q6_K")}
    shapes = {"Q4_K": (2, 32, 3, 4), "Q6_K": (768,)}
    metadata = {"general.name": "a", "flux.count": 3, "flux.list": [1, 2], "tokenizer.ggml.tokens": ["a", "bc", "def"]}
    save_gguf(folder / "plain.gguf", GgufModel(weights, blocks, "flux", metadata, shapes))
    save_gguf(folder / _REFUSED, GgufModel(weights, {"IQ2_S": ("IQ2_S", random_rows("IQ2_S", 3, 256, seed=1))}))
    heads = {"llama.attention.head_count": 2, "llama.attention.head_count_kv": [1, 1], "general.alignment": 64}
    layer = {f"blk.0.attn_{part}.weight": torch.ones(4, 32) for part in "qkv"}
    save_gguf(folder / "llama.gguf", GgufModel(layer, architecture="llama", metadata=heads))
    entries = [
        string_entry("general.architecture", "gemma2"),
        array_entry("nested", 9, 2, 2 * (struct.pack("<IQ", 8, 1) + text("a"))),
        *(entry(f"of type {kind}", kind, bytes(size)) for kind, size in enumerate((1, 1, 2, 2, 4, 4, 4, 1))),
        *(entry(f"of type {kind}", kind, bytes(8)) for kind in (10, 11, 12)),
    ]
    tensors = [tensor_entry("blk.0.attn_norm.weight", [8], 0, 0), tensor_entry("a", [2, 2, 2, 1, 1], 1, 32)]
    RawGguf(entries, tensors, bytes(64), version=2).save(folder / "raw.gguf")
    found = [Sample({path.name: path.read_bytes()}, path.name) for path in sorted(folder.glob("*.gguf"))]
    save_gguf(folder / "part.gguf", GgufModel(weights), split_max_tensors=2)
    parts = {path.name: path.read_bytes() for path in sorted(folder.glob("part-*.gguf"))}
    return [*found, *(Sample(parts, name) for name in parts)]


def valid(folder: Path) -> list[Path]:
    """The samples as they are, but for the one of a block type that is not read."""
    readable = [sample for sample in samples() if sample.damaged != _REFUSED]
    return [_save(sample, folder / str(number)) for number, sample in enumerate(readable)]


def gguf(folder: Path, rng: random.Random) -> Path:
    """One of the samples with a damage."""
    sample = rng.choice(samples())
    files = sample.files | {sample.damaged: damaged(sample.files[sample.damaged], rng)}
    return _save(Sample(files, sample.damaged), folder)


def _save(sample: Sample, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, data in sample.files.items():
        (folder / name).write_bytes(data)
    return folder / sample.damaged


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One to four changes, most of them in the header."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        if not result:
            break
        rng.choice(_DAMAGES)(result, rng)
    return bytes(result)


def _place(data: bytearray, rng: random.Random) -> int:
    return rng.randrange(min(len(data), rng.choice((32, 256, 1 << 20))))


def _flip(data: bytearray, rng: random.Random) -> None:
    data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _number(data: bytearray, rng: random.Random) -> None:
    place, size = _place(data, rng), rng.choice((1, 2, 4, 8))
    raw = (rng.choice(NUMBERS) & (1 << 8 * size) - 1).to_bytes(size, "little")
    data[place : place + size] = raw[: len(data) - place]


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[_place(data, rng) :]


def _remove(data: bytearray, rng: random.Random) -> None:
    place = _place(data, rng)
    del data[place : place + rng.randrange(1, 17)]


def _insert(data: bytearray, rng: random.Random) -> None:
    place = _place(data, rng)
    data[place:place] = rng.randbytes(rng.randrange(1, 17))


def _repeat(data: bytearray, rng: random.Random) -> None:
    place, other, size = _place(data, rng), _place(data, rng), rng.randrange(1, 65)
    data[place:place] = data[other : other + size]


_DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _number,
    _number,
    _cut,
    _remove,
    _insert,
    _repeat,
)
