"""Shares the bytes of a file between its layers, as ranks. Pure: numbers in, ranks out, the same every time.

All three ways begin alike: every layer has at least rank 2, where that fits. Where it does not, every layer has rank 1,
and as many as the room allows have rank 2, in the order of the way. Then

- ``uniform`` gives every layer the largest rank that fits all of them, and what is left of the room one rank more to
  some of them, in the order of ``energy``;
- ``energy`` gives the room rank by rank to the layer whose next singular value keeps the most energy per byte;
- ``relative`` does the same with the energy divided by that of the original's weight, so that a layer counts by how
  much it changed of itself. A layer whose original is all zero counts by its own change.

The greedy order is that of the best answer, as singular values only fall: for its own sum no other ranks of at most as
many bytes keep more. Where a rank does not fit any more, smaller ones behind it are tried, so that less is left of the
room than the next rank of any layer takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.decompose.rank_rules import Values
from engine.settings import SizeBy

FLOOR = 2
"""The rank that every layer has at least, where the room allows it."""


@dataclass(frozen=True)
class LayerSpectrum:
    """What the sharing knows of a layer.

    Attributes:
        rank_bytes: what each rank of it takes in the file.
        full: the largest rank that it may have.
        values: its leading singular values, descending.
        original_energy: squared Frobenius norm of the original's weight.
        energy: of its whole change likewise.
    """

    rank_bytes: int
    full: int
    values: Values
    original_energy: float
    energy: float


@dataclass(frozen=True)
class SharedRanks:
    """Ranks of all layers, in their order.

    Attributes:
        ranks: of each layer. Where it is more than the singular values that are known of it, these do not decide it
            yet: what is not known was taken to be as large as it can be.
        nbytes: what they take.
    """

    ranks: tuple[int, ...]
    nbytes: int


def least_bytes(layers: Sequence[LayerSpectrum]) -> int:
    """What rank 1 of every layer takes."""
    return sum(layer.rank_bytes for layer in layers)


def share_ranks(layers: Sequence[LayerSpectrum], room: int, size_by: SizeBy) -> SharedRanks:
    """Give every layer a rank so that all take at most `room` bytes.

    Where every layer's rank is at most the number of its known values, more of them would change nothing.

    Args:
        layers: all of them, at least one rank each.
        room: bytes for all factors.
        size_by: the way.

    Raises:
        ValueError: where the room is less than `least_bytes`.
    """
    costs = np.array([layer.rank_bytes for layer in layers], np.int64)
    full = np.array([layer.full for layer in layers], np.int64)
    ranks, most = np.minimum(1, full), full
    if int((costs * ranks).sum()) > room:
        raise ValueError(f"{room} bytes are less than rank 1 of every layer takes")
    if int((costs * np.minimum(FLOOR, full)).sum()) > room:
        most = np.minimum(FLOOR, full)
    elif size_by == "uniform":
        ranks = np.minimum(largest_for_all(costs, full, room), full)
        most = np.minimum(ranks + 1, full)
    else:
        ranks = np.minimum(FLOOR, full)
    ranks = _fill(layers, ranks, most, room - int((costs * ranks).sum()), relative=size_by == "relative")
    return SharedRanks(tuple(int(rank) for rank in ranks), int((costs * ranks).sum()))


def largest_for_all(costs: NDArray[np.int64], full: NDArray[np.int64], room: int) -> int:
    """The largest rank that fits where every layer has it, or all that it can have.

    Args:
        costs: bytes of a rank of each layer.
        full: largest rank of each.
        room: bytes for all.
    """
    low, high = 1, int(full.max(initial=1))
    while low < high:
        middle = (low + high + 1) // 2
        if int((costs * np.minimum(middle, full)).sum()) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def _fill(
    layers: Sequence[LayerSpectrum],
    ranks: NDArray[np.int64],
    most: NDArray[np.int64],
    room: int,
    *,
    relative: bool,
) -> NDArray[np.int64]:
    """Give further ranks up to `most`, those first that keep the most per byte, as long as any fits."""
    costs = np.array([layer.rank_bytes for layer in layers], np.int64)
    able = [index for index in range(len(layers)) if costs[index] <= room]
    most = np.minimum(most, ranks + room // np.maximum(1, costs))
    counts = {index: int(most[index] - ranks[index]) for index in able}
    gains = [_gains(layers[index], int(ranks[index]), counts[index], relative=relative) for index in able]
    owner = np.repeat(np.array(able, np.int64), [counts[index] for index in able])
    place = np.concatenate([np.arange(counts[index]) for index in able]) if able else np.zeros(0)
    gain = np.concatenate(gains) if gains else np.zeros(0)
    owner = owner[np.lexsort((owner, place, -gain))]
    taken = np.cumsum(costs[owner])
    at_once = int(np.searchsorted(taken, room, side="right"))
    ranks = ranks + np.bincount(owner[:at_once], minlength=len(layers))
    left = room - (int(taken[at_once - 1]) if at_once else 0)
    smallest = int(costs.min(initial=0))
    for index in owner[at_once:]:
        if left < smallest:
            break
        if costs[index] <= left:
            left -= int(costs[index])
            ranks[index] += 1
    return ranks


def _gains(layer: LayerSpectrum, start: int, count: int, *, relative: bool) -> Values:
    """What each of `count` further ranks of a layer keeps per byte; of unknown values what they can at most."""
    energies = np.minimum.accumulate(np.asarray(layer.values, np.float64) ** 2)
    known = energies[start : start + count]
    last = float(energies[-1]) if len(energies) else float(layer.energy)
    bound = min(last, max(0.0, layer.energy - float(energies.sum()))) if len(energies) else last
    gains = np.concatenate([known, np.full(count - len(known), bound)])
    own = (layer.original_energy or layer.energy) if relative else 1.0
    return gains / (layer.rank_bytes * (own or 1.0))
