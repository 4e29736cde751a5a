"""Factors in fp8, against a table of the format's codes made here, LAPACK's least squares, and half precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from spectra import SPECTRA, delta_of

from engine.decompose.factors import Storing, restore_factors, store_difference, store_factors
from engine.decompose.fp8_factors import Fp8Factors, fit_fp8, fp8_at
from engine.decompose.method import StoringRule
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.stored_layer import Factors
from engine.decompose.truncated_svd import TruncatedSvd, truncated_svd
from engine.settings import ExtractionSettings

Array = NDArray[np.float64]


def code_values() -> Array:
    """What each of the 256 codes means: a sign, four bits of exponent with a bias of 7, three bits of fraction."""
    values = np.empty(256)
    for code in range(256):
        sign, exponent, fraction = -1.0 if code & 128 else 1.0, (code >> 3) & 15, code & 7
        size = fraction * 2.0**-9 if exponent == 0 else (8 + fraction) * 2.0 ** (exponent - 10)
        values[code] = sign * (math.nan if exponent == 15 and fraction == 7 else size)
    return values


CODES = code_values()
POSITIVE = CODES[:127]  # 0 to 448, ascending


def nearest(values: Array) -> Array:
    """The nearest number of the format, of two equally near ones that with an even code."""
    sizes = np.abs(values)
    above = np.clip(np.searchsorted(POSITIVE, sizes), 1, 126)
    low, high = POSITIVE[above - 1], POSITIVE[above]
    up = (sizes - low > high - sizes) | ((sizes - low == high - sizes) & (above % 2 == 0))
    return np.where(up, high, low) * np.where(np.signbit(values), -1.0, 1.0)


def decoded(factor: torch.Tensor) -> Array:
    """An fp8 tensor's values by the table, from its bytes."""
    return CODES[factor.contiguous().view(torch.uint8).numpy()]


def halves(rows: int, columns: int, rank: int, *, decay: float = 0.5, scale: float = 0.01) -> tuple[Array, Array]:
    """Balanced factors of a change whose singular values fall with a power of their number, in float64."""
    generator = np.random.default_rng(rows + columns + rank)
    u = np.linalg.qr(generator.standard_normal((rows, rank)))[0]
    v = np.linalg.qr(generator.standard_normal((columns, rank)))[0]
    root = np.sqrt(scale * np.arange(1, rank + 1) ** -decay)
    return u * root, (v * root).T


def single(*factors: Array) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(factor.astype(np.float32)) for factor in factors)


def product(factors: Fp8Factors) -> Array:
    return decoded(factors.up) @ decoded(factors.down) * 4.0**-factors.power


def relative_error(target: Array, found: Array) -> float:
    return float(np.linalg.norm(target - found) / np.linalg.norm(target))


def test_torch_reads_every_code_as_the_format_defines_it() -> None:
    codes = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).to(torch.float64).numpy()
    np.testing.assert_array_equal(codes, CODES)
    assert POSITIVE[-1] == 448.0
    assert np.isnan(CODES).sum() == 2


def test_torch_rounds_to_the_nearest_code_and_ties_to_even() -> None:
    between = (POSITIVE[:-1] + POSITIVE[1:]) / 2.0
    beside = np.concatenate([np.nextafter(np.float32(between), np.float32(side)) for side in (0.0, 1e4)])
    random = np.random.default_rng(0).standard_normal(20000) * 10.0 ** np.random.default_rng(1).uniform(-5, 2, 20000)
    values = np.concatenate([between, beside, POSITIVE, [2.0**-10, 2.0**-11, 463.9], np.clip(random, -448, 448)])
    values = np.float32(np.concatenate([values, -values]))
    rounded = torch.from_numpy(values).to(torch.float8_e4m3fn)
    np.testing.assert_array_equal(decoded(rounded), nearest(values.astype(np.float64)))


