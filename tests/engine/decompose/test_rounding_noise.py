"""Rounding noise and the real change are told from stored numbers as float64 changes rounded by torch show them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch

from engine.decompose.noise_model import NoiseEstimate, model_noise
from engine.decompose.real_change import Counted, Kept, LayerNoise, fitted_noise, noise_figures, total_figures
from engine.decompose.rounding_noise import Grids, RoundingMeter, measure_rounding, ulp_of
from engine.results import ALL_NOISE, NoiseFigures

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
MANTISSA = {"bf16": 7, "fp16": 10, "fp32": 23}


@dataclass(frozen=True)
class Made:
    """A change in float64 and what is stored of it: |e|^2 / |delta|^2 is its true noise share."""

    tuned: torch.Tensor
    base: torch.Tensor
    change: torch.Tensor
    meter: RoundingMeter

    @property
    def delta(self) -> torch.Tensor:
        return self.tuned.to(torch.float64) - self.base.to(torch.float64)

    @property
    def errors(self) -> torch.Tensor:
        return self.delta - self.change

    @property
    def share(self) -> float:
        return float(self.errors.square().sum() / self.delta.square().sum())

    def estimate(self) -> NoiseEstimate:
        model = model_noise(measure_rounding(self.tuned, self.base, self.meter))
        assert model is not None
        return model.estimate


def spread(count: int, generator: torch.Generator) -> torch.Tensor:
    """Scales from 1 to 30, in any order."""
    scales = torch.exp(torch.linspace(0.0, math.log(30.0), count, dtype=torch.float64))
    return scales[torch.randperm(count, generator=generator)]


def made(
    shape: tuple[int, int],
    relative: float,
    *,
    tuned: str = "bf16",
    base: str = "bf16",
    rank: int = 0,
    uneven: bool = False,
    rounded: bool = False,
) -> Made:
    """A pair whose change has a rank, 0 for a full one, and whose original may be rounded like the other side."""
    generator = torch.Generator().manual_seed(7)
    rows, columns = shape
    weights = 0.02 * torch.randn(shape, generator=generator, dtype=torch.float64)
    change = torch.randn(shape, generator=generator, dtype=torch.float64)
    if rank:
        left = torch.randn(rows, rank, generator=generator, dtype=torch.float64)
        change = left @ torch.randn(rank, columns, generator=generator, dtype=torch.float64)
    if uneven:
        weights *= spread(rows, generator)[:, None] / 8
        change *= spread(rows, generator)[:, None] * spread(columns, generator)
    change *= relative * weights.norm() / change.norm()
    stored = weights.to(DTYPES[base])
    result = (stored.to(torch.float64) + change).to(DTYPES[tuned])
    more = MANTISSA[base] - MANTISSA[tuned]
    grids = Grids.SHARED if more <= 0 else Grids.BOTH if rounded else Grids.FREE
    meter = RoundingMeter(shape, grids, finer=2.0 ** -max(0, more))
    return Made(result, stored.to(DTYPES[tuned]) if rounded else stored, change, meter)


def figures(pair: Made, rank: int) -> tuple[NoiseFigures, float]:
    """What is said of the best factors of a rank, found by LAPACK in float64, and the share that they truly keep."""
    model = model_noise(measure_rounding(pair.tuned, pair.base, pair.meter))
    assert model is not None
    u, s, vh = torch.linalg.svd(pair.delta, full_matrices=False)
    kept = u[:, :rank] * s[:rank] @ vh[:rank]
    total = float(s.square().sum())
    before = float(s[:rank].square().sum()) / total
    rows, columns = pair.delta.shape
    said = noise_figures(
        fitted_noise(model, u[:, :rank], vh[:rank]),
        Kept(total, before, before, (rows, columns), s[:rank].tolist()),
    )
    real = 1.0 - float((pair.change - kept).square().sum() / pair.change.square().sum())
    return said, real


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_the_step_of_a_number_is_the_distance_to_the_next_one(dtype: torch.dtype) -> None:
    raw = torch.arange(0, 256 if dtype.itemsize == 1 else 65536, dtype=torch.int32)
    numbers = (raw.to(torch.uint8) if dtype.itemsize == 1 else raw.to(torch.int16)).view(dtype)
    values = numbers.to(torch.float32)
    positive = values[torch.isfinite(values) & (values >= 0.0)]
    ordered = positive.unique()
    steps = ulp_of(ordered[:-1].to(dtype))
    assert torch.equal(steps, ordered.diff())  # also of 0 and of subnormal numbers


@pytest.mark.parametrize(
    ("relative", "share"), [(0.01, 0.027), (0.003, 0.22), (0.0015, 0.57)], ids=["1 %", "0.3 %", "0.15 %"]
)
def test_the_share_of_noise_is_found_where_changes_are_lost_to_rounding(relative: float, share: float) -> None:
    pair = made((512, 512), relative)
    total = float(pair.delta.square().sum())
    assert pair.share == pytest.approx(share, rel=0.06)
    assert pair.estimate().energy / total == pytest.approx(pair.share, rel=0.06)


def test_neither_the_plain_sum_nor_that_over_changed_numbers_finds_it() -> None:
    pair = made((512, 512), 0.003)
    total = float(pair.delta.square().sum())
    squares = ulp_of(pair.tuned).to(torch.float64).square() / 12
    changed = float(squares[pair.delta != 0.0].sum()) / total
    plain = float(squares.sum()) / total
    assert changed < 0.5 * pair.share  # what stayed as it was lost its change
    assert plain > 1.2 * pair.share  # but no more than that
    assert abs(pair.estimate().energy / total - pair.share) < 0.02


@pytest.mark.parametrize("uneven", [False, True], ids=["even", "rows and columns 1:30"])
@pytest.mark.parametrize("rank", [0, 8], ids=["full", "rank 8"])
@pytest.mark.parametrize("relative", [0.01, 0.002])
@pytest.mark.parametrize("base", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("tuned", ["bf16", "fp16", "fp32"])
def test_the_estimate_is_right_for_every_pair_of_dtypes(
    tuned: str, base: str, relative: float, rank: int, uneven: bool
) -> None:
    pair = made((128, 192), relative, tuned=tuned, base=base, rank=rank, uneven=uneven)
    estimate, total = pair.estimate(), float(pair.delta.square().sum())
    assert abs(estimate.energy / total - pair.share) <= max(0.02, estimate.energy_error / total)
    cross = float((pair.change * pair.errors).sum())
    assert abs(estimate.cross - cross) / total <= max(0.02, estimate.cross_error / total)


@pytest.mark.parametrize("uneven", [False, True], ids=["even", "rows and columns 1:30"])
@pytest.mark.parametrize("relative", [0.01, 0.003])
def test_an_original_that_is_rounded_alike_brings_its_own_error(relative: float, uneven: bool) -> None:
    pair = made((256, 256), relative, base="fp32", rounded=True, uneven=uneven)
    total = float(pair.delta.square().sum())
    assert pair.estimate().energy / total == pytest.approx(pair.share, abs=0.02)


def test_both_sides_give_the_noise_of_an_original_that_was_rounded_before() -> None:
    told, made_of = made((512, 512), 0.003).estimate(), made((512, 512), 0.003, base="fp32", rounded=True)
    assert told.energy_both == pytest.approx(float(made_of.errors.square().sum()), rel=0.05)
    assert told.energy_both > 1.5 * told.energy


@pytest.mark.parametrize("uneven", [False, True], ids=["even", "rows and columns 1:30"])
@pytest.mark.parametrize("kept", [2, 8, 24], ids=["below", "at", "above"])
@pytest.mark.parametrize("relative", [0.003, 0.002, 0.0012])
@pytest.mark.parametrize("rank", [0, 8], ids=["full", "rank 8"])
def test_the_real_change_kept_is_within_its_bounds(relative: float, rank: int, kept: int, uneven: bool) -> None:
    pair = made((384, 512), relative, rank=rank, uneven=uneven)
    said, real = figures(pair, kept)
    assert said.real_energy_retained is not None
    assert said.real_energy_interval is not None
    low, high = said.real_energy_interval
    assert low <= real <= high
    if pair.share <= 0.25:
        assert said.real_energy_retained == pytest.approx(real, abs=0.025)


def test_a_small_change_that_is_kept_whole_is_not_called_a_part_of_it() -> None:
    pair = made((512, 512), 0.003, rank=32)
    said, real = figures(pair, 32)
    before = 1.0 - float(torch.linalg.svdvals(pair.delta)[32:].square().sum() / pair.delta.square().sum())
    assert before < 0.87
    assert said.real_energy_retained == pytest.approx(real, abs=0.02)
    assert real > 0.95


def test_pure_rounding_is_all_noise() -> None:
    pair = made((128, 128), 0.0004)
    said, _ = figures(pair, 4)
    assert said.all_noise
    assert said.real_energy_retained is None
    assert said.real_energy == 0.0


def test_a_difference_that_is_stored_keeps_all_but_the_noise() -> None:
    pair = made((256, 256), 0.003)
    total = float(pair.delta.square().sum())
    said = noise_figures(LayerNoise(pair.estimate()), Kept(total, 1.0, 1.0, (256, 256), None))
    real = 1.0 - float(pair.errors.square().sum() / pair.change.square().sum())
    assert said.real_energy_retained == pytest.approx(real, abs=0.02)


@pytest.mark.parametrize("part", [1, 1000, 70_001])
def test_parts_of_any_length_give_what_the_whole_gives(part: int) -> None:
    pair = made((300, 700) if part > 1 else (30, 40), 0.003)
    whole = measure_rounding(pair.tuned, pair.base, pair.meter)
    meter = RoundingMeter((len(pair.tuned), pair.tuned.shape[1]), Grids.SHARED)
    flat = pair.tuned.reshape(-1), pair.base.reshape(-1)
    for start in range(0, len(flat[0]), part):
        meter.add(start, flat[0][start : start + part], flat[1][start : start + part])
    parts = meter.sums()
    assert (parts.steps == whole.steps).all()
    assert (parts.changes == whole.changes).all()
    assert parts.squares == pytest.approx(whole.squares, rel=1e-5)  # float32 sums of other lengths


def test_a_large_weight_is_told_from_a_sample_as_well() -> None:
    pair = made((1024, 1536), 0.003, uneven=True)
    estimate, total = pair.estimate(), float(pair.delta.square().sum())
    assert estimate.energy / total == pytest.approx(pair.share, abs=0.01)


def test_what_is_not_finite_gives_no_estimate() -> None:
    pair = made((16, 16), 0.01)
    pair.tuned[3, 3] = float("inf")
    assert model_noise(measure_rounding(pair.tuned, pair.base, pair.meter)) is None


def test_a_record_gives_the_same_figures_again() -> None:
    pair = made((64, 96), 0.003, rank=4)
    model = model_noise(measure_rounding(pair.tuned, pair.base, pair.meter))
    assert model is not None
    u, _, vh = torch.linalg.svd(pair.delta, full_matrices=False)
    noise = fitted_noise(model, u[:, :8], vh[:8])
    assert LayerNoise.of(noise.document()) == noise
    assert LayerNoise.of(None) is None


def test_the_whole_is_weighed_by_the_real_change_and_counts_what_is_left_out() -> None:
    one = NoiseFigures(0.2, 0.4, 0.9, (0.85, 0.95), 0.8, 8.0)
    other = replace(one, noise_share=0.5, real_energy_retained=0.7, real_energy_interval=(0.5, 0.8), real_energy=4.0)
    whole = total_figures([Counted(10.0, one), Counted(10.0, other), Counted(10.0, one, kept=False)])
    assert whole is not None
    assert whole.real_energy_retained is not None
    assert whole.noise_share == pytest.approx(0.3)
    assert whole.real_energy_retained == pytest.approx((0.9 * 8.0 + 0.7 * 4.0) / 20.0)
    assert total_figures([Counted(10.0, one), Counted(1.0, None)]) is None
    noise = NoiseFigures(ALL_NOISE, 1.0, None, None, None, 0.0)
    said = total_figures([Counted(10.0, noise)])
    assert said is not None
    assert said.all_noise
