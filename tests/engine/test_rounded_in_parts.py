"""A rounded difference is the same, and known to be none, whichever way its two sides are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from model_files import random_tensor
from streamed_pairs import (
    PART,
    Case,
    filled,
    held,
    in_pieces,
    opened,
    plain,
    plain_rows,
    rounded,
    scaled,
    small_parts,  # noqa: F401 - a fixture for every test here
    unread,
)
from torch_memory import peak_bytes

from engine.checkpoints import Checkpoint
from engine.checkpoints.rounded import compared
from engine.checkpoints.tensors import read_encoded
from engine.decompose.delta import Delta, subtract
from engine.decompose.method import LayerMethod
from engine.models.pairing import PairedWeight
from engine.planning.costs import need, need_within
from engine.settings import ExtractionSettings
from engine.streamed_delta import MeasuredDelta, UnreadPair


def norms_of(delta: Delta | MeasuredDelta) -> tuple[float, float]:
    return delta.energy, delta.original_energy


def held_rounded(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> Delta | None:
    views = (weight.finetuned, weight.original)
    both = [read_encoded(model, view) for model, view in zip(checkpoints, views, strict=True)]
    numbers = compared((both[0], both[1]), weight.rounding)
    return None if numbers is None else subtract(*numbers)


ROUNDED: dict[str, Case] = {
    "fp8 against bf16": rounded(plain((170, 37), torch.float8_e4m3fn, torch.bfloat16)),
    "bf16 against fp32, wide": rounded(plain((37, 170), torch.bfloat16, torch.float32)),
    "bf16 against fp16": rounded(plain((170, 37), torch.bfloat16, torch.float16)),
    "bf16 against fp8, both ways": rounded(plain((170, 37), torch.bfloat16, torch.float8_e4m3fn), "on"),
    "larger vocabulary": rounded(
        lambda folder: opened(
            folder,
            random_tensor(190, 37, seed=0).to(torch.float8_e4m3fn),
            random_tensor(170, 37, seed=1),
            common=(170, 37),
        )
    ),
    "turned": rounded(
        in_pieces(
            {"a.weight": random_tensor(37, 170, seed=3).bfloat16()},
            plain_rows(170, 37, torch.float32),
            turned=("a.weight",),
        )
    ),
    "joined of two dtypes": rounded(
        in_pieces(
            {"a.weight": random_tensor(80, 37, seed=3).half()} | plain_rows(90, 37), plain_rows(170, 37, torch.float32)
        )
    ),
    "scaled fp8": rounded(in_pieces(scaled(170, 37, seed=4), plain_rows(170, 37))),
    "scaled fp8 by row, against two dtypes": rounded(
        in_pieces(
            scaled(170, 37, seed=4, by_row=True),
            {"a.weight": random_tensor(80, 37, seed=3)} | plain_rows(90, 37),
        )
    ),
    "wide in scaled fp8": rounded(in_pieces(scaled(37, 170, seed=4, by_row=True), plain_rows(37, 170))),
    "turned in scaled fp8": rounded(
        in_pieces(scaled(37, 170, seed=4, by_row=True), plain_rows(170, 37), turned=("a.weight",))
    ),
    "scaled fp8 joined with plain rows": rounded(
        in_pieces(scaled(100, 37, seed=4) | plain_rows(70, 37), plain_rows(170, 37, torch.float32))
    ),
    "scaled fp8 original, both ways": rounded(in_pieces(plain_rows(170, 37), scaled(170, 37, seed=4)), "on"),
}


@pytest.mark.parametrize("case", ROUNDED.values(), ids=ROUNDED)
def test_a_rounded_delta_is_the_same_bit_by_bit_whichever_way_it_is_read(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        assert weight.rounding.rounded is not None
        whole, parts = held_rounded(checkpoints, weight), filled(checkpoints, weight)
        assert whole is not None
        assert torch.equal(parts.values, whole.values)
        assert norms_of(parts) == norms_of(whole)
        assert not torch.equal(whole.values, held(checkpoints, replace(weight, rounding=None)).values)
        measured = unread(checkpoints, weight).measured()
        assert norms_of(measured) == norms_of(whole)
        matrix = whole.values.reshape(whole.values.shape[0], -1)
        for place, piece in measured.pieces:
            assert torch.equal(piece, matrix[place] if measured.pieces.tall else matrix[:, place])
        measured.pieces.free()
        tuned, base = unread(checkpoints, weight).sides((7, 31), (3, 29))
        assert torch.equal(tuned.float() - base.float(), matrix[7:31, 3:29])


@pytest.mark.parametrize("case", ROUNDED.values(), ids=ROUNDED)
def test_a_weight_that_changed_is_not_taken_for_a_rounded_one_in_parts_either(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        assert not unread(checkpoints, weight).only_rounded()


def only_saved_again(tuned: torch.dtype, base: torch.dtype, shape: tuple[int, int] = (170, 37)) -> Case:
    """One side is the other one cast to its dtype."""
    values = random_tensor(*shape, seed=5)
    finer = values.to(base if torch.finfo(base).bits > torch.finfo(tuned).bits else tuned)
    sides = finer.to(tuned), finer.to(base)
    return rounded(lambda folder: opened(folder, *sides), "off")


SAVED_AGAIN: dict[str, Case] = {
    "in bf16": only_saved_again(torch.bfloat16, torch.float32),
    "in fp8": only_saved_again(torch.float8_e4m3fn, torch.bfloat16),
    "wide": only_saved_again(torch.float16, torch.float32, (37, 170)),
    "the original in fp8": only_saved_again(torch.bfloat16, torch.float8_e4m3fn),
}


@pytest.mark.parametrize("case", SAVED_AGAIN.values(), ids=SAVED_AGAIN)
def test_a_weight_that_was_only_saved_again_is_known_in_parts_and_whole(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        pair = unread(checkpoints, weight)
        assert pair.only_rounded()
        pair.free()
        assert held_rounded(checkpoints, weight) is None
        assert held(checkpoints, weight).energy > 0.0, "so that there is something to be known"


def test_comparing_stops_at_the_first_part_that_changed(tmp_path: Path) -> None:
    counted: list[int] = []
    with ROUNDED["fp8 against bf16"](tmp_path) as (checkpoints, weight):
        as_stored = replace(weight, rounding=weight.rounding.under("off"))
        assert not UnreadPair(checkpoints, as_stored, counted.append).only_rounded()
    assert 0 < sum(counted) <= 3 * PART


@pytest.mark.parametrize(
    ("way", "case"),
    [
        ("filled", "fp8 against bf16"),
        ("pieces", "fp8 against bf16"),
        ("pieces", "scaled fp8"),
        ("pieces", "scaled fp8 joined with plain rows"),
    ],
)
def test_rounding_in_parts_takes_no_more_than_was_planned(
    tmp_path: Path, way: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("engine.planning.costs", "engine.streamed_delta"):
        monkeypatch.setattr(f"{module}.PART_VALUES", PART)
    monkeypatch.setattr("engine.planning.costs.CASTING_BYTES", 0)
    method = LayerMethod.of(ExtractionSettings(rank=2))
    with ROUNDED[case](tmp_path) as (checkpoints, weight):
        stated = need_within(weight, method, 1, measured=way == "pieces")  # measuring does nothing but to go over it

        def work() -> object:
            pair = unread(checkpoints, weight)
            pair.only_rounded()
            return filled(checkpoints, weight) if way == "filled" else pair.measured()

        if way == "filled":
            ceiling = need(weight, method, host=True).total - 1
            stated = need_within(weight, method, ceiling, measured=False)
        assert stated.way == way
        assert peak_bytes(work) <= stated.total
