"""A weight whose sides are left in their files gives the same delta, and the same LoRA, as one that is held."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_files import random_tensor
from spectra import delta_of, optimum, product_error
from streamed_pairs import (
    Case,
    filled,
    fused,
    grown,
    held,
    in_pieces,
    opened,
    plain,
    plain_rows,
    resized,
    scaled,
    sides_of,
    small_parts,  # noqa: F401 - a fixture for every test here
    turned,
    unread,
)
from torch_memory import peak_bytes

from engine.checkpoints.sides import as_matrix
from engine.decompose.delta import Delta
from engine.decompose.method import LayerMethod
from engine.layer import LayerOutcome, work_on
from engine.planning.costs import need, need_within
from engine.settings import ExtractionSettings
from engine.streamed_delta import MeasuredDelta, UnreadPair

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn]

CASES: dict[str, Case] = {
    **{f"{str(dtype)[6:]} and bf16": plain((170, 37), dtype, torch.bfloat16) for dtype in DTYPES},
    "wide": plain((37, 170), torch.float32, torch.float16),
    "convolution": plain((24, 9, 3, 3), torch.float16, torch.float16),
    "bias": plain((5000,), torch.float32, torch.float32),
    "very small": plain((170, 37), torch.float32, torch.float32, scale=1e-25),
    "very large": plain((170, 37), torch.float32, torch.float32, scale=1e25),
    "larger vocabulary": resized((190, 170), 37),
    "smaller vocabulary": resized((130, 170), 37),
    "far smaller vocabulary": resized((3, 400), 37),
    "more inputs": grown((170, 53), (170, 37)),
    "fewer inputs": grown((170, 29), (170, 37)),
    "more of both": grown((190, 53), (170, 37)),
    "more outputs, fewer inputs": grown((190, 29), (170, 37)),
    "a convolution with more inputs": grown((24, 9, 3, 3), (24, 4, 3, 3)),
    "a convolution with more outputs": grown((33, 9, 3, 3), (24, 9, 3, 3)),
    "a longer bias": grown((5012,), (5000,)),
    "turned fine-tuned side": turned((True, False)),
    "turned original": turned((False, True)),
    "both turned": turned((True, True)),
    "wide and turned": turned((True, False), (37, 170)),
    "rows of a fused tensor": fused(),
    "joined of two": in_pieces(
        {"a.weight": random_tensor(80, 37, seed=3).half()} | plain_rows(90, 37, torch.float16), plain_rows(170, 37)
    ),
    "joined of two dtypes, one turned": in_pieces(
        {"a.weight": random_tensor(37, 80, seed=3)} | plain_rows(90, 37), plain_rows(170, 37), turned=("a.weight",)
    ),
    "scaled fp8": in_pieces(scaled(170, 37, seed=4), plain_rows(170, 37)),
    "both in scaled fp8, by row": in_pieces(scaled(170, 37, seed=4, by_row=True), scaled(170, 37, seed=5)),
    "wide in scaled fp8": in_pieces(scaled(37, 170, seed=4, by_row=True), plain_rows(37, 170)),
    "turned in scaled fp8": in_pieces(scaled(37, 170, seed=4), plain_rows(170, 37), turned=("a.weight",)),
    "scaled fp8 joined with plain rows": in_pieces(scaled(100, 37, seed=4) | plain_rows(70, 37), plain_rows(170, 37)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_delta_filled_from_the_files_is_the_same_bit_by_bit(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        whole, parts = held(checkpoints, weight), filled(checkpoints, weight)
        assert torch.equal(parts.values, whole.values)
        assert parts.values.shape == whole.values.shape == weight.shape
        assert parts.grown_energy == whole.grown_energy
        assert norms_of(parts) == same_norms(whole)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_part_of_both_sides_gives_that_part_of_the_delta(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        whole = held(checkpoints, weight).values
        matrix = whole.reshape(whole.shape[0], -1)
        rows, columns = (min(sizes) for sizes in zip(matrix.shape, as_matrix(weight.finetuned.shape), strict=True))
        pair = unread(checkpoints, weight)
        for (top, bottom), (left, right) in (((0, 1), (0, 1)), ((rows // 2, rows), (columns // 3, columns))):
            tuned, base = pair.sides((top, bottom), (left, right))
            assert torch.equal(tuned.float() - base.float(), matrix[top:bottom, left:right])


def norms_of(delta: Delta | MeasuredDelta) -> tuple[float, float]:
    return delta.energy, delta.original_energy


def same_norms(delta: Delta) -> object:
    """Its norms, exactly; to float64's digits where float32 has lost them and they were summed once more."""
    extreme = not 1e-25 < delta.original_energy < 1e30
    return pytest.approx(norms_of(delta), rel=1e-12, abs=0) if extreme else norms_of(delta)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_pieces_from_the_files_are_those_of_the_delta(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        whole, measured = held(checkpoints, weight), unread(checkpoints, weight).measured()
        matrix = whole.values.reshape(whole.values.shape[0], -1)
        pieces = measured.pieces
        assert pieces.shape == matrix.shape
        assert norms_of(measured) == same_norms(whole)
        for place, piece in pieces:
            assert torch.equal(piece, matrix[place] if pieces.tall else matrix[:, place])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_norms_are_those_that_numpy_finds(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        tuned, base = (side.to(torch.float32) for side in sides_of(checkpoints, weight))
        exact = base.double().numpy().copy()
        common = tuple(slice(0, min(sizes)) for sizes in zip(tuned.shape, base.shape, strict=True))
        delta = np.zeros_like(exact)
        delta[common] = (tuned[common] - base[common]).double().numpy()
        beyond = tuned.double().numpy().copy()
        beyond[common] = 0.0
        measured = unread(checkpoints, weight).measured()
        assert measured.grown_energy == pytest.approx(float(np.square(beyond).sum()), rel=1e-9, abs=0)
        assert measured.energy == pytest.approx(float(np.square(delta).sum()), rel=1e-6)
        assert measured.original_energy == pytest.approx(float(np.square(exact).sum()), rel=1e-6)


def outcome(case: Case, folder: Path, way: str, **chosen: Any) -> LayerOutcome:
    method = LayerMethod.of(ExtractionSettings(**{"rank": 6, "output_dtype": "fp32", **chosen}))
    with case(folder) as (checkpoints, weight):
        if way == "whole":
            return work_on(weight, held(checkpoints, weight), method)
        if way == "filled":
            return work_on(weight, filled(checkpoints, weight), method)
        return work_on(weight, unread(checkpoints, weight).measured(), method)


def assert_same(one: LayerOutcome, other: LayerOutcome) -> None:
    ours, theirs = (item.stored[0].layer for item in (one, other))
    assert ours is not None
    assert theirs is not None
    assert ours.parts.keys() == theirs.parts.keys()
    for part, tensor in ours.parts.items():
        assert torch.equal(tensor, theirs.parts[part]), part
    assert one.row == other.row


FACTORED = [
    name for name in CASES if not any(part in name for part in ("bias", "convolution", "very small", "very large"))
]
RULES = [
    ("standard", 0.15),
    ("adaptive_ratio", 0.3),
    ("adaptive_quantile", 0.2),
    ("adaptive_energy", 0.5),
    ("adaptive_fro", 0.6),
]


@pytest.mark.parametrize("name", FACTORED)
def test_a_layer_worked_on_in_pieces_is_stored_the_same_whichever_way_it_is_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.decompose.pieces.worked_in_pieces", lambda shape: True)
    whole, *others = (outcome(CASES[name], tmp_path, way) for way in ("whole", "filled", "pieces"))
    for other in others:
        assert_same(whole, other)


@pytest.mark.parametrize(("lora_type", "p"), RULES)
@pytest.mark.parametrize("algorithm", ["svd_linalg", "svd_lowrank"])
@pytest.mark.parametrize("clamp", [True, False])
def test_every_rule_stores_the_same_from_files_that_are_read_in_parts(
    tmp_path: Path, lora_type: str, p: float, algorithm: str, clamp: bool
) -> None:
    chosen = {"lora_type": lora_type, "adaptive_param": p, "algorithm": algorithm, "clamp_quantile": clamp}
    case = CASES["bfloat16 and bf16"]
    whole = outcome(case, tmp_path, "whole", **chosen, rank=20)
    assert_same(whole, outcome(case, tmp_path, "filled", **chosen, rank=20))
    assert whole.row is not None


@pytest.mark.parametrize("spectrum", ["power law", "merged LoRA", "flat noise", "exact low rank"])
@pytest.mark.parametrize("shape", [(410, 50), (50, 410), (90, 90)])
def test_a_layer_in_pieces_only_for_want_of_memory_keeps_the_promise(
    tmp_path: Path, shape: tuple[int, int], spectrum: str
) -> None:
    delta = delta_of(spectrum, shape)
    with opened(tmp_path, delta, torch.zeros(shape)) as (checkpoints, weight):
        method = LayerMethod.of(ExtractionSettings(rank=12, output_dtype="fp32", clamp_quantile=False))
        done = work_on(weight, unread(checkpoints, weight).measured(), method)
    assert done.svd is not None
    assert done.row is not None
    error, norm = product_error(delta, done.svd.u, done.svd.s, done.svd.vh), float(delta.double().norm())
    assert error <= (1 + 1e-5) * optimum(delta, 12) + 1e-6 * norm
    assert done.row.relative_error == pytest.approx(error / norm, rel=1e-3, abs=2e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("shape", [(170, 37), (37, 170)])
def test_a_value_that_is_not_finite_is_found_in_its_own_file(
    tmp_path: Path, shape: tuple[int, int], side: int, bad: float
) -> None:
    sides = [random_tensor(*shape, seed=seed) for seed in (0, 1)]
    sides[side][shape[0] - 1, shape[1] - 2] = bad
    with opened(tmp_path, *sides) as (checkpoints, weight):
        pair = unread(checkpoints, weight)
        assert not math.isfinite(pair.measured().energy)
        assert not math.isfinite(filled(checkpoints, weight).energy)
        assert pair.broken_file() == checkpoints[side].path


def test_every_byte_that_is_read_is_counted(tmp_path: Path) -> None:
    counted: list[int] = []
    with CASES["float16 and bf16"](tmp_path) as (checkpoints, weight):
        pair = UnreadPair(checkpoints, weight, counted.append)
        pair.measured()
        assert sum(counted) == 2 * 2 * 170 * 37
        for _ in pair:
            pass
        assert sum(counted) == 2 * 2 * 2 * 170 * 37
        assert pair.read_seconds > 0.0
        pair.free()


@pytest.mark.parametrize(("shape", "rank"), [((6000, 96), 48), ((96, 6000), 8)])
@pytest.mark.parametrize("way", ["filled", "pieces"])
def test_a_layer_read_in_parts_takes_no_more_than_was_planned(
    tmp_path: Path, way: str, shape: tuple[int, int], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("engine.planning.costs", "engine.streamed_delta"):
        monkeypatch.setattr(f"{module}.PART_VALUES", 1 << 14)
    monkeypatch.setattr("engine.decompose.delta._CHUNK", 1 << 13)
    for module in ("workspace", "gram", "decomposition", "factors"):
        monkeypatch.setattr(f"engine.decompose.{module}.CHUNK_BYTES", 1 << 18)
    monkeypatch.setattr("engine.planning.costs.CHUNK_BYTES", 1 << 18)
    method = LayerMethod.of(ExtractionSettings(rank=rank))
    with plain(shape, torch.bfloat16, torch.float16)(tmp_path) as (checkpoints, weight):
        whole = need(weight, method, host=True).total
        planned = [need_within(weight, method, whole - less, measured=False) for less in (1, whole)]
        stated = next(item.total for item in planned if item.way == way)

        def work() -> LayerOutcome:
            if way == "filled":
                return work_on(weight, filled(checkpoints, weight), method)
            return work_on(weight, unread(checkpoints, weight).measured(), method)

        assert peak_bytes(work) <= stated < whole
