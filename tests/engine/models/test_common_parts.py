"""Weights that were made larger or smaller are paired in the part that both models have; other models are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import Tensors, save_model

from engine.checkpoints import open_checkpoint
from engine.errors import EngineError, ErrorCode
from engine.events import NoticeCode
from engine.models.pairing import Pairing, pair, select
from engine.planning.plan import make_plan
from engine.results import LeaveOutReason
from engine.resume.reuse import find_measured
from engine.settings import ExtractionSettings, HardwareSettings


def paired(folder: Path, tuned: Tensors, base: Tensors) -> Pairing:
    with (
        open_checkpoint(save_model(folder / "tuned.safetensors", tuned)) as left,
        open_checkpoint(save_model(folder / "base.safetensors", base)) as right,
    ):
        return pair(left, right)


def model(depth: int = 4, width: int = 8, **other: tuple[int, ...]) -> Tensors:
    """Blocks of a width, and what else there is; dots in names are double underscores."""
    blocks = {f"blocks.{index}.attn.{part}.weight": (width, width) for index in range(depth) for part in "qkv"}
    shapes = blocks | {name.replace("__", "."): shape for name, shape in other.items()}
    return {name: torch.ones(shape) for name, shape in shapes.items()}


def weight_of(pairing: Pairing, ending: str):  # type: ignore[no-untyped-def]
    return next(weight for weight in pairing.weights if weight.name.endswith(ending))


@pytest.mark.parametrize(
    ("name", "tuned", "base", "grown", "lacking"),
    [
        ("conv_in__weight", (8, 9, 3, 3), (8, 4, 3, 3), {"inputs": 5}, {}),
        ("img_in__weight", (8, 384), (8, 64), {"inputs": 320}, {}),
        ("patch_embedding__weight", (8, 36, 1, 2, 2), (8, 16, 1, 2, 2), {"inputs": 20}, {}),
        ("patch_embedding__weight", (8, 16, 1, 2, 2), (8, 36, 1, 2, 2), {}, {"inputs": 20}),
        ("proj_out__weight", (12, 8), (6, 8), {"outputs": 6}, {}),
        ("proj_out__bias", (12,), (6,), {"outputs": 6}, {}),
        ("embed_tokens__weight", (512, 8), (500, 8), {"rows": 12}, {}),
        ("lm_head__weight", (500, 8), (512, 8), {}, {"rows": 12}),
        ("lm_head__bias", (512,), (500,), {"rows": 12}, {}),
    ],
)
def test_what_was_grown_or_cut_is_paired_in_its_common_part_and_counted(
    name: str,
    tuned: tuple[int, ...],
    base: tuple[int, ...],
    grown: dict[str, int],
    lacking: dict[str, int],
    tmp_path: Path,
) -> None:
    pairing = paired(tmp_path, model(**{name: tuned}), model(**{name: base}))
    weight = weight_of(pairing, name.replace("__", "."))
    assert weight.shape == base
    assert weight.common == tuple(map(min, tuned, base))
    assert (weight.grown, weight.lacking) == (grown, lacking)
    numbers = torch.ones(tuned)
    numbers[tuple(slice(0, size) for size in base)] = 0.0
    assert weight.grown_numel == int(numbers.sum())
    assert pairing.left_out == ()


def test_the_new_part_is_named_before_the_start_with_its_numbers(tmp_path: Path) -> None:
    pairing = paired(tmp_path, model(conv_in__weight=(8, 9, 3, 3)), model(conv_in__weight=(8, 4, 3, 3)))
    (left_out,) = select(pairing, ExtractionSettings()).left_out
    assert (left_out.name, left_out.reason) == ("diffusion_model.conv_in.weight", LeaveOutReason.GROWN_PART)
    assert left_out.detail == "5 new inputs"
    plan = make_plan(pairing, ExtractionSettings(), HardwareSettings(device="cpu"), tmp_path)
    notice = next(notice for notice in plan.notices if notice.code is NoticeCode.COMMON_PART_PAIRED)
    assert notice.name == "diffusion_model.conv_in.weight"
    assert (notice.data["grown"], notice.data["parameters"]) == ({"inputs": 5}, 8 * 5 * 9)


def left_out_of(pairing: Pairing) -> set[str]:
    return {item.name for item in pairing.left_out if item.reason is LeaveOutReason.SHAPE_DIFFERS}


def test_a_model_of_another_width_is_not_paired_in_parts(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        paired(tmp_path, model(width=8, conv_in__weight=(8, 4, 3, 3)), model(width=16, conv_in__weight=(16, 4, 3, 3)))
    assert caught.value.code is ErrorCode.NO_USABLE_WEIGHTS


def test_weights_that_differ_in_every_block_are_not_paired_in_parts(tmp_path: Path) -> None:
    names = [f"blocks.{index}.context.weight" for index in range(3)]
    sides = [model() | {name: torch.ones(8, columns) for name in names} for columns in (16, 12)]
    assert left_out_of(paired(tmp_path, *sides)) == {f"diffusion_model.{name}" for name in names}


def test_a_few_weights_may_differ_and_no_more(tmp_path: Path) -> None:
    for count, paired_in_part in ((4, True), (5, False)):
        names = [f"{letter * 3}.weight" for letter in "abcde"[:count]]
        sides = [model() | {name: torch.ones(8, columns) for name in names} for columns in (16, 12)]
        assert (left_out_of(paired(tmp_path, *sides)) == set()) is paired_in_part


@pytest.mark.parametrize(
    ("tuned", "base"),
    [((16, 16), (8, 8)), ((8, 4, 5, 5), (8, 4, 3, 3)), ((8, 4, 1, 1), (8, 4)), ((8, 8, 2), (8, 8, 4))],
)
def test_other_differences_of_shape_are_named(tuned: tuple[int, ...], base: tuple[int, ...], tmp_path: Path) -> None:
    pairing = paired(tmp_path, model(odd__weight=tuned), model(odd__weight=base))
    assert left_out_of(pairing) == {"diffusion_model.odd.weight"}


def test_a_vocabulary_of_another_width_is_not_paired_in_parts(tmp_path: Path) -> None:
    sides = [model(embed_tokens__weight=(500, columns)) for columns in (16, 8)]
    sides[0]["embed_tokens.weight"] = torch.ones(510, 16)
    assert left_out_of(paired(tmp_path, *sides)) == {"diffusion_model.embed_tokens.weight"}


def test_records_without_the_energy_of_what_has_grown_answer_only_where_nothing_has(tmp_path: Path) -> None:
    """The first version noted the common rows alone."""
    for tuned, base, answers in (((512, 8), (500, 8), False), ((500, 8), (512, 8), True)):
        pairing = paired(tmp_path, model(lm_head__weight=tuned), model(lm_head__weight=base))
        weight = weight_of(pairing, "lm_head.weight")
        before = {"what": "measured", "delta_energy": 2.0, "common_rows": 500, "shape": list(base)}
        entry: Any = type("Entry", (), {"fields": before})
        assert (find_measured([entry], weight) is not None) is answers
        now: Any = type(
            "Entry", (), {"fields": before | {"common_rows": None, "common": [500, 8], "grown_energy": 3.0}}
        )
        assert find_measured([now], weight) == (2.0, 3.0)
        other: Any = type("Entry", (), {"fields": before | {"common_rows": None, "common": [400, 8]}})
        assert find_measured([other], weight) is None


def test_a_record_of_a_whole_weight_never_answers_for_a_common_part(tmp_path: Path) -> None:
    pairing = paired(tmp_path, model(conv_in__weight=(8, 9, 3, 3)), model(conv_in__weight=(8, 4, 3, 3)))
    weight = weight_of(pairing, "conv_in.weight")
    entry: Any = type("Entry", (), {"fields": {"delta_energy": 2.0, "common_rows": None, "shape": [8, 4, 3, 3]}})
    assert find_measured([entry], weight) is None
