"""Some rows of some layers of two models, subtracted before a run, to see whether they are a model and its original.

Layers are taken in turns from every kind of layer, such as all queries, and of each kind spread over the depth of the
model. Which rows are read follows from the layer's name, so that the same pair always gives the same sample.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TypeVar

import torch

from engine.analysis.pair_verdict import PairSample
from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint, Piece, WeightView
from engine.checkpoints.dtypes import DTYPES
from engine.checkpoints.encodings import piece_of, read_by_rows
from engine.checkpoints.encodings.step_sizes import of_floats
from engine.checkpoints.rounding import Side
from engine.checkpoints.stored import RAW
from engine.decompose.delta import energy
from engine.models.pairing import PairedWeight
from engine.results import LARGE_CHANGE, LargeChange
from engine.steps import ThreadWork, check, stoppable
from engine.streamed_delta import UnreadPair

SAMPLE_BYTES = 3 << 19  # of each side, over all layers looked at
MORE_BYTES = 1 << 19  # of each side, over the other layers where hardly any of the first ones changed
LAYERS = 96  # that are looked at first
LEAST_LAYERS = 8  # as many are read whole where no rows can be read by themselves, while they fit
_RUNS = 2  # runs of rows of a layer
_ABOVE = 4  # times its share of the bytes that a layer may take
_WHOLE_KIND = 3  # layers of a kind that tell whether the kind changed

_Item = TypeVar("_Item")
Area = tuple[tuple[int, int], tuple[int, int]]  # rows and columns of a layer as a matrix


def sample_pair(
    finetuned: Checkpoint, original: Checkpoint, weights: Sequence[PairedWeight], cancel: CancelToken
) -> PairSample:
    """Subtract some rows of some layers, about 2 MB of each model.

    A layer of which no rows can be read by themselves is read whole where it is small; where all are large, the
    smallest one is read all the same, and `PairSample.read_bytes` says how much that was.

    Args:
        finetuned: the fine-tuned model.
        original: the model it was made from.
        weights: that would be extracted; at least one.
        cancel: stops it between two reads.

    Raises:
        EngineError: what reading and decoding raise.
        Cancelled: it was stopped.
    """
    checkpoints = finetuned, original
    with stoppable(ThreadWork(lambda: cancel.cancelled)):
        order, found = in_turns(weights), _Findings(len(weights))
        share = SAMPLE_BYTES // min(LAYERS, len(order))
        costly, left = list[_Part](), list[PairedWeight]()
        for weight in (weights[index] for index in order):
            if found.layers >= LAYERS or found.planned_bytes >= SAMPLE_BYTES:
                left.append(weight)
                continue
            part = _Part.of(weight, share)
            if part.cost > _ABOVE * share:
                costly.append(part)
            else:
                found.add(checkpoints, part)
        for part in sorted(costly, key=lambda part: part.cost):
            enough = found.layers >= LEAST_LAYERS or found.planned_bytes + part.cost > SAMPLE_BYTES
            if found.layers and enough:
                break
            found.add(checkpoints, part)
        if left and found.sample().few_layers:
            end, share = found.planned_bytes + MORE_BYTES, max(1, MORE_BYTES // len(left))
            for part in (_Part.of(weight, share) for weight in left):
                if found.planned_bytes + part.cost <= end:
                    found.add(checkpoints, part)
        return found.sample()


def in_turns(weights: Sequence[PairedWeight]) -> list[int]:
    """Indexes of weights in the order in which they are looked at: of every kind one, spread over the depth.

    Weights with factors come first. A kind is a name whose numbers are left open.
    """
    kinds: dict[bool, dict[str, list[int]]] = {True: {}, False: {}}
    for index, weight in enumerate(weights):
        kinds[weight.kind in ("matrix", "conv")].setdefault(_kind(weight.name), []).append(index)
    order = list[int]()
    for groups in kinds.values():
        turns = zip_longest(*(_spread(group) for group in _spread(list(groups.values()))))
        order += [index for turn in turns for index in turn if index is not None]
    return order


@dataclass(frozen=True)
class _Part:
    """What is read of a layer.

    Attributes:
        weight: the layer.
        areas: rows and columns of it as a matrix.
        cost: bytes that are read for them, of the side that takes more.
    """

    weight: PairedWeight
    areas: tuple[Area, ...]
    cost: int

    @classmethod
    def of(cls, weight: PairedWeight, share: int) -> _Part:
        """The part of a layer that takes about so many bytes of either side, or the least that can be read."""
        views = weight.finetuned, weight.original
        rows, columns = _matrix(weight.shape if weight.common is None else weight.common)
        values = max(1, math.floor(8 * share / max(map(_bits, views))))
        height, width = _extent(rows, columns, values, views)
        areas = tuple(
            ((start, stop), _run(weight.name, "columns", columns, width))
            for start, stop in _runs(weight.name, rows, height)
        )
        if weight.rounding is not None and not all(map(_in_rows, views)):  # one side is rounded whole as the other
            return cls(weight, areas, max(view.stored_bytes for view in views))
        return cls(weight, areas, max(sum(_bytes(view, area) for area in areas) for view in views))

    @property
    def whole(self) -> bool:
        """Whether that is all of the layer."""
        numel = sum((rows[1] - rows[0]) * (columns[1] - columns[0]) for rows, columns in self.areas)
        return numel == self.weight.numel


@dataclass
class _Findings:
    """What was found so far; energies are squared norms, scaled to whole layers.

    `rounding` has what rounding explains and the change: under True of layers whose sides are stored in different forms
    and subtracted as they are, under False of the others.
    """

    of: int
    layers: int = 0
    changed: int = 0
    rounded: int = 0
    whole: bool = True
    planned_bytes: int = 0
    read_bytes: int = 0
    change: float = 0.0
    original: float = 0.0
    rounding: dict[bool, list[float]] = field(default_factory=lambda: {True: [0.0, 0.0], False: [0.0, 0.0]})
    large: dict[bool, list[int]] = field(default_factory=lambda: {True: [0, 0], False: [0, 0]})
    kinds: dict[str, list[int]] = field(default_factory=dict)

    def add(self, checkpoints: tuple[Checkpoint, Checkpoint], part: _Part) -> None:
        """Read the part of a layer, and count it."""
        check()
        weight = part.weight
        pair = UnreadPair(checkpoints, weight, self._note)
        alike = [UnreadPair(checkpoints, other, self._note) for other in _rounded(weight)]
        sums = torch.zeros(3, dtype=torch.float64)  # of the change, the original, and rounding
        coarser = _coarser(weight)
        numel, differs, rounded = 0, False, False
        for area in part.areas:
            numel += (area[0][1] - area[0][0]) * (area[1][1] - area[1][0])
            if any(torch.equal(*_floats(other.sides(*area))) for other in alike):
                rounded = True
                continue
            sides = pair.sides(*area)
            tuned, base = _floats(sides)
            differs = differs or not torch.equal(tuned, base)
            sums[:2] += torch.tensor([energy(tuned - base), energy(base)], dtype=torch.float64)
            place = 1 if coarser == "original" else 0
            steps = pair.steps(*area)[place]
            sums[2] += energy(of_floats(sides[place]) if steps is None else steps) / 12
        for found in (pair, *alike):
            found.free()
        change, original, rounding = (sums * (weight.numel / numel)).tolist()
        self.layers, self.planned_bytes = self.layers + 1, self.planned_bytes + part.cost
        self.whole = self.whole and part.whole
        self.changed, self.rounded = self.changed + differs, self.rounded + (rounded and not differs)
        _count(self.kinds.setdefault(_kind(weight.name), [0, 0]), differs)
        _count(self.large[weight.kind in ("matrix", "conv")], change > LARGE_CHANGE**2 * original)
        if not math.isfinite(change + original):  # a run will name the values that are broken
            return
        self.change, self.original = self.change + change, self.original + original
        if not differs:
            return
        explained = self.rounding[coarser is not None]
        explained[0], explained[1] = explained[0] + rounding, explained[1] + change

    def sample(self) -> PairSample:
        """All of it."""
        return PairSample(
            layers=self.layers,
            of=self.of,
            whole=self.whole and self.layers == self.of,
            relative_change=math.sqrt(self.change / self.original) if self.original else float(self.change > 0),
            changed=self.changed,
            rounded=self.rounded,
            kinds_changed=any(of >= _WHOLE_KIND and 2 * changed > of for changed, of in self.kinds.values()),
            large=LargeChange(*self.large[any(self.large[True])]),
            rounding_share=_share(*self.rounding[False]),
            coarse_rounding_share=_share(*self.rounding[True]),
            read_bytes=self.read_bytes,
        )

    def _note(self, count: int) -> None:
        self.read_bytes += count


def _rounded(weight: PairedWeight) -> list[PairedWeight]:
    """The weight with every side rounded as the other one is stored that may equal it then; see `Rounding.tested`."""
    if weight.rounding is None or weight.finetuned.shape != weight.original.shape:
        return []
    return [replace(weight, rounding=replace(weight.rounding, rounded=side)) for side in weight.rounding.tested]


def _floats(sides: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    return sides[0].to(torch.float32), sides[1].to(torch.float32)


def _coarser(weight: PairedWeight) -> Side | None:
    """The side whose rounding is whole in the difference, as the other one is stored finer and not rounded alike."""
    return None if weight.rounding is None or weight.rounding.rounded is not None else weight.rounding.coarser


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _count(counts: list[int], true: bool) -> None:
    """Count one more, and whether something is true of it."""
    counts[0], counts[1] = counts[0] + true, counts[1] + 1


def _extent(rows: int, columns: int, values: int, views: Iterable[WeightView]) -> tuple[int, int]:
    """How many rows and columns of a layer are read for so many values, so that few runs of the files are read."""
    if values >= rows * columns:
        return rows, columns
    turned = [any(piece.transposed for piece in view.pieces) for view in views]
    if all(turned):
        width = min(columns, max(1, round(values / rows)))
        return min(rows, max(1, values // width)), width
    wanted = math.isqrt(values) if any(turned) else round(values / columns)
    height = min(rows, max(1, wanted))
    return height, min(columns, max(1, values // height))


def _runs(name: str, rows: int, count: int) -> Iterator[tuple[int, int]]:
    """Some rows in runs that are spread over all of them."""
    runs = 1 if count == rows else min(_RUNS, count)
    for number in range(runs):
        first, last = rows * number // runs, rows * (number + 1) // runs
        start, stop = _run(name, f"rows {number}", last - first, max(1, count // runs))
        yield first + start, first + stop


def _run(name: str, what: str, length: int, count: int) -> tuple[int, int]:
    """A run of `count` of `length` places, wherever the layer's name leads to."""
    count = min(length, count)
    digest = hashlib.sha256(f"{name} {what}".encode()).digest()
    start = int.from_bytes(digest[:8], "big") % (length - count + 1)
    return start, start + count


