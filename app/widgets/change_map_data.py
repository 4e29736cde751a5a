"""Where layers stand in a model, from their names: the cells of the change map. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from app.widgets.layer_model import natural_key
from engine.architecture import FAMILIES

Cells = NDArray[np.float64]
BIASES, NORMS, OTHERS, OUTSIDE = "biases", "norms", "others", "outside"
FEWEST_KINDS = 4  # that putting kinds together may leave
GROUPED = (OTHERS, OUTSIDE, NORMS, BIASES)
"""Rows that are not a kind by its name; the window words them."""
_DENOISER = "diffusion_model."
_STACKS = tuple(dict.fromkeys(stack for family in FAMILIES for stack in family.stacks))
_UNNUMBERED = {
    stack for family in FAMILIES for stack, part in family.parts.items() if part == "middle" and stack in _STACKS
}
_NESTED = re.compile(r"(blocks?|layers?|resnets|attentions|refiner)$")
_NORM = re.compile(r"norm\d*$|^ln_?\w{0,2}$|_ln\d*$")
_STREAM = re.compile(r"\b(img_|txt_|x_block\.|context_block\.)")


@dataclass(frozen=True)
class Place:
    """Where a layer stands.

    Attributes:
        block: the stack of its block and its number there; an empty stack outside the blocks.
        kind: what every block has one of, such as ``attn.qkv``; outside the blocks the first part of the name.
    """

    block: tuple[str, int]
    kind: str


@dataclass(frozen=True)
class Group:
    """Neighbouring columns of one stack of blocks: its name, the first column, the number of columns."""

    title: str
    first: int
    columns: int


@dataclass(frozen=True)
class ChangeGrid:
    """Kinds of layers by blocks.

    Attributes:
        kinds: titles of the rows, or one of `GROUPED`.
        columns: titles of the columns: blocks in the model's order, several in one where there are too many.
        groups: the stacks that the columns belong to.
        blocks: how many blocks there are.
        cells: for each layer the number of its cell, row by row, ``(layers,) intp``.
    """

    kinds: tuple[str, ...]
    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    blocks: int
    cells: NDArray[np.intp]

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.kinds) * len(self.columns)

    def layers_in(self, cell: int) -> list[int]:
        """The layers of a cell."""
        return [int(layer) for layer in np.flatnonzero(self.cells == cell)]

    def cells_of(self, layers: Sequence[int]) -> set[int]:
        """The cells of some layers."""
        return {int(cell) for cell in self.cells[list(layers)]} if len(layers) else set()


NOTHING = ChangeGrid((), (), (), 0, np.zeros(0, dtype=np.intp))


@lru_cache(maxsize=65536)
def place_of(name: str) -> Place:
    """Where a layer stands, by its canonical name."""
    parts = name.removeprefix(_DENOISER).split(".")
    inside = parts[:-1] if parts[-1] in ("weight", "bias") else parts
    found = _find_block(inside)
    if found is None:
        return Place(("", 0), parts[0])
    block, rest = found
    return Place(block, _kind(rest, parts[-1]))


def _find_block(parts: list[str]) -> tuple[tuple[str, int], list[str]] | None:
    """The block and the parts behind it; None outside the blocks."""
    for index, part in enumerate(parts):
        stack = ".".join(parts[: index + 1])
        rest = parts[index + 1 :]
        if part in _UNNUMBERED and rest:
            return (stack, 0), rest
        if part.isdigit() or not rest or not rest[0].isdigit():
            continue
        behind = rest[1:]
        # ``label_emb.0.0`` is a list of modules, not a stack; ``input_blocks.0.0`` is a block.
        if any(not item.isdigit() for item in behind) or (behind and stack in _STACKS):
            return (stack, int(rest[0])), behind
    return None


def _kind(parts: list[str], parameter: str) -> str:
    if parameter == "bias":
        return BIASES
    if parameter in ("weight", "scale", "gamma"):
        module = parts[-2] if parts[-1] == parameter and len(parts) > 1 else parts[-1]
        if _NORM.search(module):
            return NORMS
    while len(parts) > 1:
        if parts[0].isdigit():
            parts = parts[1:]
        elif len(parts) > 2 and _NESTED.search(parts[0]) and parts[1].isdigit() and not parts[2].isdigit():
            parts = parts[2:]
        else:
            break
    return "conv" if parts[0].isdigit() else ".".join(parts)


def arrange(names: Sequence[str], *, most_kinds: int, most_columns: int) -> ChangeGrid:
    """Lay layers out in a grid of at most so many rows and columns (at least 2 and 1 of them).

    Where there are too many kinds, those of the two streams of a transformer are put together, then those that
    begin alike, and at last all but the most frequent; where there are too many blocks, neighbours share a column.
    Layers outside the blocks have a row, and without any block rows are what names begin with and columns count.
    """
    places = [place_of(name) for name in names]
    blocks = sorted({place.block for place in places if place.block[0]}, key=_depth)
    if not blocks:
        return _without_blocks(names, places, most_kinds, most_columns)
    column_of, columns, groups = _columns(blocks, most_columns)
    outside = [index for index, place in enumerate(places) if not place.block[0]]
    inside = Counter(place.kind for place in places if place.block[0])
    row_of, kinds = _rows(inside, most_kinds - bool(outside))
    width = len(columns)
    if outside:
        kinds = (*kinds, OUTSIDE)
    cells = np.array(
        [row_of[place.kind] * width + column_of[place.block] if place.block[0] else 0 for place in places],
        dtype=np.intp,
    )
    order = sorted(outside, key=lambda index: natural_key(names[index]))
    cells[order] = (len(kinds) - 1) * width + _spread(len(order), width)
    return ChangeGrid(kinds, columns, groups, len(blocks), cells)


def _without_blocks(names: Sequence[str], places: list[Place], most_kinds: int, most_columns: int) -> ChangeGrid:
    row_of, kinds = _rows(Counter(place.kind for place in places), most_kinds)
    members: list[list[int]] = [[] for _ in kinds]
    for index in sorted(range(len(names)), key=lambda index: natural_key(names[index])):
        members[row_of[places[index].kind]].append(index)
    width = min(max(map(len, members), default=0), most_columns)
    cells = np.zeros(len(names), dtype=np.intp)
    for row, indices in enumerate(members):
        cells[indices] = row * width + _spread(len(indices), width)
    return ChangeGrid(kinds, ("",) * width, (), 0, cells)


def _spread(count: int, width: int) -> NDArray[np.intp]:
    """Columns for so many layers in a row: one each from the left, or evenly several in each."""
    return np.arange(count, dtype=np.intp) * min(width, count) // max(1, count)


def _depth(block: tuple[str, int]) -> tuple[int, int, str, int]:
    """Sort key of the model's order: denoiser, text encoders, others; stacks as in their family, then numbers."""
    stack, number = block
    component = 1 if stack.startswith("text_encoders.") else 2 if stack.startswith("vae.") else 0
    return component, _STACKS.index(stack) if stack in _STACKS else len(_STACKS), natural_key(stack), number


