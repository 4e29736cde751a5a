"""The block types of GGUF files, an encoding each, and what llama.cpp's converter does to weights of some models.

A block holds 32 or 256 values that follow one another in the file: rows are read by themselves as the blocks that hold
them. What a block means stands in `gguf_blocks` and `gguf_k_blocks`.

llama.cpp turns the rows of q and k of some architectures into the order in which its rotary embedding takes them, and
adds 1 to norms of others. Both are undone, so that the numbers are those of the model's own files.
Source: llama.cpp, convert_hf_to_gguf.py, ``LlamaModel.permute`` and ``GemmaModel.modify_tensors``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.checkpoints.dtypes import DTYPES
from engine.checkpoints.encodings.encoding import Claim, Encoding, Unclaimed
from engine.checkpoints.gguf_types import BLOCK_TYPES, VERSION_KEY
from engine.checkpoints.stored import StoredTensor, WeightSource
from engine.errors import EngineError, ErrorCode

CHUNK_VALUES = 1 << 18
"""So many values are decoded at a time: what that takes stays small, and in a processor's cache."""

# Parameters of a `WeightSource`:
SKIPPED = "skipped"
"""Values of the first block that belong to the row before; with `HEAD_ROWS` the rows of the first head before."""
HEAD_ROWS = "head_rows"
"""Rows of an attention head, which are stored as llama.cpp orders them."""
SHIFT = "shift"
"""What is added to every number."""

PAIRED_ROWS = ("llama", "mistral3")
"""Architectures whose q and k have their rows in llama.cpp's order."""
SHIFTED_NORMS = ("gemma", "gemma2", "gemma3")
"""Architectures whose norms are stored plus 1."""
_ATTENTION = re.compile(r"blk\.(\d+)\.attn_([qk])\.(weight|bias)")
_NORM = "norm.weight"

# Bytes for each value of a chunk that decoding takes beside the result, at its peak; held by the tests.
_SCRATCH = {
    "Q8_0": 4.1875,
    "Q4_0": 5.0,
    "Q4_1": 5.0,
    "Q5_0": 6.0,
    "Q5_1": 6.0,
    "IQ4_NL": 9.0,
    "Q2_K": 5.5,
    "Q3_K": 6.375,
    "Q4_K": 5.0,
    "Q5_K": 6.5,
    "Q6_K": 6.0,
    "IQ4_XS": 9.1875,
}
_ROUNDING, _REPEATED = "engine.checkpoints.encodings.gguf_round", ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")
_ROUNDED = 6 * 4  # bytes for each value of a chunk that rounding takes: the numbers, their codes, what they are off by
_ROW_INDEX = 8 * 8  # for each row that is looked up: which head, place, half and pair it is
_TABLES = 256  # bytes: shifts of bits, what nibbles stand for