def _bytes(view: WeightView, area: Area) -> int:
    """What is read of a side for some of its rows and columns."""
    (start, stop), (left, right) = area
    total, first = 0, 0
    for piece in view.pieces:
        last = first + _matrix(piece.shape)[0]
        low, high = max(start, first) - first, min(stop, last) - first
        if low < high:
            total += _bytes_of(piece, low, high, right - left)
        first = last
    return total


def _bytes_of(piece: Piece, start: int, stop: int, width: int) -> int:
    source = piece.source
    if source.encoding == RAW:
        return (stop - start) * width * DTYPES[source.dtype].bits // 8
    read = piece_of(source, start, stop).source if read_by_rows(piece) else source
    return sum(part.nbytes for part in read.parts)


def _in_rows(view: WeightView) -> bool:
    """Whether some rows of a side can be read without the others."""
    return all(piece.source.encoding == RAW or read_by_rows(piece) for piece in view.pieces)


def _bits(view: WeightView) -> float:
    """Bits that a number of a side takes in its file."""
    return max(8 * source.parts[0].nbytes / max(1, source.numel) for source in (piece.source for piece in view.pieces))


def _kind(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _spread(items: Sequence[_Item]) -> list[_Item]:
    """The same items, those in the middle of all before first, then those in the middle of the halves, and so on."""
    digits = max(1, (len(items) - 1).bit_length())
    places = (int(f"{number:0{digits}b}"[::-1], 2) for number in range(1 << digits))
    return [items[place] for place in places if place < len(items)]


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[0] if shape else 1), math.prod(shape[1:])
