"""The steps of a side are the same in memory and read in parts; those of one that is rounded are the coarser side's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from model_files import random_tensor
from streamed_pairs import Case, in_pieces, plain, plain_rows, rounded, scaled, unread

from engine.checkpoints import Checkpoint
from engine.checkpoints.encodings.step_sizes import of_floats
from engine.checkpoints.rounded import compared
from engine.checkpoints.rounding import grid_of
from engine.checkpoints.sides import Side
from engine.checkpoints.steps import AnySteps, rounding_steps, steps_of_sides
from engine.checkpoints.tensors import read_encoded, read_view
from engine.models.pairing import PairedWeight

PART = 1 << 10


SCALED = scaled(170, 37, seed=4, by_row=True)
MIXED = {"a.weight": random_tensor(80, 37, seed=3).half()} | plain_rows(90, 37)
TURNED = scaled(37, 170, seed=4, by_row=True)
CASES: dict[str, Case] = {
    "scaled": in_pieces(SCALED, plain_rows(170, 37)),
    "scaled original": in_pieces(plain_rows(170, 37), SCALED),
    "both": in_pieces(SCALED, scaled(170, 37, seed=5)),
    "turned": in_pieces(TURNED, plain_rows(170, 37), turned=("a.weight",)),
    "two dtypes": in_pieces(MIXED, plain_rows(170, 37)),
    "joined with plain rows": in_pieces(
        scaled(100, 37, seed=4) | plain_rows(70, 37), plain_rows(170, 37, torch.float32)
    ),
    "rounded": rounded(in_pieces(SCALED, plain_rows(170, 37))),
    "rounded as one that is turned": rounded(in_pieces(TURNED, plain_rows(170, 37), turned=("a.weight",))),
    "rounded as two dtypes": rounded(in_pieces(MIXED, plain_rows(170, 37, torch.float32))),
    "fine-tuned side rounded": rounded(in_pieces(plain_rows(170, 37), scaled(170, 37, seed=4)), "on"),
}
ROWS = ((0, 20), (20, 101), (101, 170))


def in_memory(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> tuple[AnySteps | None, ...]:
    tuned, base = (
        read_encoded(model, view) for model, view in zip(checkpoints, (weight.finetuned, weight.original), strict=True)
    )
    numbers = compared((tuned, base), weight.rounding)
    assert numbers is not None
    return steps_of_sides((tuned, base), weight.rounding, numbers)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_steps_are_the_same_in_memory_and_in_parts(case: Case, tmp_path: Path) -> None:
    with case(tmp_path) as (checkpoints, weight):
        wholes, pair = in_memory(checkpoints, weight), unread(checkpoints, weight)
        assert any(wholes)
        for start, stop in ROWS:
            pair.piece(start, stop)
            for whole, part in zip(wholes, pair.steps((start, stop), (0, 37)), strict=True):
                assert (part is None) == (whole is None)
                if part is not None and whole is not None:
                    assert torch.equal(part.reshape(-1), whole.values(37 * start, 37 * stop))
            assert all(
                one is None or other is None or torch.equal(one[:, 3:], other)
                for one, other in zip(
                    pair.steps((start, stop), (0, 37)), pair.steps((start, stop), (3, 37)), strict=True
                )
            )


@pytest.mark.parametrize("name", ["scaled", "turned", "two dtypes", "joined with plain rows"])
def test_steps_of_what_was_just_read_are_formed_without_reading_again(name: str, tmp_path: Path) -> None:
    read: list[int] = []
    with CASES[name](tmp_path) as (checkpoints, weight):
        side = Side(checkpoints[0], weight.finetuned, read.append, PART)
        for rows in ((0, 20), (20, 40), (140, 167)):
            side.block(rows, (0, 37))
            before = len(read)
            assert side.steps(rows, (0, 37)) is not None
            assert len(read) == before


def test_an_original_that_is_rounded_keeps_the_steps_of_its_dtype(tmp_path: Path) -> None:
    with CASES["rounded"](tmp_path) as (checkpoints, weight):
        tuned, base = in_memory(checkpoints, weight)
        whole = rounding_steps(read_encoded(checkpoints[0], weight.finetuned))
        stored = read_view(checkpoints[1], weight.original)
        assert grid_of(weight.finetuned, weight.original, weight.rounding) == "both"
    assert tuned is not None
    assert base is not None
    assert whole is not None
    assert torch.equal(tuned.values(0, 170 * 37), whole.reshape(-1))
    found, wanted = base.values(0, 170 * 37), of_floats(stored).reshape(-1)
    assert found.square().sum() == pytest.approx(float(wanted.square().sum()), rel=0.06)
    with CASES["scaled"](tmp_path) as (checkpoints, weight):
        assert in_memory(checkpoints, weight)[1] is None
        assert grid_of(weight.finetuned, weight.original, None) == "free"


def test_a_fine_tune_that_is_rounded_has_the_steps_of_the_original(tmp_path: Path) -> None:
    with CASES["fine-tuned side rounded"](tmp_path) as (checkpoints, weight):
        tuned, base = in_memory(checkpoints, weight)
        assert tuned is base is not None
        assert grid_of(weight.finetuned, weight.original, weight.rounding) == "shared"


def test_sides_of_plain_floats_have_the_steps_of_their_numbers(tmp_path: Path) -> None:
    case = rounded(plain((170, 37), torch.bfloat16, torch.float32))
    with case(tmp_path) as (checkpoints, weight):
        assert in_memory(checkpoints, weight) == (None, None)
        assert unread(checkpoints, weight).steps((0, 5), (0, 37)) == (None, None)
        assert grid_of(weight.finetuned, weight.original, weight.rounding) == "both"
        assert grid_of(weight.original, weight.finetuned, None) == "shared"
        assert grid_of(weight.finetuned, weight.original, None) == "free"


def test_rows_of_two_dtypes_have_the_steps_of_each(tmp_path: Path) -> None:
    with CASES["two dtypes"](tmp_path) as (checkpoints, weight):
        names = [piece.source.name for piece in weight.finetuned.pieces]
        first = MIXED[names[0]]
        rows = len(first) - 2, len(first) + 2
        steps = Side(checkpoints[0], weight.finetuned, lambda count: None, PART).steps(rows, (0, 37))
    assert steps is not None
    assert torch.equal(steps, torch.cat((of_floats(first[-2:]), of_floats(MIXED[names[1]][:2]))))
