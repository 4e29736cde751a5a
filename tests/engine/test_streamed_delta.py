"""A delta formed from its files in parts is the one that is formed whole, bit by bit, whatever the files store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from model_files import random_tensor, save_model

from engine import streamed_delta
from engine.checkpoints import Checkpoint, TensorView, open_checkpoint
from engine.checkpoints.tensors import read_view
from engine.decompose import delta as whole
from engine.decompose import workspace
from engine.devices.buffer_pool import HostBuffer
from engine.errors import Cancelled
from engine.models.blocks import Block
from engine.models.pairing import PairedWeight
from engine.steps import ThreadWork, stoppable
from engine.streamed_delta import UnreadPair

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "fp8": torch.float8_e4m3fn}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_delta, "PART_VALUES", 100)
    monkeypatch.setattr(workspace, "CHUNK_BYTES", 8 * 100)


@contextmanager
def opened(
    folder: Path,
    tuned: torch.Tensor,
    base: torch.Tensor,
    *,
    rows: tuple[int, int] | None = None,
    transposed: tuple[bool, bool] = (False, False),
    common_rows: int | None = None,
) -> Iterator[tuple[tuple[Checkpoint, Checkpoint], PairedWeight]]:
    """Both files with one tensor each, and the weight made of them; `rows` are taken of the fine-tuned side."""
    files = [save_model(folder / f"{name}.safetensors", {"w": side}) for name, side in (("a", tuned), ("b", base))]
    with open_checkpoint(files[0]) as left, open_checkpoint(files[1]) as right:
        views = []
        for side, turned in zip((left, right), transposed, strict=True):
            shape = side.tensors["w"].shape
            views.append(TensorView(side.tensors["w"], "other", shape[::-1] if turned else shape, None, turned))
        if rows is not None:
            views[0] = replace(views[0], rows=rows, shape=(rows[1] - rows[0], *views[0].shape[1:]))
        weight = PairedWeight("w", "matrix", "other", views[1].shape, views[0], views[1], Block(), common_rows)
        yield (left, right), weight


def unread(pair: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> UnreadPair:
    return UnreadPair(pair, weight, lambda count: None)


def expected(pair: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> whole.Delta:
    return whole.subtract(read_view(pair[0], weight.finetuned), read_view(pair[1], weight.original))


def assert_the_same(pair: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> None:
    theirs = expected(pair, weight)
    ours = unread(pair, weight).filled(HostBuffer(4 * weight.numel, pinned=False))
    assert torch.equal(ours.values, theirs.values)
    for one, other in ((ours.energy, theirs.energy), (ours.original_energy, theirs.original_energy)):
        assert one == pytest.approx(other, rel=1e-6)
    measured = unread(pair, weight).measured()
    assert (measured.energy, measured.original_energy) == (ours.energy, ours.original_energy)
    matrix = theirs.values.reshape(measured.pieces.shape)
    for place, piece in unread(pair, weight):
        assert torch.equal(piece, matrix[place] if measured.pieces.tall else matrix[:, place])


@pytest.mark.parametrize("shape", [(60, 7), (7, 60), (6, 4, 3, 3), (16, 16)])
@pytest.mark.parametrize("base", DTYPES)
@pytest.mark.parametrize("tuned", DTYPES)
def test_every_dtype_and_shape(tuned: str, base: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    sides = (random_tensor(*shape, seed=seed).to(DTYPES[dtype]) for seed, dtype in ((1, tuned), (2, base)))
    with opened(tmp_path, *sides) as (pair, weight):
        assert_the_same(pair, weight)


@pytest.mark.parametrize("transposed", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape", [(60, 7), (7, 60)])
def test_a_side_that_is_stored_the_other_way_round(
    shape: tuple[int, int], transposed: tuple[bool, bool], tmp_path: Path
) -> None:
    sides = [random_tensor(*shape, seed=seed).to(torch.bfloat16) for seed in (1, 2)]
    stored = [side.T.contiguous() if turned else side for side, turned in zip(sides, transposed, strict=True)]
    with opened(tmp_path, stored[0], stored[1], transposed=transposed) as (pair, weight):
        assert weight.shape == shape
        assert_the_same(pair, weight)
        assert torch.equal(expected(pair, weight).values, sides[0].float() - sides[1].float())


def test_a_part_of_a_fused_tensor(tmp_path: Path) -> None:
    fused, base = random_tensor(90, 8, seed=1).half(), random_tensor(30, 8, seed=2).half()
    with opened(tmp_path, fused, base, rows=(30, 60)) as (pair, weight):
        assert_the_same(pair, weight)
        assert torch.equal(expected(pair, weight).values, fused[30:60].float() - base.float())


@pytest.mark.parametrize(("ours", "theirs"), [(64, 60), (60, 64)])
def test_a_resized_vocabulary(ours: int, theirs: int, tmp_path: Path) -> None:
    tuned, base = random_tensor(ours, 8, seed=1).bfloat16(), random_tensor(theirs, 8, seed=2).bfloat16()
    with opened(tmp_path, tuned, base, common_rows=60) as (pair, weight):
        assert_the_same(pair, weight)


@pytest.mark.parametrize("scale", [1e-25, 1e18])
def test_norms_that_float32_cannot_hold_are_summed_in_float64(scale: float, tmp_path: Path) -> None:
    tuned, base = scale * random_tensor(60, 7, seed=1), scale * random_tensor(60, 7, seed=2)
    with opened(tmp_path, tuned, base) as (pair, weight):
        measured = unread(pair, weight).measured()
        assert measured.energy == pytest.approx(float((tuned.double() - base.double()).square().sum()), rel=1e-6)
        assert measured.original_energy == pytest.approx(float(base.double().square().sum()), rel=1e-6)


@pytest.mark.parametrize("broken", [0, 1])
def test_it_is_known_which_side_is_not_finite(broken: int, tmp_path: Path) -> None:
    sides = [random_tensor(60, 7, seed=seed) for seed in (1, 2)]
    sides[broken][41, 3] = float("nan")
    with opened(tmp_path, sides[0], sides[1]) as (pair, weight):
        assert unread(pair, weight).finetuned_is_finite() == (broken == 1)
        assert not torch.isfinite(torch.tensor(unread(pair, weight).measured().energy))


def test_every_byte_read_is_noted(tmp_path: Path) -> None:
    read: list[int] = []
    tuned, base = random_tensor(60, 7, seed=1).half(), random_tensor(60, 7, seed=2)
    with opened(tmp_path, tuned, base) as (pair, weight):
        UnreadPair(pair, weight, read.append).measured()
    assert sum(read) == 60 * 7 * (2 + 4)
    assert max(read) <= 4 * 100, "in parts"


def test_a_run_that_is_to_stop_is_heard_before_the_next_part(tmp_path: Path) -> None:
    read: list[int] = []
    with opened(tmp_path, random_tensor(60, 7, seed=1), random_tensor(60, 7, seed=2)) as (pair, weight):
        delta = UnreadPair(pair, weight, read.append)
        with stoppable(ThreadWork(lambda: len(read) >= 4)), pytest.raises(Cancelled):
            delta.measured()
    assert len(read) == 4
