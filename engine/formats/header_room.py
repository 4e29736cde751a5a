"""How much room a safetensors header needs, before its offsets are known."""

from __future__ import annotations

import json
from collections.abc import Iterable

_ENTRY_BYTES = 160  # dtype, shape of up to five sizes, two offsets, punctuation
_TEXTS_BYTES = 12 * 1024  # two file names three times, hashes, figures, dates


def header_room(keys: Iterable[str], texts: str, more: int = 0) -> int:
    """At least the size of a header's JSON, a multiple of 8.

    Args:
        keys: of all tensors.
        texts: those of its metadata that are long, as JSON; for the others there is room beside.
        more: bytes of further long texts.
    """
    room = _TEXTS_BYTES + len(texts) + more + sum(len(json.dumps(key)) + _ENTRY_BYTES for key in keys)
    return -(-room // 8) * 8