@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (30, 400), (1, 7), (7, 1)])
def test_the_last_factor_is_the_least_squares_fit_to_the_other_one_rounded(shape: tuple[int, int]) -> None:
    rank = min(6, *shape)
    up, down = halves(*shape, rank)
    found = fit_fp8(*single(up, down))
    assert found is not None
    p, q, target = decoded(found.up), decoded(found.down), up @ down * 4.0**found.power
    if shape[0] <= shape[1]:
        fit = np.linalg.lstsq(p, target, rcond=None)[0]
        last = q
    else:
        fit = np.linalg.lstsq(q.T, target.T, rcond=None)[0].T
        last = p
    step = np.maximum(np.abs(last) / 16.0, 2.0**-10)  # half the distance to the next number, at most
    assert np.all(np.abs(fit - last) <= step * (1 + 1e-4))
    assert np.mean(last == nearest(fit)) > 0.999  # and the few others are as near, to what float32 factors allow


def test_fitting_is_better_than_rounding_both_factors() -> None:
    up, down = halves(96, 128, 48)
    found = fit_fp8(*single(up, down))
    assert found is not None
    scale = 2.0**found.power
    plain = nearest(up * scale) @ nearest(down * scale) / scale**2
    once = nearest(np.linalg.lstsq(nearest(up * scale), up @ down * scale**2, rcond=None)[0])
    fitted_once = nearest(up * scale) @ once / scale**2
    errors = [relative_error(up @ down, other) for other in (product(found), fitted_once, plain)]
    assert errors == sorted(errors)
    assert errors[0] < 0.85 * errors[1] < 0.8 * errors[2]


@pytest.mark.parametrize("scale", [1e-36, 1e-20, 1e-8, 1e-2, 1.0, 1e4, 1e12, 1e30])
def test_changes_of_any_size_keep_as_much(scale: float) -> None:
    up, down = halves(64, 96, 8, scale=scale)
    found = fit_fp8(*single(up, down))
    assert found is not None
    assert relative_error(up @ down / scale, product(found) / scale) < 0.04
    for factor in (found.up, found.down):
        assert np.nanmax(np.abs(decoded(factor))) < 448.0
        assert not np.isnan(decoded(factor)).any()


def overflows(factors: Fp8Factors, activations: Array) -> bool:
    """A product in half precision: every sum of products is rounded to it, as a loader's matrix product gives it."""
    half = torch.from_numpy(activations).to(torch.float16)
    inner = half @ factors.down.to(torch.float16).T
    outer = (inner @ factors.up.to(torch.float16).T) * 4.0**-factors.power
    return not bool(torch.isfinite(outer).all())


@pytest.mark.parametrize("shape", [(64, 64), (3072, 3072), (64, 14336), (14336, 64), (320, 2880)])
@pytest.mark.parametrize("rank", [1, 16])
def test_activations_with_outliers_do_not_overflow_half_precision(shape: tuple[int, int], rank: int) -> None:
    up, down = halves(*shape, rank, scale=3.0)
    found = fit_fp8(*single(up, down))
    assert found is not None
    generator = np.random.default_rng(7)
    inputs = generator.standard_normal((32, shape[1]))
    worst = np.argsort(-np.linalg.norm(down, axis=0))[:4]
    inputs[8:16, worst] = 1000.0 * np.sign(down[0, worst])
    for row in inputs[16:24]:
        row[generator.choice(shape[1], 4, replace=False)] = 1000.0
    inputs[24:] = np.sign(down[0])
    assert not overflows(found, inputs)


def test_what_would_overflow_takes_a_smaller_scale() -> None:
    """Long inputs along the first row of `down` make sums that grow with their number, those of a short row do not."""
    short, long = (fit_fp8(*single(*halves(64, columns, 1, scale=1.0))) for columns in (64, 65536))
    assert short is not None
    assert long is not None
    numbers = [np.abs(decoded(factors.down)).mean() * np.abs(decoded(factors.up)).mean() for factors in (short, long)]
    assert numbers[1] < numbers[0] / 4.0
    larger = fp8_at(*single(*halves(64, 65536, 1, scale=1.0)), power=long.power + 4)
    assert overflows(larger, np.sign(decoded(larger.down)))


