"""Checks of what stands beside encoded weights: JSON, names and shapes. Files lie, so nothing is taken as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from engine.checkpoints.encodings.encoding import Unclaimed
from engine.checkpoints.stored import StoredTensor
from engine.errors import EngineError, ErrorCode

SCALE_DTYPES = ("F32", "F16", "BF16", "F64")
MAX_SIZE = 1 << 31
"""Larger than any length of a weight or of a block."""


def refuse(tensor: str, reason: str) -> NoReturn:
    """Raise the error of a header whose parts do not fit together.

    Raises:
        EngineError: ``header_invalid``.
    """
    raise EngineError(ErrorCode.HEADER_INVALID, tensor=tensor, reason=reason)


def described(part: StoredTensor) -> str:
    """A stored tensor in words, for errors."""
    return f"{part.name}, {list(part.shape)} in {part.dtype},"


def modules(stored: Unclaimed, suffix: str) -> Iterator[tuple[str, StoredTensor]]:
    """All tensors whose name is a suffix behind a module's name, with that name and its dot.

    Args:
        stored: what is there.
        suffix: without a dot, such as ``weight_scale``.
    """
    for name, part in stored.items():
        if name == suffix or name.endswith("." + suffix):
            yield name.removesuffix(suffix), part


def needed(stored: Mapping[str, StoredTensor], name: str, because: str) -> StoredTensor:
    """A tensor that must be there.

    Raises:
        EngineError: ``header_invalid``, named by the tensor that needs it.
    """
    part = stored.get(name)
    if part is None:
        refuse(because, f"{because} has no {name}")
    return part


def table_of(text: bytes | str, tensor: str) -> dict[str, Any]:
    """A JSON table.

    Raises:
        EngineError: ``header_invalid`` with the tensor.
    """
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        refuse(tensor, f"{tensor} is not valid JSON")
    if not isinstance(table, dict):
        refuse(tensor, f"{tensor} is not a table in JSON")
    return table


def size_in(table: Mapping[str, Any], key: str, tensor: str, default: int | None = None) -> int:
    """A length in a JSON table: a whole number from 1 on.

    Raises:
        EngineError: ``header_invalid`` with the tensor.
    """
    value = table.get(key, default)
    if type(value) is not int or not 0 < value < MAX_SIZE:
        refuse(tensor, f"{tensor} says {key} is {short(value)}")
    return value


def sizes_in(table: Mapping[str, Any], key: str, tensor: str, count: int | None = None) -> tuple[int, ...]:
    """A list of lengths in a JSON table, of `count` numbers where that is given.

    Raises:
        EngineError: ``header_invalid`` with the tensor.
    """
    value = table.get(key)
    right = isinstance(value, list) and all(type(item) is int and 0 < item < MAX_SIZE for item in value)
    if not right or not value or len(value) > 8 or (count is not None and len(value) != count):
        refuse(tensor, f"{tensor} says {key} is {short(value)}")
    return tuple(value)


def short(value: object) -> str:
    """A value of a file for an error: at most forty characters that can be printed."""
    text = "".join(letter if letter.isprintable() else "?" for letter in repr(value)[:40])
    return text


def blocks(size: int, block: int) -> int:
    """How many blocks a length has, the last one perhaps in part."""
    return -(-size // block)
