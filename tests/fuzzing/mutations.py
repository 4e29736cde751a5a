"""How a good file is made a bad one: bytes, numbers in them, and values of JSON texts."""

from __future__ import annotations

import json
import random
import struct
from copy import deepcopy
from typing import Any

NUMBERS = (
    0, 1, 2, 3, 7, 8, 9, 31, 32, 127, 128, 255, 256, 65535, 65536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32,
    1 << 40, (1 << 53) + 1, (1 << 62), (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
)  # fmt: skip
NAMES = (
    "", ".", "..", "../x.safetensors", "/etc/passwd", "C:\\x", "a\\b", "a/b", "CON", "nul.bin", "x\0y", "x" * 300,
    "\ud800",
    "a.weight", "b.weight", "__metadata__", "scaled_fp8", "a.scale_weight", "a.comfy_quant", "model.safetensors",
)  # fmt: skip
VALUES: tuple[Any, ...] = (None, True, False, -1, 0.5, -0.0, 1e308, [], {}, [[]], [{}], {"a": {}}, *NUMBERS, *NAMES)
TOKENS = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"null",
    b"1e999",
    b"NaN",
    b"-1",
    b"\\ud800",
    b"\xff",
    b"\0",
    b"[" * 5000,
)


def bytes_of(data: bytes, rng: random.Random) -> bytes:
    """A few changes of bytes anywhere."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        _change(found, rng)
    return bytes(found)


def _change(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data) + 1)
    length = rng.choice((1, 1, 2, 4, 8, 30, 200))
    match rng.randrange(8):
        case 0:
            data[place:] = b""
        case 1:
            data[place : place + length] = b""
        case 2:
            data[place:place] = rng.randbytes(length)
        case 3:
            data[place : place + length] = rng.randbytes(length)
        case 4:
            other = rng.randrange(len(data) + 1)
            data[place:place] = data[other : other + length]
        case 5:
            form = rng.choice(["<B", "<H", "<I", "<Q", ">I", ">Q"])
            value = rng.choice(NUMBERS) & ((1 << 8 * struct.calcsize(form)) - 1)
            data[place : place + struct.calcsize(form)] = struct.pack(form, value)
        case 6:
            data[place:place] = rng.choice(TOKENS)
        case 7:
            for index in range(place, min(place + length, len(data))):
                data[index] ^= 1 << rng.randrange(8)


def json_of(value: Any, rng: random.Random) -> bytes:
    """The text of a JSON value with some of its parts exchanged, doubled or taken out."""
    changed = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 2, 4))):
        changed = _exchanged(changed, rng)
    text = json.dumps(changed, ensure_ascii=rng.random() < 0.9).encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        text = _doubled(text, rng)
    return bytes_of(text, rng) if rng.random() < 0.2 else text


def _exchanged(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.1:
        return deepcopy(rng.choice(VALUES))
    if isinstance(value, dict):
        name = rng.choice(list(value))
        match rng.randrange(4):
            case 0:
                del value[name]
            case 1:
                value[rng.choice(NAMES)] = value.pop(name)
            case 2:
                value[rng.choice(NAMES)] = deepcopy(value[name])
            case 3:
                value[name] = _exchanged(value[name], rng)
        return value
    index = rng.randrange(len(value))
    value[index] = _exchanged(value[index], rng)
    return value


def _doubled(text: bytes, rng: random.Random) -> bytes:
    """A table with a name twice."""
    start = text.find(b"{")
    return text if start < 0 else text[: start + 1] + b'"a.weight": {}, "a.weight": {}, ' + text[start + 1 :]