def test_both_factors_of_a_wide_layer_use_the_same_part_of_the_range() -> None:
    found = fit_fp8(*single(*halves(64, 64 * 256, 4)))
    assert found is not None
    sizes = [np.sqrt(np.mean(decoded(factor) ** 2)) for factor in (found.up, found.down)]
    assert 0.4 < sizes[0] / sizes[1] < 2.5
    assert found.below < 0.05


def test_the_share_of_numbers_below_the_smallest_normal_one_is_reported() -> None:
    up, down = halves(64, 96, 16, decay=8.0)
    found = fit_fp8(*single(up, down))
    assert found is not None
    scaled = np.concatenate([up.ravel(), down.ravel()]) * 2.0**found.power
    assert abs(found.below - np.mean(np.abs(scaled) < 2.0**-6)) < 1e-3
    assert found.below > 0.5


def test_columns_that_are_nothing_stay_nothing() -> None:
    up, down = halves(40, 50, 3)
    up, down = np.pad(up, ((0, 0), (0, 2))), np.pad(down, ((0, 2), (0, 0)))
    found = fit_fp8(*single(up, down))
    assert found is not None
    assert not decoded(found.up)[:, 3:].any()
    assert not decoded(found.down)[3:].any()
    assert relative_error(up @ down, product(found)) < 0.05


def test_columns_that_round_to_the_same_still_give_a_fit() -> None:
    """Clamped factors need not be orthogonal: a rank may then be left without a direction of its own."""
    generator = np.random.default_rng(3)
    one, other = np.sign(generator.standard_normal((2, 64))) * 0.1
    up = np.stack([one, one * (1.0 + 1e-4), other], axis=1)
    down = 0.1 * generator.standard_normal((3, 96))
    found = fit_fp8(*single(up, down))
    assert found is not None
    assert relative_error(up @ down, product(found)) < 0.06


def test_clamped_factors_stay_within_their_limit_and_the_fit_makes_up_for_it() -> None:
    up, down = halves(96, 128, 32)
    limit = float(np.quantile(np.concatenate([up.ravel(), down.ravel()]), 0.9))
    found = fit_fp8(*single(up, down), limit=limit)
    assert found is not None
    largest = max(np.abs(decoded(factor)).max() for factor in (found.up, found.down))
    assert largest <= nearest(np.array(limit * 2.0**found.power)) * (1 + 1e-6)
    clamped = np.clip(up, -limit, limit) @ np.clip(down, -limit, limit)
    assert relative_error(up @ down, product(found)) < 0.8 * relative_error(up @ down, clamped)


def rule(**settings: object) -> StoringRule:
    return StoringRule.of(ExtractionSettings(output_dtype="fp8_e4m3", **settings))  # type: ignore[arg-type]


def decomposed(delta: torch.Tensor, rank: int) -> TruncatedSvd:
    return truncated_svd(delta, RankPolicy("standard", rank, 0.15), algorithm="svd_linalg")


def energy_kept(delta: torch.Tensor, layer: Factors) -> float:
    """From the bytes alone, in float64: alpha / rank times the product."""
    change = float(layer.alpha) / layer.up.shape[1] * decoded(layer.up) @ decoded(layer.down)
    return 1.0 - float(np.sum((delta.double().numpy() - change) ** 2) / delta.double().square().sum())


@pytest.mark.parametrize("spectrum", sorted(SPECTRA))
@pytest.mark.parametrize("clamp", [0.0, 1.0])
def test_the_energy_that_is_reported_is_that_of_the_bytes(spectrum: str, clamp: float) -> None:
    delta = 0.01 * delta_of(spectrum, (48, 80))
    total = float(delta.double().square().sum())
    svd = decomposed(delta, 8)
    found = store_factors(delta, svd, (), rule(clamp_max_loss=clamp), total=total, layer="the layer")
    assert isinstance(found.layer, Factors)
    if found.how.dtype == "F8_E4M3":
        assert found.layer.up.dtype is found.layer.down.dtype is torch.float8_e4m3fn
        assert found.layer.alpha.dtype is torch.float32
        assert math.log2(float(found.layer.alpha) / svd.rank).is_integer()
        assert abs(found.how.energy_retained - energy_kept(delta, found.layer)) < 1e-6
    assert found.how.fallback is (found.how.dtype != "F8_E4M3")
    assert found.how.clamp == ("clamped" if clamp else found.how.clamp)


