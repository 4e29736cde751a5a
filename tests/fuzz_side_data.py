"""Seeded damage to what stands beside encoded weights: JSON, shapes, dtypes, names and config.json.

A file with such damage opens and is decoded, or is refused with an `EngineError`, in little memory and time.
``python tests/fuzz_side_data.py --cases 100000`` runs as many as wanted and says how they ended; a seed and a number
name a case for ever.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    ROOT = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "engine")]

import torch
from encoded_weights import KINDS, weight_of
from model_files import Tensors, save_model

from engine.checkpoints import WeightView, open_checkpoint
from engine.checkpoints.encodings import cut_to, piece_of
from engine.checkpoints.stored import RAW
from engine.checkpoints.tensors import read_view
from engine.errors import EngineError

MOST_BYTES = 16_000_000
"""What Python may hold at most in a case; the files have a few kilobytes."""
MOST_SECONDS = 20.0
"""Against hanging: a case takes some milliseconds."""
MODULE = "model.diffusion_model.blocks.0.attn.proj"
_DTYPES = (
    *(torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e8m0fnu),
    *(torch.uint8, torch.int8, torch.int32, torch.int64, torch.bool),
)
_VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 16, 48, 64, 255, 256, 1 << 20, 1 << 31, 1 << 40, 1 << 63, 1 << 70, 0.5, 64.0, 1e308),
    *(float("nan"), float("inf"), True, False, None, "", "64", "float8_e4m3fn", "nvfp4", "int8_tensorwise", "mxfp8"),
    *("convrot_w4a4", "asym_w4a8_int8", "awq_w4a16", "nf4", "fp4", [], {}, [1], [64, 64], [0, 0], [1 << 40, 1 << 40]),
    *([-1, 5], [1] * 40, {"format": "nvfp4"}, {"convrot": True}, "x" * 3000),
)


@dataclass
class Case:
    """A file that is to be: tensors, the header's texts, and ``config.json``; changed in place."""

    tensors: Tensors
    metadata: dict[str, str]
    config: bytes | None


def sample(kind: str) -> Case:
    """A small valid file of a kind."""
    encoded = KINDS[kind].encode(MODULE, weight_of(min(KINDS[kind].shapes, key=lambda shape: shape[0] * shape[1])))
    config = json.dumps(encoded.config).encode() if encoded.config else None
    metadata = {}
    if encoded.layer is not None:
        metadata["_quantization_metadata"] = json.dumps({"layers": {MODULE: encoded.layer}})
    return Case({name: part.contiguous() for name, part in encoded.tensors.items()}, metadata, config)


def damaged(case: Case, others: list[Case], chance: random.Random) -> Case:
    """A copy with one to three damages."""
    copy = replace(case, tensors=dict(case.tensors), metadata=dict(case.metadata))
    if chance.random() < 0.7:  # else the header's words count instead of the markers
        copy.metadata.clear()
    for _ in range(chance.choice((1, 1, 2, 3))):
        chance.choice(_DAMAGES)(copy, others, chance)
    return copy


def _any_name(case: Case, chance: random.Random) -> str:
    return chance.choice(sorted(case.tensors))


def _remove(case: Case, others: list[Case], chance: random.Random) -> None:
    if len(case.tensors) > 1:
        del case.tensors[_any_name(case, chance)]


def _foreign(case: Case, others: list[Case], chance: random.Random) -> None:
    """A tensor of another kind beside it, perhaps in place of its own."""
    other = chance.choice(others)
    name = _any_name(other, chance)
    case.tensors[name] = other.tensors[name]


def _renamed(case: Case, others: list[Case], chance: random.Random) -> None:
    name = _any_name(case, chance)
    last = _any_name(chance.choice(others), chance).removeprefix(MODULE)
    case.tensors[chance.choice((MODULE + last, last.removeprefix("."), "a.b" + last))] = case.tensors.pop(name)


def _other_dtype(case: Case, others: list[Case], chance: random.Random) -> None:
    name, dtype = _any_name(case, chance), chance.choice(_DTYPES)
    case.tensors[name] = torch.zeros(case.tensors[name].shape, dtype=torch.uint8).to(dtype)


