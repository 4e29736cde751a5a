"""The steps of a side are the same in memory and read in parts; those of one that is rounded are the coarser side's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import random_tensor
from streamed_pairs import Case, in_pieces, plain, plain_rows, scaled

from engine.checkpoints import Checkpoint
from engine.checkpoints.encodings.step_sizes import of_floats
from engine.checkpoints.rounding import rounding_between
from engine.checkpoints.sides import AnySide, RoundedSide, Side
from engine.checkpoints.steps import StepsByRows, rounding_steps, steps_of_sides
from engine.checkpoints.tensors import read_encoded
from engine.models.pairing import PairedWeight
from engine.settings import RoundOriginal

PART = 1 << 10


def rounded(case: Case, choice: RoundOriginal = "auto") -> Case:
    """The same pair of files, compared as the setting says."""

    @contextmanager
    def compared_case(folder: Path) -> Iterator[Any]:
        with case(folder) as (checkpoints, weight):
            found = rounding_between(weight.finetuned, weight.original)
            assert found is not None
            yield checkpoints, replace(weight, rounding=found.under(choice))

    return compared_case


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


def sides_in_parts(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> tuple[AnySide, AnySide]:
    tuned, base = (
        Side(checkpoint, view, lambda count: None, PART)
        for checkpoint, view in zip(checkpoints, (weight.finetuned, weight.original), strict=True)
    )
    side = weight.rounding.rounded if weight.rounding else None
    return (
        RoundedSide(tuned, base) if side == "finetuned" else tuned,
        RoundedSide(base, tuned) if side == "original" else base,
    )


def in_memory(
    checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight
) -> tuple[StepsByRows | None, StepsByRows | None]:
    tuned, base = (
        read_encoded(model, view) for model, view in zip(checkpoints, (weight.finetuned, weight.original), strict=True)
    )
    return steps_of_sides((tuned, base), weight.rounding)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_steps_are_the_same_in_memory_and_in_parts(case: Case, tmp_path: Path) -> None:
    with case(tmp_path) as (checkpoints, weight):
        wholes, sides = in_memory(checkpoints, weight), sides_in_parts(checkpoints, weight)
        assert any(wholes)
        for whole, side in zip(wholes, sides, strict=True):
            for rows in ROWS:
                side.block(rows, (3, 37))
                part = side.steps(rows, (3, 37))
                assert (part is None) == (whole is None)
                if part is not None and whole is not None:
                    assert torch.equal(part, whole.rows(*rows)[:, 3:])


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


def test_a_side_that_is_rounded_has_the_steps_of_the_other_one(tmp_path: Path) -> None:
    with CASES["rounded"](tmp_path) as (checkpoints, weight):
        tuned, base = in_memory(checkpoints, weight)
        whole = rounding_steps(read_encoded(checkpoints[0], weight.finetuned))
    assert tuned is base
    assert tuned is not None
    assert whole is not None
    assert torch.equal(tuned.rows(0, 170), whole)
    with CASES["scaled"](tmp_path) as (checkpoints, weight):
        assert in_memory(checkpoints, weight)[1] is None


def test_a_side_rounded_to_a_dtype_has_the_steps_of_its_numbers(tmp_path: Path) -> None:
    case = rounded(plain((170, 37), torch.bfloat16, torch.float32))
    with case(tmp_path) as (checkpoints, weight):
        assert in_memory(checkpoints, weight) == (None, None)
        sides = sides_in_parts(checkpoints, weight)
        assert sides[1].block((0, 5), (0, 37)).dtype == torch.bfloat16
        assert sides[1].steps((0, 5), (0, 37)) is None


def test_rows_of_two_dtypes_have_the_steps_of_each(tmp_path: Path) -> None:
    with CASES["two dtypes"](tmp_path) as (checkpoints, weight):
        names = [piece.source.name for piece in weight.finetuned.pieces]
        first = MIXED[names[0]]
        rows = len(first) - 2, len(first) + 2
        steps = Side(checkpoints[0], weight.finetuned, lambda count: None, PART).steps(rows, (0, 37))
    assert steps is not None
    assert torch.equal(steps, torch.cat((of_floats(first[-2:]), of_floats(MIXED[names[1]][:2]))))
