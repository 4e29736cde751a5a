"""bitsandbytes: nf4 and fp4 in blocks over the flat weight, and int8 with a scale for each row.

4-bit: ``X.weight`` is bytes with two codes each, the first in the high nibble, whatever dtype they are stored as;
``X.weight.quant_map`` has the number of each code, ``.absmax`` the factor of each block; where that is uint8 itself it
is ``nested_quant_map[absmax] * nested_absmax + offset``. ``.quant_state.bitsandbytes__nf4`` is JSON with the shape, the
sizes of blocks and the offset. int8: ``X.SCB``, value = weight * SCB / 127. Source: bitsandbytes 0.50.2, functional.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.checkpoints.encodings.encoding import Claim, Encoding, Unclaimed
from engine.checkpoints.encodings.grouped import CHUNK_VALUES, Grouped, misfit
from engine.checkpoints.encodings.side_data import (
    blocks,
    described,
    modules,
    needed,
    refuse,
    short,
    size_in,
    sizes_in,
    table_of,
)
from engine.checkpoints.quantisation import Quantisation
from engine.checkpoints.stored import StoredTensor, WeightSource

_STATE = "quant_state.bitsandbytes__"
_KINDS = ("nf4", "fp4")
_ROW_MAJOR = b"\x00"


class Bitsandbytes4(Encoding):
    """Parts: bytes, absmax, quant_map, and where nested: nested_absmax, nested_quant_map.

    Parameters: ``kind``; ``block`` and ``nested``, sizes of blocks; ``offset``; ``first``, the place of the weight's
    first number in the first block that is read, and ``nested_first``, the same for the factors of the blocks.
    """

    key = "bitsandbytes4"
    title = "bitsandbytes 4-bit"
    decoder = "engine.checkpoints.encodings.bitsandbytes_decode"

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`."""
        weights = list[WeightSource]()
        beside = set[str]()
        for kind in _KINDS:
            for name, state in modules(stored, _STATE + kind):
                name = name.removesuffix(".")
                weight = needed(stored, name, state.name)
                if state.dtype != "U8":
                    refuse(state.name, f"{described(state)} is not the JSON of a quantised weight")
                weights.append(_source(stored, weight, state, kind))
                beside.add(state.name)
        return Claim(tuple(weights), frozenset(beside))

    def title_of(self, source: WeightSource) -> str:
        """See `Encoding.title_of`."""
        return f"bitsandbytes {source.parameters['kind']}"

    def rows(self, source: WeightSource, start: int, stop: int) -> WeightSource:
        """See `Encoding.rows`: the blocks that have something of these rows."""
        given = dict(source.parameters)
        line = math.prod(source.shape[1:])
        begin, end = (given["first"] + row * line for row in (start, stop))
        low, high = begin // given["block"], blocks(end, given["block"])
        weight, absmax, *others = source.parts
        at = low * given["block"] // 2
        weight = weight.piece(at, min(high * given["block"] // 2, weight.nbytes) - at)
        given["first"] = begin - low * given["block"]
        if "nested" in given:
            low, high = low + given["nested_first"], high + given["nested_first"]
            first, last = low // given["nested"], blocks(high, given["nested"])
            others[1] = others[1].rows(first, last)
            absmax = absmax.rows(low - given["nested_first"], high - given["nested_first"])
            given["nested_first"] = low - first * given["nested"]
        else:
            absmax = absmax.rows(low, high)
        shape = (stop - start, *source.shape[1:])
        return replace(source, shape=shape, parts=(weight, absmax, *others), parameters=given)

    def decoded_bytes(self, source: WeightSource) -> int:
        """See `Encoding.decoded_bytes`: whole blocks."""
        return 8 * source.parts[0].nbytes

    def scratch_bytes(self, source: WeightSource) -> int:
        """See `Encoding.scratch_bytes`: a chunk's codes, then the factors of the blocks."""
        weight, absmax, *_ = source.parts
        count = math.prod(absmax.shape)
        return max(
            16 * 256 + 4 * min(weight.nbytes, CHUNK_VALUES // 2), 20 * count if "nested" in source.parameters else 0
        )


class Bitsandbytes8(Grouped):
    """int8 with a scale for each row, of which a 127th is meant."""

    key = "bitsandbytes8"
    title = "bitsandbytes int8"

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`. Weights in the order of a processor of tensors are named."""
        weights, beside, unreadable = list[WeightSource](), set[str](), None
        for module, scale in modules(stored, "SCB"):
            weight = needed(stored, f"{module}weight", scale.name)
            order = stored.get(f"{module}weight_format")
            if order is not None and (order.dtype != "U8" or order.nbytes != 1 or stored.read(order) != _ROW_MAJOR):
                unreadable = unreadable or Quantisation("bitsandbytes int8 in tiles", order.name)
                continue
            if weight.dtype != "I8" or len(weight.shape) != 2 or not weight.nbytes:
                refuse(weight.name, f"{described(weight)} does not fit bitsandbytes int8")
            if scale.dtype != "F32" or scale.shape != weight.shape[:1]:
                misfit(scale, weight)
            said = {"roles": ["weight", "scale"], "constant": 1 / 127}
            weights.append(WeightSource(weight.name, weight.shape, "F32", self.key, (weight, scale), said))
            beside |= {order.name} if order is not None else set()
        return Claim(tuple(weights), frozenset(beside), unreadable)


def _source(stored: Unclaimed, weight: StoredTensor, state: StoredTensor, kind: str) -> WeightSource:
    table = table_of(stored.read(state), state.name)
    if table.get("quant_type", kind) != kind:
        refuse(state.name, f"{state.name} says quant_type is {short(table['quant_type'])}")
    shape, block = sizes_in(table, "shape", state.name), size_in(table, "blocksize", state.name)
    count = math.prod(shape)
    if (
        block % 2 or not blocks(count, 2) <= weight.nbytes < blocks(count, 2) + 8
    ):  # bytes may be stored as wider numbers
        refuse(weight.name, f"{described(weight)} does not hold {list(shape)} in blocks of {block}")
    absmax = _beside(stored, weight, "absmax", ("F32", "U8"), blocks(count, block))
    parts = [weight.piece(0, blocks(count, 2)), absmax, _beside(stored, weight, "quant_map", ("F32",), 16)]
    given: dict[str, Any] = {"kind": kind, "block": block, "first": 0}
    if absmax.dtype == "U8":
        nested = size_in(table, "nested_blocksize", state.name)
        offset: Any = table.get("nested_offset")
        if type(offset) not in (int, float) or not math.isfinite(offset):
            refuse(state.name, f"{state.name} says nested_offset is {short(offset)}")
        parts.append(_beside(stored, weight, "nested_absmax", ("F32",), blocks(blocks(count, block), nested)))
        parts.append(_beside(stored, weight, "nested_quant_map", ("F32",), 256))
        given |= {"nested": nested, "offset": float(offset), "nested_first": 0}
    return WeightSource(weight.name, shape, "F32", Bitsandbytes4.key, tuple(parts), given)


def _beside(stored: Unclaimed, weight: StoredTensor, last: str, dtypes: tuple[str, ...], count: int) -> StoredTensor:
    part = needed(stored, f"{weight.name}.{last}", weight.name)
    if part.dtype not in dtypes or math.prod(part.shape) != count:
        misfit(part, weight)
    return replace(part, shape=(count,))