def _other_shape(case: Case, others: list[Case], chance: random.Random) -> None:
    name = _any_name(case, chance)
    part = case.tensors[name]
    raw = part.reshape(-1)
    shapes: tuple[Callable[[], torch.Tensor], ...] = (
        lambda: raw,
        lambda: raw[: chance.randrange(len(raw) + 1)],
        lambda: raw[:1].reshape(()) if len(raw) else raw,
        lambda: raw.reshape(1, 1, -1),
        lambda: part.T.contiguous() if part.dim() == 2 else raw[:0],
        lambda: part[: len(part) // 2] if part.dim() else raw[:0],
        lambda: part[..., :-1].contiguous() if part.dim() else raw,
        lambda: torch.zeros((0, *part.shape[1:]), dtype=torch.uint8).to(part.dtype),
    )
    case.tensors[name] = chance.choice(shapes)()


def _numbers(case: Case, others: list[Case], chance: random.Random) -> None:
    """Other bytes in a tensor, sometimes NaN in all of it."""
    name = _any_name(case, chance)
    part = case.tensors[name]
    data = bytearray(part.reshape(-1).view(torch.uint8).numpy().tobytes()) if part.numel() else bytearray()
    if not data or part.dtype is torch.bool:
        return
    if chance.random() < 0.3:
        data[:] = b"\xff" * len(data)
    for _ in range(chance.randrange(1, 9)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    case.tensors[name] = torch.frombuffer(data, dtype=torch.uint8).view(part.dtype).reshape(part.shape)


def _json_value(text: bytes, chance: random.Random) -> bytes:
    """JSON with another value somewhere in it, or broken."""
    if chance.random() < 0.25:
        data = bytearray(text)
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data)
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return b"[" * chance.choice((1, 5000))
    inner = table
    while isinstance(inner, dict) and inner and chance.random() < 0.6:
        deeper = [value for value in inner.values() if isinstance(value, dict)]
        if not deeper:
            break
        inner = chance.choice(deeper)
    if isinstance(inner, dict):
        keys = [*inner, "format", "params", "convrot_groupsize", "orig_shape", "group_size", "layers", "shape"]
        inner[chance.choice(keys)] = chance.choice(_VALUES)
    return json.dumps(table).encode()


def _described(case: Case, others: list[Case], chance: random.Random) -> None:
    """Other words in one of the descriptions, wherever there is one."""
    names = [name for name in case.tensors if "quant" in name and case.tensors[name].dtype is torch.uint8]
    places = [*names, *case.metadata, *(["config"] if case.config else [])]
    place = chance.choice(places) if places else "config"
    if place in case.metadata:
        text = case.metadata[place].encode()
        case.metadata[place] = _json_value(text, chance).decode(errors="replace").replace("\0", "")
    elif place == "config":
        case.config = _json_value(case.config or b'{"quantization_config": {"weight_block_size": [128, 128]}}', chance)
    else:
        words = bytes(case.tensors[place].reshape(-1).tolist())
        words = _json_value(words, chance) if words else b"{}"
        case.tensors[place] = torch.tensor(list(words), dtype=torch.uint8)


_DAMAGES = (_remove, _foreign, _renamed, _other_dtype, _other_shape, _numbers, _described, _described, _described)


def outcome(path: Path) -> str:
    """How a file ends: the code of its refusal, what it is said to be, or ``decoded``, and that whole and in rows.

    Raises:
        Anything but an `EngineError`: what must not happen.
    """
    try:
        with open_checkpoint(path) as model:
            quantisation, weights = model.quantisation, model.weights
            for source in weights.values():
                if source.encoding == RAW:
                    continue
                assert source.numel <= 4 * sum(part.nbytes for part in source.parts), "more numbers than are stored"
                view = WeightView.of(source, "")
                assert read_view(model, view).shape == source.shape
                rows = piece_of(source, source.shape[0] // 2, source.shape[0])
                assert read_view(model, WeightView("", rows.shape, (rows,))).shape == rows.shape
                cut_to(view, tuple(max(1, size - 3) for size in source.shape))
    except EngineError as error:
        return error.code.value
    return "refused by name" if quantisation else "decoded"


def run(cases: int, seed: int) -> Counter[str]:
    """Damage, open and count.

    Raises:
        AssertionError: with the case, for wild memory or time; else what the opening raised.
    """
    ends: Counter[str] = Counter()
    models = [sample(kind) for kind in KINDS]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, model in zip(KINDS, models, strict=True):
            assert _case(folder, model) == "decoded", kind
        tracemalloc.start()
        try:
            for number in range(cases):
                chance = random.Random(f"{seed} {number}")
                case = damaged(chance.choice(models), models, chance)
                before, started = tracemalloc.get_traced_memory()[0], time.perf_counter()
                tracemalloc.reset_peak()
                try:
                    ends[_case(folder, case)] += 1
                except BaseException:
                    print(f"case {number} of seed {seed}", file=sys.stderr)
                    raise
                assert tracemalloc.get_traced_memory()[1] - before < MOST_BYTES, f"memory: case {number} of seed {seed}"
                assert time.perf_counter() - started < MOST_SECONDS, f"time: case {number} of seed {seed}"
        finally:
            tracemalloc.stop()
    return ends


def _case(folder: Path, case: Case) -> str:
    config = folder / "config.json"
    config.unlink(missing_ok=True)
    if case.config is not None:
        config.write_bytes(case.config)
    tensors = {name: part.clone() for name, part in case.tensors.items()}  # none shares its memory with another
    return outcome(save_model(folder / "model.safetensors", tensors, case.metadata or None))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    begun = time.perf_counter()
    for code, count in run(chosen.cases, chosen.seed).most_common():
        print(f"{count:>8,} {code}")
    print(f"{time.perf_counter() - begun:.0f} s")
