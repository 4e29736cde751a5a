"""Numbers in blocks that share a scale: what most encodings of weights have in common, as a recipe of parameters.

With r the row and c the column of the weight as a matrix, and all products rounded to float32:

    value[r, c] = rotation((code[r, c] - zero[r, c]) * scale[r, c] * factor) * columns[c]

Each encoding says by names which tensors these are; `grouped_decode` makes the numbers. The parameters of a source:

    roles       what its parts are: ``weight`` first, then any of ``scale``, ``zero``, ``factor``, ``columns``
    codes       a key of `CODES` where the weight is bytes of several codes; absent: it is fp8 or int8 numbers
    block       [rows, columns] that an entry of ``scale`` and ``zero`` is for; absent: one for all, or one for each row
    first       row of the first block at which the weight begins
    swizzled    the scales lie in tiles of 128 x 4, as cuBLAS wants them
    packed_zero the zeros are packed like the weight, along the rows; its first row in them
    divides     the factor divides the scales
    constant    one more factor, a number
    rotation    group size of the Hadamard rotation that is undone
    padding     [rows, columns]: a shape that was rounded up to these; absent where it is the true one
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from engine.checkpoints.encodings.encoding import CASTING_BYTES, Encoding
from engine.checkpoints.encodings.side_data import SCALE_DTYPES, blocks, described, refuse
from engine.checkpoints.stored import StoredTensor, WeightSource

CHUNK_VALUES = 1 << 20
"""Values that are unpacked at once: large enough for an accelerator, small beside a layer."""
ROTATED_VALUES = 1 << 18
"""Values that are rotated at once: they are gone over several times, in a processor's cache."""
TILE_ROWS, TILE_COLUMNS = 128, 4
MAX_ROTATION = 4096
_TRANSPOSING_BYTES = 1 << 14  # what torch takes to turn a matrix on a processor, whatever its size


@dataclass(frozen=True)
class Codes:
    """How several numbers lie in one byte.

    Attributes:
        bits: of one code.
        high_first: whether the first number has the high bits.
        levels: the number of each code; none where the file has a table of them.
    """

    bits: int
    high_first: bool
    levels: tuple[float, ...]

    @property
    def even(self) -> bool:
        """Whether the numbers are whole ones, one after another."""
        return len({high - low for low, high in pairwise(sorted(self.levels))}) == 1


_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
_FLOAT4 = (*_E2M1, *(-level for level in _E2M1))


def _unsigned(bits: int) -> tuple[float, ...]:
    return tuple(float(code - (1 << (bits - 1))) for code in range(1 << bits))


CODES = {
    "e2m1_high_first": Codes(4, True, _FLOAT4),
    "e2m1": Codes(4, False, _FLOAT4),
    "high_first": Codes(4, True, ()),  # with a table of the file
    "signed4": Codes(4, False, tuple(float(code - 16 * (code > 7)) for code in range(16))),  # two's complement
    "unsigned2": Codes(2, False, _unsigned(2)),  # minus half their range
    "unsigned4": Codes(4, False, _unsigned(4)),
    "unsigned8": Codes(8, False, _unsigned(8)),
}


def codes_in_row(source: WeightSource) -> int:
    """How many numbers a row of the stored weight has, padding included."""
    weight, codes = source.parts[0], source.parameters.get("codes")
    if codes is None:
        return math.prod(weight.shape) // max(1, rows_of(source))
    row_bytes = weight.nbytes // max(1, weight.shape[0])
    return row_bytes * 8 // CODES[codes].bits


def rows_of(source: WeightSource) -> int:
    """How many rows the weight has as a matrix: those of its scales where these are for rows."""
    scale = part_of(source, "scale")
    if "block" in source.parameters or scale is None or is_single(scale):
        return source.shape[0] if source.shape else 1
    return math.prod(scale.shape)


def part_of(source: WeightSource, role: str) -> StoredTensor | None:
    """The part of a role."""
    roles = source.parameters["roles"]
    return source.parts[roles.index(role)] if role in roles else None