def _columns(
    blocks: Sequence[tuple[str, int]], most: int
) -> tuple[dict[tuple[str, int], int], tuple[str, ...], tuple[Group, ...]]:
    stacks: dict[str, list[tuple[str, int]]] = {}
    for block in blocks:
        stacks.setdefault(block[0], []).append(block)
    share = 1
    while sum(-(-len(members) // share) for members in stacks.values()) > max(most, len(stacks)):
        share += 1
    column_of: dict[tuple[str, int], int] = {}
    titles: list[str] = []
    groups: list[Group] = []
    for stack, members in stacks.items():
        first = len(titles)
        for start in range(0, len(members), share):
            together = members[start : start + share]
            column_of.update(dict.fromkeys(together, len(titles)))
            titles.append(_block_title(together))
        groups.append(Group(stack, first, len(titles) - first))
    return column_of, tuple(titles), tuple(groups)


def _block_title(blocks: Sequence[tuple[str, int]]) -> str:
    stack, first = blocks[0]
    if stack.rpartition(".")[2] in _UNNUMBERED:
        return stack
    return f"{stack}.{first}" if len(blocks) == 1 else f"{stack}.{first}\u2013{blocks[-1][1]}"


def _rows(counts: Counter[str], most: int) -> tuple[dict[str, int], tuple[str, ...]]:
    """The row of each kind, and the titles of the rows."""
    merged = {kind: kind for kind in counts}
    for merge in (_one_stream, _beginning):
        if len(set(merged.values())) > most:
            fewer = {kind: title if title in GROUPED else merge(title) for kind, title in merged.items()}
            # One row for everything would tell nothing.
            merged = fewer if len(set(fewer.values())) >= min(FEWEST_KINDS, most) else merged
    if len(set(merged.values())) > most:
        sums: Counter[str] = Counter()
        for kind, count in counts.items():
            sums[merged[kind]] += count
        frequent = {title for title, _ in sums.most_common(max(1, most - 1))}
        merged = {kind: title if title in frequent else OTHERS for kind, title in merged.items()}
    titles = sorted(set(merged.values()), key=_row_order)
    rows = {title: row for row, title in enumerate(titles)}
    return {kind: rows[title] for kind, title in merged.items()}, tuple(titles)


def _row_order(title: str) -> tuple[int, str]:
    return (GROUPED.index(title) + 1 if title in GROUPED else 0), natural_key(title)


def _one_stream(kind: str) -> str:
    return _STREAM.sub("", kind)


def _beginning(kind: str) -> str:
    return kind.partition(".")[0]


def combined_change(cells: NDArray[np.intp], size: int, energy: Iterable[float], change: Iterable[float]) -> Cells:
    """Relative change of each cell: |delta| / |original| over its layers together.

    Args:
        cells: the cell of each layer.
        size: how many cells there are.
        energy: |delta|^2 of each layer.
        change: |delta| / |original| of each layer; infinite where the original is zero.

    Returns:
        ``(size,) float64``; NaN in cells without layers.
    """
    squared, relative = np.asarray(energy, dtype=float), np.asarray(change, dtype=float)
    known = np.isfinite(relative) & (relative > 0)
    original = np.divide(squared, relative**2, out=np.zeros_like(squared), where=known)
    deltas = np.bincount(cells, squared, size)
    originals = np.bincount(cells, original, size)
    with np.errstate(divide="ignore", invalid="ignore"):
        together = np.where(deltas > 0, np.sqrt(deltas / originals), 0.0)
    return np.where(np.bincount(cells, minlength=size) > 0, together, np.nan)


def combined_kept(cells: NDArray[np.intp], size: int, energy: Iterable[float], kept: Iterable[float]) -> Cells:
    """Share of the change that each cell keeps: the mean over its layers, weighted by |delta|^2.

    Arguments and result are as those of `combined_change`.
    """
    weights, shares = np.asarray(energy, dtype=float), np.asarray(kept, dtype=float)
    sums = np.bincount(cells, weights, size)
    with np.errstate(divide="ignore", invalid="ignore"):
        together = np.where(sums > 0, np.bincount(cells, weights * shares, size) / sums, 1.0)
    return np.where(np.bincount(cells, minlength=size) > 0, together, np.nan)


@dataclass(frozen=True)
class Scale:
    """The numbers at the two ends of the colours."""

    low: float
    high: float

    def place(self, values: Cells) -> Cells:
        """Where values lie between the ends, from 0 to 1; beyond them at an end, NaN where there is none."""
        width = self.high - self.low
        placed = (values - self.low) / width if width > 0 else np.where(np.isnan(values), np.nan, 1.0)
        return np.clip(placed, 0.0, 1.0)


def robust_scale(values: Cells) -> Scale:
    """From the 3rd to the 97th percentile, so that a few extreme layers do not leave the others without contrast."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Scale(0.0, 0.0)
    low, high = np.percentile(finite, (3, 97))
    return Scale(float(low), float(high))
