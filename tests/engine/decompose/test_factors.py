"""What is stored is what is reported: clamping, scaling and rounding, measured on the stored tensors themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from model_files import random_tensor
from spectra import SPECTRA, delta_of

from engine.decompose.factors import Stored, signed_quantile, store_difference, store_factors
from engine.decompose.method import StoredPart, StoringRule
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.stored_layer import Difference
from engine.decompose.truncated_svd import truncated_svd
from engine.errors import EngineError, ErrorCode
from engine.settings import ExtractionSettings

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
SHAPE = (48, 80)


def total_of(delta: torch.Tensor) -> float:
    return float(delta.double().square().sum())


def stored(delta: torch.Tensor, kernel: tuple[int, ...] = (), **settings: object) -> Stored:
    chosen = ExtractionSettings(**{"rank": 8, **settings})  # type: ignore[arg-type]
    flat = delta.reshape(delta.shape[0], -1)
    svd = truncated_svd(flat, RankPolicy("standard", chosen.rank, 0.15), algorithm="svd_linalg")
    return store_factors(flat, svd, kernel, StoringRule.of(chosen), total=total_of(delta), layer="the layer")


def stored_difference(delta: torch.Tensor, **settings: object) -> Stored:
    rule = StoringRule.of(ExtractionSettings(**settings))  # type: ignore[arg-type]
    return store_difference(delta, rule, total=total_of(delta), layer="the layer")


def parts(result: Stored) -> Mapping[StoredPart, torch.Tensor]:
    assert result.layer is not None
    return result.layer.parts


def loaded(result: Stored) -> torch.Tensor:
    """The change that a consumer makes of the stored tensors, in float64."""
    if isinstance(result.layer, Difference):
        return parts(result)["difference"].double()
    up, down, alpha = (parts(result)[part].double() for part in ("up", "down", "alpha"))
    return alpha / down.shape[0] * (up.flatten(1) @ down.flatten(1))


def true_error(delta: torch.Tensor, result: Stored) -> float:
    difference = delta.double().reshape(delta.shape[0], -1) - loaded(result)
    return float(torch.linalg.norm(difference) / torch.linalg.norm(delta.double()))


@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_reported_error_is_that_of_the_stored_tensors(spectrum: str, dtype: str, clamp: bool) -> None:
    delta = delta_of(spectrum, SHAPE)
    result = stored(delta, output_dtype=dtype, clamp_quantile=clamp, clamp_max_loss=1.0)
    assert result.how.relative_error == pytest.approx(true_error(delta, result), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_energy_retained_is_one_minus_the_squared_error(dtype: str) -> None:
    delta = delta_of("power law", SHAPE)
    result = stored(delta, output_dtype=dtype)
    assert result.how.energy_retained == pytest.approx(1.0 - true_error(delta, result) ** 2, abs=1e-7)


def test_the_energy_before_is_the_optimum_of_the_rank() -> None:
    delta = delta_of("power law", SHAPE)
    s = np.linalg.svd(delta.double().numpy(), compute_uv=False)
    result = stored(delta, output_dtype="bf16", clamp_max_loss=1.0)
    assert result.how.energy_before == pytest.approx(np.sum(s[:8] ** 2) / np.sum(s**2), abs=1e-7)


def test_the_factors_are_balanced() -> None:
    result = stored(delta_of("power law", SHAPE), output_dtype="fp32", clamp_quantile=False)
    up, down = parts(result)["up"], parts(result)["down"]
    np.testing.assert_allclose(torch.linalg.norm(up, dim=0), torch.linalg.norm(down, dim=1), rtol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 101, 1000, 12345])
def test_the_quantile_of_the_values_is_numpys(size: int) -> None:
    values = random_tensor(size, seed=size)
    parts = (values[: size // 3], values[size // 3 :])
    assert signed_quantile(parts, 0.99) == pytest.approx(np.quantile(values.double().numpy(), 0.99), rel=1e-6)


def test_clamping_limits_both_factors_to_the_quantile_of_all_their_signed_values() -> None:
    delta = delta_of("outliers", SHAPE)
    free = stored(delta, output_dtype="fp32", clamp_quantile=False)
    clamped = stored(delta, output_dtype="fp32", clamp_max_loss=1.0)
    names = ("up", "down")
    limit = np.quantile(np.concatenate([parts(free)[name].double().numpy().ravel() for name in names]), 0.99)
    for name in names:
        expected = np.clip(parts(free)[name].numpy(), -limit, limit)
        np.testing.assert_allclose(parts(clamped)[name].numpy(), expected, rtol=1e-6)


def test_clamping_beyond_the_allowed_loss_keeps_the_factors_as_they_were() -> None:
    delta = delta_of("outliers", SHAPE)
    free = stored(delta, output_dtype="fp32", clamp_quantile=False)
    guarded = stored(delta, output_dtype="fp32", clamp_quantile=True)
    assert guarded.how.clamp == "kept"
    assert all(torch.equal(parts(guarded)[name], parts(free)[name]) for name in parts(free))


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("max_loss", [0.0, 1e-5, 1e-2, 0.3])
def test_clamping_never_costs_more_than_allowed(spectrum: str, max_loss: float) -> None:
    delta = delta_of(spectrum, SHAPE)
    result = stored(delta, output_dtype="fp32", clamp_max_loss=max_loss)
    assert result.how.energy_before - (1.0 - true_error(delta, result) ** 2) <= max_loss + 1e-6


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_a_limit_of_one_always_clamps(spectrum: str) -> None:
    assert stored(delta_of(spectrum, SHAPE), clamp_max_loss=1.0).how.clamp == "clamped"


def test_without_clamping_nothing_is_clamped() -> None:
    assert stored(delta_of("outliers", SHAPE), clamp_quantile=False).how.clamp == "off"


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_factors_have_the_dtype_asked_for(dtype: str) -> None:
    result = stored(delta_of("power law", SHAPE), output_dtype=dtype)
    assert parts(result)["up"].dtype == DTYPES[dtype]
    assert parts(result)["down"].dtype == DTYPES[dtype]


@pytest.mark.parametrize("scale", [1e-20, 1e-12, 1e-9, 1e-8, 1e-7, 1e-6, 1e-4])
def test_fp16_keeps_as_much_of_a_tiny_delta_as_of_a_large_one(scale: float) -> None:
    delta = delta_of("exact low rank", SHAPE, scale=scale)
    result = stored(delta, output_dtype="fp16")
    assert result.how.dtype == "F16"
    assert true_error(delta, result) < 6e-4  # eleven bits


@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1e-6, 1e-3, 1.0, 1e3])
def test_alpha_is_the_rank_times_a_power_of_two(scale: float) -> None:
    alpha = float(parts(stored(delta_of("power law", SHAPE, scale=scale)))["alpha"])
    assert math.frexp(alpha / 8)[0] == 0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_alpha_is_the_rank_itself_for_an_ordinary_delta(dtype: str) -> None:
    assert float(parts(stored(delta_of("flat noise", SHAPE, scale=0.01), output_dtype=dtype))["alpha"]) == 8.0


def test_a_factor_that_overflows_fp16_is_an_error_that_names_the_layer() -> None:
    with pytest.raises(EngineError) as caught:
        stored(delta_of("exact low rank", SHAPE, scale=1e13), output_dtype="fp16")
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.DTYPE_OVERFLOW, "the layer")


def test_a_difference_that_overflows_fp16_is_an_error_that_names_the_layer() -> None:
    with pytest.raises(EngineError) as caught:
        stored_difference(torch.tensor([1.0, 70000.0]), output_dtype="fp16")
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.DTYPE_OVERFLOW, "the layer")


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_bf16_and_fp32_hold_what_fp16_cannot(dtype: str) -> None:
    delta = delta_of("exact low rank", SHAPE, scale=1e13)
    assert true_error(delta, stored(delta, output_dtype=dtype)) < 4e-3


@pytest.mark.parametrize("scale", [1e-9, 1e-7, 1e-6])
def test_a_tiny_difference_is_stored_in_float32_and_said_to_be(scale: float) -> None:
    delta = scale * random_tensor(500, seed=1)
    result = stored_difference(delta, output_dtype="fp16")
    assert (result.how.dtype, result.how.fallback) == ("F32", True)
    assert torch.equal(parts(result)["difference"], delta)


def test_an_ordinary_difference_stays_in_fp16() -> None:
    result = stored_difference(0.01 * random_tensor(500, seed=1), output_dtype="fp16")
    assert (result.how.dtype, result.how.fallback) == ("F16", False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_error_of_a_difference_is_that_of_its_rounding(dtype: str) -> None:
    delta = random_tensor(500, seed=1)
    result = stored_difference(delta, output_dtype=dtype)
    expected = torch.linalg.norm(delta.double() - delta.to(DTYPES[dtype]).double()) / torch.linalg.norm(delta.double())
    assert result.how.relative_error == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("kernel", [(3,), (3, 3), (1, 1), (2, 3, 2)])
def test_the_factors_of_a_convolution_keep_its_kernel_in_the_lower_one(kernel: tuple[int, ...]) -> None:
    result = stored(random_tensor(12, 10, *kernel, seed=3), kernel, rank=4)
    assert parts(result)["up"].shape == (12, 4, *(1,) * len(kernel))
    assert parts(result)["down"].shape == (4, 10, *kernel)


def test_everything_stored_is_contiguous() -> None:
    for spectrum_shape in ((48, 80), (80, 48)):
        result = stored(delta_of("power law", spectrum_shape))
        assert all(tensor.is_contiguous() for tensor in parts(result).values())