def rotation_bytes(values: int, group: int) -> int:
    """Memory that undoing a rotation takes."""
    return 10 * min(values, max(group, ROTATED_VALUES // group * group)) + _TRANSPOSING_BYTES


def is_single(scale: StoredTensor) -> bool:
    """Whether a scale is one number."""
    return math.prod(scale.shape) == 1


def check_scale(scale: StoredTensor, weight: StoredTensor) -> None:
    """Refuse a scale that is neither one number nor one for each row, as (rows,), (rows, 1) or (matrices, rows).

    Raises:
        EngineError: ``header_invalid`` with the scale.
    """
    rows = scale.shape
    while len(rows) > 1 and rows[-1] == 1:
        rows = rows[:-1]
    by_row = len(rows) < max(2, len(weight.shape)) and rows == weight.shape[: len(rows)]
    if scale.dtype not in SCALE_DTYPES or not weight.shape or not (is_single(scale) or by_row):
        misfit(scale, weight)


def misfit(part: StoredTensor, weight: StoredTensor) -> None:
    """Refuse a part whose shape or dtype cannot belong to a weight.

    Raises:
        EngineError: ``header_invalid`` with the part.
    """
    refuse(part.name, f"{described(part)} does not fit {described(weight).rstrip(',')}")


def block_of_rows(part: StoredTensor, first: int, start: int, stop: int, size: int) -> tuple[StoredTensor, int]:
    """The entries that stand for blocks of rows, limited to some rows; and the first row in the first of them."""
    begin, end = (first + start) // size, blocks(first + stop, size)
    return part.rows(begin, end), first + start - begin * size


class Grouped(Encoding):
    """Base of the encodings that have such a recipe; they only claim."""

    decoder = "engine.checkpoints.encodings.grouped_decode"
    rounding = "engine.checkpoints.encodings.grouped_round"

    def rows(self, source: WeightSource, start: int, stop: int) -> WeightSource:
        """See `Encoding.rows`."""
        given = source.parameters
        changed: dict[str, Any] = {}
        parts = []
        for role, part in zip(given["roles"], source.parts, strict=True):
            if role == "weight":
                part = part.rows(start, stop)
            elif role == "zero" and "packed_zero" in given:
                per_word = 32 // CODES[given["codes"]].bits
                part, changed["packed_zero"] = block_of_rows(part, given["packed_zero"], start, stop, per_word)
            elif role in ("scale", "zero") and not is_single(part):
                part = self._of_rows(source, part, start, stop, changed)
            parts.append(part)
        shape = (stop - start, *source.shape[1:])
        return replace(source, shape=shape, parts=tuple(parts), parameters={**given, **changed})

    @staticmethod
    def _of_rows(
        source: WeightSource, part: StoredTensor, start: int, stop: int, changed: dict[str, Any]
    ) -> StoredTensor:
        given = source.parameters
        if given.get("swizzled"):
            tiles = replace(part, shape=(part.shape[0] // TILE_ROWS, TILE_ROWS, *part.shape[1:]))
            tiles, changed["first"] = block_of_rows(tiles, given.get("first", 0), start, stop, TILE_ROWS)
            return replace(tiles, shape=(tiles.shape[0] * TILE_ROWS, *part.shape[1:]))
        if "block" not in given or given["block"][0] == 1:
            return part.rows(start, stop)
        part, changed["first"] = block_of_rows(part, given.get("first", 0), start, stop, given["block"][0])
        return part

    def cut(self, source: WeightSource, shape: tuple[int, ...]) -> WeightSource | None:
        """See `Encoding.cut`."""
        padding = source.parameters.get("padding")
        if padding is None or len(shape) != len(source.shape):
            return None
        if any(not 0 <= have - want < pad for have, want, pad in zip(source.shape, shape, padding, strict=True)):
            return None
        limited = self.rows(source, 0, shape[0])
        parameters = {name: value for name, value in limited.parameters.items() if name != "padding"}
        return replace(limited, shape=shape, parameters=parameters)

    def repeats(self, source: WeightSource) -> bool:
        """See `Encoding.repeats`: for fp8 and int8 that was only divided by its scales.

        Of packed codes, zero points and rotations it is not known in which order and dtype an encoder rounded.
        """
        given = source.parameters
        known = source.stored_dtype in ("F8_E4M3", "F8_E5M2", "I8") and set(given["roles"]) <= {"weight", "scale"}
        return known and not {"codes", "rotation", "constant"} & set(given)

    def rounding_bytes(self, source: WeightSource) -> int:
        """See `Encoding.rounding_bytes`: the scales in float32, and some rows in several forms."""
        scale, rows = part_of(source, "scale"), rows_of(source)
        own = 0 if scale is None else 4 * math.prod(scale.shape) + self._scale_scratch(source, scale, rows)
        return own + CASTING_BYTES + 48 * codes_in_row(source)

    def scratch_bytes(self, source: WeightSource) -> int:
        """See `Encoding.scratch_bytes`: what unpacking, the scales in float32, and rotating take, one after another."""
        given, rows = source.parameters, rows_of(source)
        width = codes_in_row(source)
        padded = 4 * rows * width if width * rows != source.numel else 0
        chunk = min(rows, max(1, CHUNK_VALUES // max(1, width)))
        steps = [0]
        if "codes" in given:
            per_byte = 8 // CODES[given["codes"]].bits
            steps.append(4 * 256 * per_byte + 4 * chunk * width // per_byte)
        elif source.stored_dtype != "I8":
            steps.append(2 * 4 * 256 + 4 * chunk * width)
        scales = [part for role in ("scale", "zero") if (part := part_of(source, role)) is not None]
        steps += [self._scale_scratch(source, part, rows) for part in scales]
        if "rotation" in given:
            steps.append(rotation_bytes(rows * width, given["rotation"]))
        if (columns := part_of(source, "columns")) is not None:
            steps.append(4 * math.prod(columns.shape))
        return padded + max(steps)

    @staticmethod
    def _scale_scratch(source: WeightSource, part: StoredTensor, rows: int) -> int:
        given = source.parameters
        entries = math.prod(part.shape)
        if "packed_zero" in given and part is part_of(source, "zero"):
            per_word = 32 // CODES[given["codes"]].bits
            return 4 * 256 * per_word // 4 + (4 + 4 + 4 * 4) * per_word * entries
        size = 2 * 4 * entries
        if given.get("swizzled"):
            size += 4 * entries
        if "block" in given and not is_single(part) and (given["block"][0] > 1 or given.get("swizzled")):
            size += (4 * part.shape[-1] + 3 * 8) * rows
        return size