class Gguf(Encoding):
    """One block type, in which a stored tensor is a weight."""

    decoder = "engine.checkpoints.encodings.gguf_decode"

    def __init__(self, kind: str) -> None:
        """Take a type, a name of `BLOCK_TYPES`."""
        self.kind, self.key, self.title = kind, f"gguf_{kind.lower()}", f"GGUF {kind}"
        self.rounding = _ROUNDING if kind in _REPEATED else None
        self._block = BLOCK_TYPES[kind]

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`."""
        if VERSION_KEY not in metadata:
            return Claim()
        return Claim(
            tuple(
                WeightSource(part.name, part.shape, "F32", self.key, (part,), _undoing(part, metadata))
                for part in stored.values()
                if part.dtype == self.kind
            )
        )

    def rows(self, source: WeightSource, start: int, stop: int) -> WeightSource:
        """See `Encoding.rows`: the blocks that hold them."""
        if HEAD_ROWS in source.parameters:
            return _rows_of_heads(source, start, stop)
        width, part = math.prod(source.shape[1:]), source.parts[0]
        begin = start * width + int(source.parameters.get(SKIPPED, 0))
        end = begin + (stop - start) * width
        first, last = begin // self._block.values, -(-end // self._block.values)
        blocks = replace(
            part,
            shape=((last - first) * self._block.values,),
            nbytes=(last - first) * self._block.nbytes,
            offset=part.offset + first * self._block.nbytes,
        )
        parameters = {**source.parameters, SKIPPED: begin - first * self._block.values}
        return replace(source, shape=(stop - start, *source.shape[1:]), parts=(blocks,), parameters=parameters)

    def scratch_bytes(self, source: WeightSource) -> int:
        """See `Encoding.scratch_bytes`."""
        if HEAD_ROWS in source.parameters:
            return _scratch_of_heads(source, _SCRATCH[self.kind])
        stored = source.parts[0].nbytes // self._block.nbytes * self._block.values
        more = self._block.nbytes if SKIPPED in source.parameters else 0  # other rows of that number may touch one more
        return int(min(stored, CHUNK_VALUES) * _SCRATCH[self.kind]) + _TABLES + more

    def rounding_bytes(self, source: WeightSource) -> int:
        """See `Encoding.rounding_bytes`."""
        return self.scratch_bytes(source) + _ROUNDED * min(source.numel + 2 * self._block.values, CHUNK_VALUES)


class GgufPlain(Encoding):
    """Plain numbers that llama.cpp's converter turned or shifted."""

    key = "gguf_plain"
    title = "GGUF, plain numbers as llama.cpp orders them"
    decoder = "engine.checkpoints.encodings.gguf_decode"
    rounding = "engine.checkpoints.encodings.gguf_round"

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`."""
        if VERSION_KEY not in metadata:
            return Claim()
        plain = (part for part in stored.values() if part.dtype in DTYPES and DTYPES[part.dtype].is_weight)
        found = ((part, _undoing(part, metadata)) for part in plain)
        return Claim(
            tuple(
                WeightSource(part.name, part.shape, "F32", self.key, (part,), undoing)
                for part, undoing in found
                if undoing
            )
        )

    def rows(self, source: WeightSource, start: int, stop: int) -> WeightSource:
        """See `Encoding.rows`."""
        if HEAD_ROWS in source.parameters:
            return _rows_of_heads(source, start, stop)
        part = source.parts[0].rows(start, stop)
        return replace(source, shape=part.shape, parts=(part,))

    def scratch_bytes(self, source: WeightSource) -> int:
        """See `Encoding.scratch_bytes`."""
        bits = DTYPES[source.stored_dtype].bits
        if HEAD_ROWS in source.parameters:
            return _scratch_of_heads(source, 4.0 if bits != 32 else 0.0)
        return 4 * min(source.numel, CHUNK_VALUES) if bits != 32 else 0

    def rounding_bytes(self, source: WeightSource) -> int:
        """See `Encoding.rounding_bytes`."""
        return self.scratch_bytes(source) + _ROUNDED * min(source.numel, CHUNK_VALUES)


GGUF_ENCODINGS: tuple[Encoding, ...] = (*(Gguf(kind) for kind in _SCRATCH), GgufPlain())


def _undoing(part: StoredTensor, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What has to be undone of llama.cpp's conversion of a tensor, as parameters.

    Raises:
        EngineError: ``header_invalid`` where the header does not say how many heads there are, or cannot be right.
    """
    architecture = metadata.get("general.architecture")
    if architecture in SHIFTED_NORMS and part.name.endswith(_NORM):
        return {SHIFT: -1.0}
    match = _ATTENTION.fullmatch(part.name) if architecture in PAIRED_ROWS else None
    if match is None:
        return {}
    key = f"{architecture}.attention.head_count" + ("_kv" if match[2] == "k" else "")
    text = metadata.get(key, metadata.get(f"{architecture}.attention.head_count", ""))
    heads = _number(text, int(match[1]))
    rows = part.shape[0] if part.shape else 0
    block = BLOCK_TYPES.get(part.dtype)
    if heads is None or heads < 1 or rows % (2 * heads) or (block and part.shape[-1] % block.values):
        reason = f"{key} is {text or 'missing'}, from which the order of its {rows:,} rows cannot be told"
        raise EngineError(ErrorCode.HEADER_INVALID, tensor=part.name, reason=reason)
    return {HEAD_ROWS: rows // heads}


def _number(text: str, layer: int) -> int | None:
    """A whole number of the metadata; of a list, which has one for each layer, that of the layer."""
    try:
        value = json.loads(text)
        if isinstance(value, list):
            value = value[layer]
    except (ValueError, IndexError, RecursionError):
        return None
    return value if type(value) is int else None


def _rows_of_heads(source: WeightSource, start: int, stop: int) -> WeightSource:
    """Rows of the model, stored somewhere in their heads: whole heads are read, and of them the rows are decoded."""
    head_rows, before = int(source.parameters[HEAD_ROWS]), int(source.parameters.get(SKIPPED, 0))
    first, last = (start + before) // head_rows, -(-(stop + before) // head_rows)
    part = source.parts[0].rows(first * head_rows, last * head_rows)
    parameters = {**source.parameters, SKIPPED: start + before - first * head_rows}
    return replace(source, shape=(stop - start, *source.shape[1:]), parts=(part,), parameters=parameters)


def _scratch_of_heads(source: WeightSource, numbers: float) -> int:
    """A chunk of rows, chosen from the stored ones, and what their numbers take for each value."""
    rows, part = max(1, source.shape[0]), source.parts[0]
    width = source.numel // rows
    count = min(rows, max(1, CHUNK_VALUES // max(1, width)))
    line = part.nbytes // max(1, part.shape[0])
    more = line * int(source.parameters[HEAD_ROWS]) if SKIPPED in source.parameters else 0  # as in `Gguf`
    return int(count * (line + numbers * width + _ROW_INDEX)) + _TABLES + more
