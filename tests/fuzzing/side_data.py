"""Damage to what stands beside encoded weights: JSON, shapes, dtypes, names and config.json."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from encoded_weights import KINDS, weight_of
from model_files import Tensors, save_model

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


@cache
def samples() -> tuple[Case, ...]:
    """A small valid file of each kind."""
    return tuple(map(_sample, KINDS))


def _sample(kind: str) -> Case:
    encoded = KINDS[kind].encode(MODULE, weight_of(min(KINDS[kind].shapes, key=lambda shape: shape[0] * shape[1])))
    config = json.dumps(encoded.config).encode() if encoded.config else None
    metadata = {}
    if encoded.layer is not None:
        metadata["_quantization_metadata"] = json.dumps({"layers": {MODULE: encoded.layer}})
    return Case({name: part.contiguous() for name, part in encoded.tensors.items()}, metadata, config)


def valid(folder: Path) -> list[Path]:
    """All samples as they are."""
    return [_save(sample, folder / str(number)) for number, sample in enumerate(samples())]


def side_data(folder: Path, rng: random.Random) -> Path:
    """One of the samples with one to three damages."""
    return _save(damaged(rng.choice(samples()), samples(), rng), folder)


def _save(case: Case, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    if case.config is not None:
        (folder / "config.json").write_bytes(case.config)
    tensors = {name: part.clone() for name, part in case.tensors.items()}  # none shares its memory with another
    return save_model(folder / "model.safetensors", tensors, case.metadata or None)


def damaged(case: Case, others: Sequence[Case], rng: random.Random) -> Case:
    """A copy with one to three damages."""
    copy = replace(case, tensors=dict(case.tensors), metadata=dict(case.metadata))
    if rng.random() < 0.7:  # else the header's words count instead of the markers
        copy.metadata.clear()
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(_DAMAGES)(copy, others, rng)
    return copy


def _any_name(case: Case, rng: random.Random) -> str:
    return rng.choice(sorted(case.tensors))


def _remove(case: Case, others: Sequence[Case], rng: random.Random) -> None:
    if len(case.tensors) > 1:
        del case.tensors[_any_name(case, rng)]


def _foreign(case: Case, others: Sequence[Case], rng: random.Random) -> None:
    """A tensor of another kind beside it, perhaps in place of its own."""
    other = rng.choice(others)
    name = _any_name(other, rng)
    case.tensors[name] = other.tensors[name]


def _renamed(case: Case, others: Sequence[Case], rng: random.Random) -> None:
    name = _any_name(case, rng)
    last = _any_name(rng.choice(others), rng).removeprefix(MODULE)
    case.tensors[rng.choice((MODULE + last, last.removeprefix("."), "a.b" + last))] = case.tensors.pop(name)


def _other_dtype(case: Case, others: Sequence[Case], rng: random.Random) -> None:
    name, dtype = _any_name(case, rng), rng.choice(_DTYPES)
    case.tensors[name] = torch.zeros(case.tensors[name].shape, dtype=torch.uint8).to(dtype)


def _other_shape(case: Case, others: Sequence[Case], rng: random.Random) -> None:
    name = _any_name(case, rng)
    part = case.tensors[name]
    raw = part.reshape(-1)
    shapes: tuple[Callable[[], torch.Tensor], ...] = (
        lambda: raw,
        lambda: raw[: rng.randrange(len(raw) + 1)],
        lambda: raw[:1].reshape(()) if len(raw) else raw,
        lambda: raw.reshape(1, 1, -1),
        lambda: part.T.contiguous() if part.dim() == 2 else raw[:0],
        lambda: part[: len(part) // 2] if part.dim() else raw[:0],
        lambda: part[..., :-1].contiguous() if part.dim() else raw,
        lambda: torch.zeros((0, *part.shape[1:]), dtype=torch.uint8).to(part.dtype),
    )
    case.tensors[name] = rng.choice(shapes)()


def _numbers(case: Case, others: Sequence[Case], rng: random.Random) -> None:
    """Other bytes in a tensor, sometimes NaN in all of it."""
    name = _any_name(case, rng)
    part = case.tensors[name]
    data = bytearray(part.reshape(-1).view(torch.uint8).numpy().tobytes()) if part.numel() else bytearray()
    if not data or part.dtype is torch.bool:
        return
    if rng.random() < 0.3:
        data[:] = b"\xff" * len(data)
    for _ in range(rng.randrange(1, 9)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    case.tensors[name] = torch.frombuffer(data, dtype=torch.uint8).view(part.dtype).reshape(part.shape)


def _json_value(text: bytes, rng: random.Random) -> bytes:
    """JSON with another value somewhere in it, or broken."""
    if rng.random() < 0.25:
        data = bytearray(text)
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return b"[" * rng.choice((1, 5000))
    inner = table
    while isinstance(inner, dict) and inner and rng.random() < 0.6:
        deeper = [value for value in inner.values() if isinstance(value, dict)]
        if not deeper:
            break
        inner = rng.choice(deeper)
    if isinstance(inner, dict):
        keys = [*inner, "format", "params", "convrot_groupsize", "orig_shape", "group_size", "layers", "shape"]
        inner[rng.choice(keys)] = rng.choice(_VALUES)
    return json.dumps(table).encode()


def _described(case: Case, others: Sequence[Case], rng: random.Random) -> None:
    """Other words in one of the descriptions, wherever there is one."""
    names = [name for name in case.tensors if "quant" in name and case.tensors[name].dtype is torch.uint8]
    places = [*names, *case.metadata, *(["config"] if case.config else [])]
    place = rng.choice(places) if places else "config"
    if place in case.metadata:
        text = case.metadata[place].encode()
        case.metadata[place] = _json_value(text, rng).decode(errors="replace").replace("\0", "")
    elif place == "config":
        case.config = _json_value(case.config or b'{"quantization_config": {"weight_block_size": [128, 128]}}', rng)
    else:
        words = bytes(case.tensors[place].reshape(-1).tolist())
        words = _json_value(words, rng) if words else b"{}"
        case.tensors[place] = torch.tensor(list(words), dtype=torch.uint8)


_DAMAGES = (_remove, _foreign, _renamed, _other_dtype, _other_shape, _numbers, _described, _described, _described)
