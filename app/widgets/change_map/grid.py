"""The cells of the change map: blocks by kinds of layers, and a strip for the layers outside the blocks. Pure."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.widgets.layers.layer_model import natural_key
from engine.models.layer_blocks import BIASES, NORMS, STACKS, UNNUMBERED
from engine.results import BlockNumber, LayerBlock

OTHERS, OUTER, OUTSIDE = "others", "outer layers", "outside blocks"
FEWEST_KINDS = 4  # that putting kinds together may leave
GROUPED = (OUTER, OTHERS, NORMS, BIASES)
"""Rows that are not a kind by its name; the window words them, and `OUTSIDE`."""
_STREAM = re.compile(r"\b(img_|txt_|x_block\.|context_block\.)")


@dataclass(frozen=True)
class Group:
    """Neighbouring columns of one stack of blocks: its name, the first column, the number of columns."""

    title: str
    first: int
    columns: int


@dataclass(frozen=True)
class ChangeGrid:
    """Kinds of layers by blocks, and cells beside them for layers that are in no block.

    Attributes:
        kinds: titles of the rows, or one of `GROUPED`.
        columns: titles of the columns: blocks in the model's order, several in one where there are too many.
        groups: the outermost stacks that the columns belong to.
        runs: the columns at which another stack begins, an outer or an inner one.
        blocks: how many blocks there are.
        outside: how many cells there are for layers outside the blocks; they follow those of the last row.
        cells: for each layer the number of its cell, row by row, ``(layers,) intp``.
    """

    kinds: tuple[str, ...]
    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    runs: tuple[int, ...]
    blocks: int
    outside: int
    cells: NDArray[np.intp]

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.kinds) * len(self.columns) + self.outside

    @property
    def rows(self) -> int:
        """Number of rows, that of the layers outside the blocks included."""
        return len(self.kinds) + bool(self.outside)

    def place(self, cell: int) -> tuple[int, int]:
        """Row and column of a cell; layers outside the blocks have the row after the kinds."""
        row = min(cell // max(1, len(self.columns)), len(self.kinds))
        return row, cell - row * len(self.columns)

    def cell(self, row: int, column: int) -> int | None:
        """The cell in a row that is nearest to a column; None where there is no such row or column."""
        if not 0 <= row < self.rows or column < 0:
            return None
        return row * len(self.columns) + min(column, self.width(row) - 1)

    def width(self, row: int) -> int:
        """How many cells a row has."""
        return self.outside if row == len(self.kinds) else len(self.columns)

    def layers_in(self, cell: int) -> list[int]:
        """The layers of a cell."""
        return [int(layer) for layer in np.flatnonzero(self.cells == cell)]

    def cells_of(self, layers: Sequence[int]) -> set[int]:
        """The cells of some layers."""
        return {int(cell) for cell in self.cells[list(layers)]} if len(layers) else set()


NOTHING = ChangeGrid((), (), (), (), 0, 0, np.zeros(0, dtype=np.intp))


def arrange(names: Sequence[str], blocks: Sequence[LayerBlock], *, most_kinds: int, most_columns: int) -> ChangeGrid:
    """Lay layers out in a grid of at most so many rows and columns (at least 2 and 1 of them).

    There is a column for each innermost block. Where there are too many, neighbours share one; where even that is
    too many, outermost blocks have the columns. Where there are too many kinds, those of the two streams of a
    transformer are put together, then those of outer blocks, then those that begin alike, and at last all but the
    most frequent. Layers outside the blocks have cells of their own, and without any block rows are what names begin
    with and columns count.
    """
    if not any(block.inside for block in blocks):
        return _without_blocks(names, blocks, most_kinds, most_columns)
    if len(_runs(blocks)) > most_columns:
        blocks = [LayerBlock(block.outer, block.outer, block.kind) for block in blocks]
    column_of, columns, groups, runs = _columns(blocks, most_columns)
    outside = [index for index, block in enumerate(blocks) if not block.inside]
    row_of, kinds = _rows([block for block in blocks if block.inside], most_kinds - bool(outside))
    width = len(columns)
    cells = np.array(
        [row_of[block.kind] * width + column_of[block.inner] if block.inside else 0 for block in blocks],
        dtype=np.intp,
    )
    order = sorted(outside, key=lambda index: natural_key(names[index]))
    strip = min(len(order), most_columns)
    cells[order] = len(kinds) * width + _spread(len(order), strip)
    return ChangeGrid(kinds, columns, groups, runs, len(column_of), strip, cells)


def _without_blocks(
    names: Sequence[str], blocks: Sequence[LayerBlock], most_kinds: int, most_columns: int
) -> ChangeGrid:
    row_of, kinds = _rows(blocks, most_kinds)
    members: list[list[int]] = [[] for _ in kinds]
    for index in sorted(range(len(names)), key=lambda index: natural_key(names[index])):
        members[row_of[blocks[index].kind]].append(index)
    width = min(max(map(len, members), default=0), most_columns)
    cells = np.zeros(len(names), dtype=np.intp)
    for row, indices in enumerate(members):
        cells[indices] = row * width + _spread(len(indices), width)
    return ChangeGrid(kinds, ("",) * width, (), (), 0, 0, cells)


def _spread(count: int, width: int) -> NDArray[np.intp]:
    """Columns for so many layers in a row: one each from the left, or evenly several in each."""
    return np.arange(count, dtype=np.intp) * min(width, count) // max(1, count)


def _runs(blocks: Sequence[LayerBlock]) -> list[list[LayerBlock]]:
    """One layer's place of each block in the model's order; neighbours of one stack stand together."""
    found = {block.inner: block for block in blocks if block.inside}
    ordered = sorted(found.values(), key=_depth)
    return [list(run) for _, run in itertools.groupby(ordered, key=lambda block: block.inner[0])]


def _columns(
    blocks: Sequence[LayerBlock], most: int
) -> tuple[dict[BlockNumber, int], tuple[str, ...], tuple[Group, ...], tuple[int, ...]]:
    runs = _runs(blocks)
    share = 1
    while sum(-(-len(run) // share) for run in runs) > max(most, len(runs)):
        share += 1
    column_of: dict[BlockNumber, int] = {}
    titles: list[str] = []
    stacks: list[str] = []
    starts: list[int] = []
    for run in runs:
        starts.append(len(titles))
        for start in range(0, len(run), share):
            together = run[start : start + share]
            column_of.update(dict.fromkeys((block.inner for block in together), len(titles)))
            titles.append(_block_title(together[0].inner[0], together[0].inner[1], together[-1].inner[1]))
            stacks.append(together[0].outer[0])
    groups: list[Group] = []
    for stack, members in itertools.groupby(range(len(stacks)), key=stacks.__getitem__):
        columns = list(members)
        groups.append(Group(stack, columns[0], len(columns)))
    return column_of, tuple(titles), tuple(groups), tuple(starts)


def _rows(blocks: Sequence[LayerBlock], most: int) -> tuple[dict[str, int], tuple[str, ...]]:
    """The row of each kind, and the titles of the rows."""
    counts = Counter(block.kind for block in blocks)
    inner = {block.kind for block in blocks if block.nested}
    merged = {kind: kind for kind in counts}
    for merge in (_one_stream, _outer_together(inner), _beginning):
        if len(set(merged.values())) > most:
            fewer = {kind: title if title in GROUPED else merge(title) for kind, title in merged.items()}
            # One row for everything would show no difference.
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


def _outer_together(inner: Collection[str]) -> Callable[[str], str]:
    """Puts together what is only in blocks around others, such as the convolutions of a U-Net."""
    streams = {_one_stream(kind) for kind in inner}
    return lambda kind: OUTER if streams and kind not in streams else kind


def _beginning(kind: str) -> str:
    return kind.partition(".")[0]


def _depth(block: LayerBlock) -> tuple[int, int, str, int, str]:
    """Sort key of a block's place in the model: denoiser, text encoders, others; stacks as in their family."""
    stack, number = block.outer
    component = 1 if stack.startswith("text_encoders.") else 2 if stack.startswith("vae.") else 0
    order = STACKS.index(stack) if stack in STACKS else len(STACKS)
    within = natural_key(f"{block.inner[0]}.{block.inner[1]}") if block.nested else ""
    return component, order, natural_key(stack), number, within


def _block_title(stack: str, first: int, last: int) -> str:
    """The name of a block, or of neighbours in one stack."""
    if stack.rpartition(".")[2] in UNNUMBERED:
        return stack
    return f"{stack}.{first}" if first == last else f"{stack}.{first}\u2013{last}"