@pytest.mark.parametrize("clamp", [0.0, 1.0])
def test_without_the_delta_the_tensors_are_the_same_and_the_energy_a_lower_bound(clamp: float) -> None:
    delta = 0.01 * delta_of("power law", (64, 48))
    total, svd, how = float(delta.double().square().sum()), decomposed(delta, 12), rule(clamp_max_loss=clamp)
    first = store_factors(delta, svd, (), how, total=total, layer="the layer")
    again = store_factors(None, svd, (), how, total=total, layer="the layer", decided=first.how)
    restored = restore_factors(svd, (), how, Storing(**first.how.document()))
    assert isinstance(first.layer, Factors)
    assert first.how.dtype == "F8_E4M3"
    for other in (again, restored):
        assert isinstance(other.layer, Factors)
        for part in ("up", "down", "alpha"):
            ours, theirs = (layer.parts[part].float() for layer in (first.layer, other.layer))  # type: ignore[index]
            assert torch.equal(ours, theirs)
    assert again.how.energy_retained <= first.how.energy_retained + 1e-7
    assert again.how.energy_retained > first.how.energy_retained - (0.1 if clamp else 5e-3)


def test_other_threads_give_the_same_bytes() -> None:
    factors = single(*halves(300, 700, 64))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fit_fp8(*factors)
        torch.set_num_threads(2)
        two = fit_fp8(*factors)
    finally:
        torch.set_num_threads(threads)
    assert one is not None
    assert two is not None
    assert np.array_equal(decoded(one.up), decoded(two.up))
    assert np.array_equal(decoded(one.down), decoded(two.down))


def test_a_layer_that_eight_bits_would_damage_is_stored_in_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where activations leave no room for numbers of normal size."""
    monkeypatch.setattr("engine.decompose.fp8_factors.OUTLIER", 1e9)
    delta = 0.01 * delta_of("power law", (48, 80))
    total, svd = float(delta.double().square().sum()), decomposed(delta, 8)
    assert fit_fp8(svd.u, svd.vh) is None
    found = store_factors(delta, svd, (), rule(), total=total, layer="the layer")
    half = store_factors(delta, svd, (), StoringRule.of(ExtractionSettings()), total=total, layer="the layer")
    assert (found.how.dtype, found.how.fallback) == ("F16", True)
    assert found.layer is not None
    assert half.layer is not None
    restored = restore_factors(svd, (), rule(), found.how).layer
    assert restored is not None
    for part in ("up", "down", "alpha"):
        assert torch.equal(found.layer.parts[part], half.layer.parts[part])  # type: ignore[index]
        assert torch.equal(found.layer.parts[part], restored.parts[part])  # type: ignore[index]


def test_differences_of_an_fp8_file_are_fp16() -> None:
    bias = torch.linspace(-1.0, 1.0, 33)
    found = store_difference(bias, rule(), total=float(bias.square().sum()), layer="bias")
    assert found.layer is not None
    assert found.layer.parts["difference"].dtype is torch.float16
    assert (found.how.dtype, found.how.fallback) == ("F16", False)
    tiny = store_difference(1e-8 * bias, rule(), total=float((1e-8 * bias).square().sum()), layer="bias")
    assert (tiny.how.dtype, tiny.how.fallback) == ("F32", True)


def test_records_of_other_dtypes_are_as_earlier_versions_wrote_them() -> None:
    how = Storing("off", 0.0, 0, "F16", False, 0.9, 0.9, 0.3)
    assert "below_normal" not in how.document()
    assert Storing(**how.document()) == how
    fp8 = Storing("off", 0.0, 5, "F8_E4M3", False, 0.9, 0.9, 0.3, below_normal=0.25)
    assert Storing(**fp8.document()) == fp8
