"""Sharing a file's bytes between its layers: the best answer on small cases, and what holds for any."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.planning.ranks import FLOOR, LayerSpectrum, least_bytes, share_ranks
from engine.settings import SizeBy

WAYS = get_args(SizeBy)


@st.composite
def layers(draw: st.DrawFn, most: int = 6, full: int = 8) -> list[LayerSpectrum]:
    found = []
    for _ in range(draw(st.integers(1, most))):
        values = sorted(draw(st.lists(st.floats(0, 100), min_size=1, max_size=full)), reverse=True)
        energy = float(np.square(values).sum())
        original = draw(st.sampled_from((0.0, 0.5, 1.0, 40.0)))
        found.append(LayerSpectrum(draw(st.integers(1, 9)), len(values), np.array(values), original, energy))
    return found


def size_of(given: list[LayerSpectrum], ranks: tuple[int, ...]) -> int:
    return sum(layer.rank_bytes * rank for layer, rank in zip(given, ranks, strict=True))


def worth(layer: LayerSpectrum, rank: int, way: str) -> float:
    own = (layer.original_energy or layer.energy or 1.0) if way == "relative" else 1.0
    return float(np.square(layer.values[:rank]).sum()) / own


def room_for(given: list[LayerSpectrum], share: float) -> int:
    least, most = least_bytes(given), size_of(given, tuple(layer.full for layer in given))
    return least + int(share * (most - least + 3))


@pytest.mark.parametrize("way", WAYS)
@given(given=layers(), share=st.floats(0, 1))
def test_the_room_is_never_exceeded_and_less_than_a_rank_of_any_layer_that_is_not_full_is_left(
    way: SizeBy, given: list[LayerSpectrum], share: float
) -> None:
    room = room_for(given, share)
    shared = share_ranks(given, room, way)
    assert shared.nbytes == size_of(given, shared.ranks) <= room
    open_layers = [layer.rank_bytes for layer, rank in zip(given, shared.ranks, strict=True) if rank < layer.full]
    largest = max(layer.rank_bytes for layer in given)
    assert not open_layers or room - shared.nbytes < largest


@pytest.mark.parametrize("way", WAYS)
@given(given=layers(), share=st.floats(0, 1))
def test_every_layer_has_rank_two_where_that_fits_and_else_none_has_more(
    way: SizeBy, given: list[LayerSpectrum], share: float
) -> None:
    room = room_for(given, share)
    ranks = share_ranks(given, room, way).ranks
    floors = tuple(min(FLOOR, layer.full) for layer in given)
    if size_of(given, floors) <= room:
        assert all(rank >= floor for rank, floor in zip(ranks, floors, strict=True))
    else:
        assert all(1 <= rank <= FLOOR for rank in ranks)


@pytest.mark.parametrize("way", ["energy", "relative"])
@given(given=layers(most=4, full=5), share=st.floats(0, 1))
def test_no_other_ranks_within_the_same_bytes_keep_more(way: SizeBy, given: list[LayerSpectrum], share: float) -> None:
    room = room_for(given, share)
    floors = tuple(min(FLOOR, layer.full) for layer in given)
    if size_of(given, floors) > room:
        return
    shared = share_ranks(given, room, way)
    kept = sum(worth(layer, rank, way) for layer, rank in zip(given, shared.ranks, strict=True))
    choices = itertools.product(*(range(floor, layer.full + 1) for floor, layer in zip(floors, given, strict=True)))
    every = [ranks for ranks in choices if size_of(given, ranks) <= room]
    best = max(sum(worth(layer, rank, way) for layer, rank in zip(given, ranks, strict=True)) for ranks in every)
    costs = {layer.rank_bytes for layer in given}
    # With one cost for all the greedy answer is the best one; else what the room's last bytes could have held is lost.
    steps = [
        worth(layer, rank + 1, way) - worth(layer, rank, way)
        for layer, rank in zip(given, shared.ranks, strict=True)
        if rank < layer.full
    ]
    slack = (
        0.0
        if len(costs) == 1
        else max(steps, default=0.0)
        + max(
            (
                worth(layer, rank, way) - worth(layer, rank - 1, way)
                for layer, rank in zip(given, shared.ranks, strict=True)
            ),
            default=0.0,
        )
    )
    assert kept >= best - slack - 1e-9 * max(1.0, best)


@given(given=layers(), share=st.floats(0, 1))
def test_uniform_ranks_differ_by_one_alone_where_a_layer_can_have_more(
    given: list[LayerSpectrum], share: float
) -> None:
    ranks = share_ranks(given, room_for(given, share), "uniform").ranks
    base = min((rank for layer, rank in zip(given, ranks, strict=True) if rank < layer.full), default=0)
    assert all(min(base, layer.full) <= rank for layer, rank in zip(given, ranks, strict=True))
    assert not base or all(rank <= base + 1 for rank in ranks)


@pytest.mark.parametrize("way", WAYS)
@given(given=layers(), share=st.floats(0, 1), known=st.integers(1, 8))
def test_ranks_within_the_known_values_stay_once_all_are_known(
    way: SizeBy, given: list[LayerSpectrum], share: float, known: int
) -> None:
    room = room_for(given, share)
    partly = [
        LayerSpectrum(layer.rank_bytes, layer.full, layer.values[:known], layer.original_energy, layer.energy)
        for layer in given
    ]
    ranks = share_ranks(partly, room, way).ranks
    wanted = [rank for layer, rank in zip(partly, ranks, strict=True) if rank > len(layer.values)]
    if not wanted:
        best = share_ranks(given, room, way)
        assert sum(worth(a, r, way) for a, r in zip(given, ranks, strict=True)) == pytest.approx(
            sum(worth(a, r, way) for a, r in zip(given, best.ranks, strict=True)), rel=1e-9, abs=1e-9
        )


def test_a_layer_that_changed_much_of_itself_comes_first_by_relative_and_the_larger_change_by_energy() -> None:
    loud = LayerSpectrum(10, 8, np.array([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0]), 1e6, 284.0)
    quiet = LayerSpectrum(10, 8, np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]), 1.0, 2.84)
    assert share_ranks([loud, quiet], 100, "energy").ranks == (8, 2)
    assert share_ranks([loud, quiet], 100, "relative").ranks == (2, 8)
    assert share_ranks([loud, quiet], 110, "uniform").ranks == (6, 5)


def test_less_than_rank_one_of_every_layer_is_refused() -> None:
    layer = LayerSpectrum(10, 4, np.array([1.0]), 1.0, 1.0)
    with pytest.raises(ValueError, match="19 bytes"):
        share_ranks([layer, layer], 19, "energy")


def test_a_thousand_layers_of_high_rank_are_shared_in_whole(  # the figures of a large model
) -> None:
    generator = np.random.default_rng(0)
    many = [
        LayerSpectrum(int(generator.integers(1000, 50_000)), 3072, spectrum, 1.0, float(np.square(spectrum).sum()))
        for spectrum in (np.sort(generator.exponential(size=256))[::-1] for _ in range(1000))
    ]
    room = 64 * least_bytes(many)
    shared = share_ranks(many, room, "energy")
    assert 0 <= room - shared.nbytes < max(layer.rank_bytes for layer in many)
