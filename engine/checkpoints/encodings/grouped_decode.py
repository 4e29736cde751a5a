"""Decoding of `engine.checkpoints.encodings.grouped`: one recipe for all encodings that scale blocks of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.encodings import step_sizes
from engine.checkpoints.encodings.grouped import (
    CHUNK_VALUES,
    CODES,
    ROTATED_VALUES,
    TILE_COLUMNS,
    TILE_ROWS,
    Codes,
    codes_in_row,
    rows_of,
)
from engine.checkpoints.stored import WeightSource


def decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The numbers in float32; see `engine.checkpoints.encodings.grouped` for the formula."""
    given = source.parameters
    by_role = dict(zip(given["roles"], parts, strict=True))
    rows, width = rows_of(source), codes_in_row(source)
    weight = by_role["weight"]
    if "codes" in given:
        values = unpacked(weight.reshape(rows, -1), given["codes"], width)
    else:
        values = torch.empty((rows, width), dtype=torch.float32, device=weight.device).copy_(
            weight.reshape(rows, width)
        )
    values = values[:, : source.numel // rows]  # without padding
    block = given.get("block", (1, width))
    if "zero" in by_role:
        over_groups(values, zeros(source, by_role["zero"], rows), block[1], subtract=True)
    if "scale" in by_role:
        over_groups(values, scales(source, by_role, rows), block[1])
    if "rotation" in given:
        rotate(values, given["rotation"])
    if "columns" in by_role:
        values.mul_(by_role["columns"].to(torch.float32).reshape(1, -1))
    return values.contiguous().reshape(source.shape)


def steps(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The steps of the codes times the scales; those of whole numbers are 1."""
    given = source.parameters
    by_role = dict(zip(given["roles"], parts, strict=True))
    rows, width = rows_of(source), codes_in_row(source)
    columns, weight = source.numel // rows, by_role["weight"]
    codes = CODES[given["codes"]] if "codes" in given else None
    if codes is not None and not codes.even:
        fitted = "factor" in by_role  # the scales are no powers of 2
        found = unpacked(weight.reshape(rows, -1), given["codes"], width, _steps_of(codes, fitted))[:, :columns]
        if fitted:
            step_sizes.settle_largest(found, given["block"][1])
    elif codes is None and weight.is_floating_point():
        found = of_bytes(weight.reshape(rows, width), step_sizes.of_bytes(weight.dtype, weight.device))[:, :columns]
    else:
        found = torch.ones((rows, columns), dtype=torch.float32, device=weight.device)
    if "scale" in by_role:
        over_groups(found, scales(source, by_role, rows), given.get("block", (1, width))[1])
    found = found.abs_().contiguous()
    if "rotation" in given:
        step_sizes.spread_over_groups(found, given["rotation"])
    if "columns" in by_role:
        found.mul_(by_role["columns"].to(torch.float32).abs().reshape(1, -1))
    return found.reshape(source.shape)


def _steps_of(codes: Codes, fitted: bool) -> torch.Tensor:
    return step_sizes.of_levels(torch.tensor(codes.levels), marked=fitted)


def scales(source: WeightSource, by_role: dict[str, torch.Tensor], rows: int) -> torch.Tensor:
    """The scales of each row's groups in float32, with all factors: (rows, groups), or (1, 1)."""
    given, scale = source.parameters, as_float32(by_role["scale"])
    if given.get("swizzled"):
        scale = unswizzled(scale)
    scale = scale.reshape(1, 1) if scale.numel() == 1 else scale.reshape(-1, scale.shape[-1] if "block" in given else 1)
    if "factor" in by_role:
        factor = by_role["factor"].to(torch.float32).reshape(())
        scale = scale / factor if given.get("divides") else scale * factor
    if "constant" in given:
        scale = scale * given["constant"]
    return expanded(source, scale, rows)


def zeros(source: WeightSource, zero: torch.Tensor, rows: int) -> torch.Tensor:
    """The zero points of each row's groups in float32, as `scales`."""
    given = source.parameters
    if "packed_zero" in given:
        first = given["packed_zero"]
        words = zero.T.reshape(-1).view(torch.uint8).view(zero.shape[1], -1)
        codes = CODES[given["codes"]]
        return unpacked(words, given["codes"], words.shape[1] * 8 // codes.bits).T[first : first + rows]
    zero = zero.to(torch.float32)
    zero = zero.reshape(1, 1) if zero.numel() == 1 else zero.reshape(-1, zero.shape[-1] if "block" in given else 1)
    return expanded(source, zero, rows)


def expanded(source: WeightSource, entries: torch.Tensor, rows: int) -> torch.Tensor:
    """Entries of blocks of rows, one line for each row."""
    given = source.parameters
    first = given.get("first", 0)
    if entries.shape == (1, 1) or "block" not in given:
        return entries
    if given["block"][0] == 1:
        return entries[first : first + rows]
    line = torch.arange(first, first + rows, device=entries.device).div_(given["block"][0], rounding_mode="floor")
    return entries.index_select(0, line)


def as_float32(scale: torch.Tensor) -> torch.Tensor:
    """Scales as numbers; whole numbers are exponents: 2 to the power of what is stored less 127, and 0 for 0."""
    if scale.dtype in (torch.uint8, torch.float8_e8m0fnu):
        return scale.view(torch.uint8).to(torch.int32).bitwise_left_shift_(23).view(torch.float32)
    return scale.to(torch.float32)


def unswizzled(scale: torch.Tensor) -> torch.Tensor:
    """Scales out of tiles of 128 x 4, in which four rows that are 32 apart follow each other: (rows, groups)."""
    rows, columns = scale.shape
    across = columns // TILE_COLUMNS
    tiles = scale.reshape(rows // TILE_ROWS, across, TILE_ROWS // 4, 4, TILE_COLUMNS)
    return tiles.permute(0, 3, 2, 1, 4).reshape(rows, columns)


def over_groups(values: torch.Tensor, entries: torch.Tensor, width: int, *, subtract: bool = False) -> None:
    """Multiply, or subtract, an entry for each group of a row, in place; the last group may be shorter.

    Args:
        values: (rows, columns).
        entries: (rows, groups) or (1, 1).
        width: columns of a group.
        subtract: instead of multiplying.
    """
    columns = values.shape[1]
    if entries.shape[1] == 1:
        _apply(values, entries, subtract)
        return
    whole = columns // width
    if whole:
        _apply(values[:, : whole * width].view(-1, whole, width), entries[:, :whole, None], subtract)
    if whole * width < columns:
        _apply(values[:, whole * width :], entries[:, whole : whole + 1], subtract)


def _apply(values: torch.Tensor, entries: torch.Tensor, subtract: bool) -> None:
    if subtract:
        values.sub_(entries)
    else:
        values.mul_(entries)


def unpacked(packed: torch.Tensor, codes: str, columns: int, table: torch.Tensor | None = None) -> torch.Tensor:
    """The numbers of packed codes.

    Args:
        packed: (rows, ...), of any dtype: its bytes.
        codes: key of `CODES`.
        columns: numbers in a row.
        table: the number of each code, instead of its own; (codes,).

    Returns:
        (rows, columns), float32.
    """
    return _looked_up(packed.view(torch.uint8), _numbers(codes, packed.device, table), columns)


def of_bytes(stored: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """An entry of a table for each byte.

    Args:
        stored: (rows, columns), of any dtype of one byte.
        table: (256,) float32.
    """
    return _looked_up(stored.view(torch.uint8), table[:, None], stored.shape[1])


def _looked_up(raw: torch.Tensor, numbers: torch.Tensor, columns: int) -> torch.Tensor:
    """The numbers of bytes, (rows, columns), from those of every byte, (256, numbers in a byte)."""
    rows = raw.shape[0]
    values = torch.empty((rows, columns), dtype=torch.float32, device=raw.device)
    step = max(1, CHUNK_VALUES // max(1, columns))
    pair = numbers.shape[1] == 2
    table = numbers.view(torch.int64) if pair else numbers  # two at once: single elements are copied much faster
    for start in range(0, rows, step):
        into = values[start : start + step].view(-1)
        into = into.view(torch.int64) if pair else into if numbers.shape[1] == 1 else into.view(-1, numbers.shape[1])
        index = raw[start : start + step].reshape(-1)
        torch.index_select(table.squeeze(1), 0, index.to(torch.int32), out=into)
    return values


def _numbers(codes: str, device: torch.device, levels: torch.Tensor | None) -> torch.Tensor:
    """(256, numbers in a byte): the numbers of every byte."""
    info = CODES[codes]
    shifts = torch.arange(0, 8, info.bits)
    if info.high_first:
        shifts = shifts.flip(0)
    code = (torch.arange(256)[:, None] >> shifts) & ((1 << info.bits) - 1)
    if levels is None:
        return torch.tensor(info.levels)[code].to(device)
    return levels.to(torch.float32)[code.to(levels.device)].to(device)


def rotate(values: torch.Tensor, group: int) -> None:
    """Multiply each group of a row by the normalised Hadamard matrix, which is its own inverse, in place.

    The matrix is the Kronecker product of the four by four one with itself, so four numbers at a time are turned, once
    for each power of 4 in the group. A number comes out the same whatever rows are beside it.

    Args:
        values: (rows, columns), columns a multiple of the group; contiguous.
        group: a power of 4.
    """
    groups = values.view(-1, group)
    step = min(len(groups), max(1, ROTATED_VALUES // group))
    memory = torch.empty((2, step * group), device=values.device)
    sums = torch.empty((2, step * group // 4), device=values.device)
    for start in range(0, len(groups), step):
        part = groups[start : start + step]
        count = part.numel()
        mine, turned = (line[:count].view(group, -1) for line in memory)  # numbers of one place beside each other
        mine.copy_(part.T)
        apart = 1
        while apart < group:
            four, into = (side.view(-1, 4, apart * len(part)) for side in (mine, turned))
            half, other = (line[: count // 4].view(-1, apart * len(part)) for line in sums)
            torch.add(four[:, 0], four[:, 1], out=half)
            half.add_(torch.add(four[:, 2], four[:, 3], out=other)).mul_(0.5)
            for place in range(4):  # all signs are + but for the one across
                torch.sub(half, four[:, 3 - place], out=into[:, place])
            mine, turned = turned, mine
            apart *= 4
        part.copy_(mine.T)
