"""Seeded damage to valid GGUF files: each opens, or is refused with an `EngineError`, in little memory and time.

``python tests/fuzz_gguf.py --cases 100000`` runs as many as wanted and says how they ended; a seed and a number name
a case for ever.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    ROOT = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "engine")]

import torch
from gguf_files import GgufModel, RawGguf, array_entry, entry, random_rows, save_gguf, string_entry, tensor_entry, text

from engine.checkpoints import WeightView, open_checkpoint
from engine.checkpoints.tensors import read_view
from engine.errors import EngineError
from engine.models.names import name_tensors

MOST_BYTES = 16_000_000
"""What Python may hold at most in a case; the files have a few kilobytes."""
MOST_SECONDS = 20.0
"""Against hanging: a case takes about a millisecond."""
_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    9,
    31,
    32,
    255,
    256,
    65535,
    1 << 16,
    1 << 31,
    (1 << 32) - 1,
    1 << 40,
    1 << 63,
    (1 << 64) - 1,
)


@dataclass(frozen=True)
class Sample:
    """A valid model: its files by name, and the one that is damaged and opened."""

    files: dict[str, bytes]
    damaged: str


def samples(folder: Path) -> list[Sample]:
    """Valid models of every form that the container knows."""
    weights = {f"blocks.{number}.weight": torch.ones(4, 8) * number for number in range(6)}
    blocks = {kind: (kind, random_rows(kind, 3, 256, seed=1)) for kind in ("Q4_K", "Q8_0", "IQ2_S", "Q6_K")}
    shapes = {"Q4_K": (2, 32, 3, 4), "Q6_K": (768,)}
    metadata = {"general.name": "a", "flux.count": 3, "flux.list": [1, 2], "tokenizer.ggml.tokens": ["a", "bc", "def"]}
    save_gguf(folder / "plain.gguf", GgufModel(weights, blocks, "flux", metadata, shapes))
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


def damaged(data: bytes, chance: random.Random) -> bytes:
    """One to four changes, most of them in the header."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        if not result:
            break
        chance.choice(_DAMAGES)(result, chance)
    return bytes(result)


def _place(data: bytearray, chance: random.Random) -> int:
    return chance.randrange(min(len(data), chance.choice((32, 256, 1 << 20))))


def _flip(data: bytearray, chance: random.Random) -> None:
    data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _number(data: bytearray, chance: random.Random) -> None:
    place, size = _place(data, chance), chance.choice((1, 2, 4, 8))
    raw = (chance.choice(_NUMBERS) & (1 << 8 * size) - 1).to_bytes(size, "little")
    data[place : place + size] = raw[: len(data) - place]


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[_place(data, chance) :]


def _remove(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    del data[place : place + chance.randrange(1, 17)]


def _insert(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    data[place:place] = chance.randbytes(chance.randrange(1, 17))


def _repeat(data: bytearray, chance: random.Random) -> None:
    place, other, size = _place(data, chance), _place(data, chance), chance.randrange(1, 65)
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


def outcome(path: Path) -> str:
    """How the opening of a file ends: the code of its refusal, or ``opened``. Everything small in it is decoded.

    Raises:
        Anything but an `EngineError`: what must not happen.
    """
    try:
        with open_checkpoint(path) as model:
            name_tensors(model)
            for source in model.weights.values():
                if source.value_bytes <= 1 << 20 and source.parts[0].nbytes <= 1 << 20:
                    assert read_view(model, WeightView.of(source, "")).shape == source.shape
    except EngineError as error:
        return error.code.value
    return "opened"


def run(cases: int, seed: int) -> Counter[str]:
    """Damage, open and count.

    Raises:
        AssertionError: with the case, for wild memory or time; else what the opening raised.
    """
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "samples").mkdir()
        models = samples(folder / "samples")
        for model in models:
            assert _case(folder / "valid", model, model.files[model.damaged]) == "opened", model.damaged
        tracemalloc.start()
        try:
            for number in range(cases):
                chance = random.Random(f"{seed} {number}")
                model = chance.choice(models)
                before, started = tracemalloc.get_traced_memory()[0], time.perf_counter()
                tracemalloc.reset_peak()
                try:
                    ends[_case(folder / "case", model, damaged(model.files[model.damaged], chance))] += 1
                except BaseException:
                    print(f"case {number} of seed {seed}, {model.damaged}", file=sys.stderr)
                    raise
                assert tracemalloc.get_traced_memory()[1] - before < MOST_BYTES, f"memory: case {number} of seed {seed}"
                assert time.perf_counter() - started < MOST_SECONDS, f"time: case {number} of seed {seed}"
        finally:
            tracemalloc.stop()
    return ends


def _case(folder: Path, model: Sample, content: bytes) -> str:
    folder.mkdir(exist_ok=True)
    for name, data in model.files.items():
        if name != model.damaged and not (folder / name).exists():
            (folder / name).write_bytes(data)
    (folder / model.damaged).write_bytes(content)
    try:
        return outcome(folder / model.damaged)
    finally:
        (folder / model.damaged).unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    begun = time.perf_counter()
    for code, count in run(chosen.cases, chosen.seed).most_common():
        print(f"{count:>8,} {code}")
    print(f"{time.perf_counter() - begun:.0f} s")
