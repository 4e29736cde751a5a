"""Alpha leaves the product what it is, strength multiplies it, and what is measured is the change itself."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from model_files import random_tensor
from spectra import delta_of

from engine.decompose.enlarged import enlarge
from engine.decompose.factors import Stored, restore_difference, restore_factors, store_difference, store_factors
from engine.decompose.method import StoringRule
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.stored_layer import Difference, Factors
from engine.decompose.truncated_svd import truncated_svd
from engine.errors import EngineError, ErrorCode
from engine.settings import ExtractionSettings

SHAPE = (48, 80)
PLAIN = StoringRule("fp32", clamp_quantile=False, clamp_max_loss=0.0)
EXACT = 3e-6  # of the norm: float32 factors, and rounding of their product
ALPHAS = {
    "its own": {},
    "one": {"alpha": 1.0},
    "five": {"alpha": 5.0},
    "large": {"alpha": 512.0},
    "small": {"alpha": 0.25},
    "in proportion": {"alpha": 6.0, "alpha_at": 16},
    "the rank": {"alpha_is_rank": True},
    "none": {"baked": True},
}


def stored(delta: torch.Tensor, rule: StoringRule, rank: int = 8) -> Stored:
    flat = delta.reshape(len(delta), -1)
    svd = truncated_svd(flat, RankPolicy("standard", rank, 0.15), algorithm="svd_linalg")
    total = float(delta.double().square().sum())
    return store_factors(flat, svd, tuple(delta.shape[2:]), rule, total=total, layer="the layer")


def factors(result: Stored) -> Factors:
    assert isinstance(result.layer, Factors)
    return result.layer


def loaded(result: Stored, rule: StoringRule) -> torch.Tensor:
    """What a program adds to the weight, float64: with the file's alpha, or without one where it has none."""
    layer = factors(result)
    scale = 1.0 if rule.baked else float(layer.alpha) / layer.up.shape[1]
    return scale * layer.up.double() @ layer.down.double()


def best(delta: torch.Tensor, rank: int = 8) -> torch.Tensor:
    """The best approximation of a rank, by LAPACK in float64."""
    u, s, vh = torch.linalg.svd(delta.double().reshape(len(delta), -1), full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ vh[:rank]


@pytest.mark.parametrize("strength", [1.0, 0.5, 3.0, -1.0, -0.05])
@pytest.mark.parametrize("named", ALPHAS.values(), ids=ALPHAS)
def test_whatever_the_alpha_the_product_is_the_best_one_times_the_strength(
    named: dict[str, object], strength: float
) -> None:
    delta = delta_of("fast decay", SHAPE)
    rule = replace(PLAIN, strength=strength, **named)
    result, wanted = stored(delta, rule), strength * best(delta)
    assert float(torch.linalg.norm(loaded(result, rule) - wanted)) <= EXACT * float(torch.linalg.norm(wanted))


@pytest.mark.parametrize("named", ALPHAS.values(), ids=ALPHAS)
def test_the_product_of_a_convolution_is_the_same_whatever_the_alpha(named: dict[str, object]) -> None:
    delta = random_tensor(12, 5, 3, 3, seed=1)
    rule = replace(PLAIN, strength=-2.0, **named)
    result, wanted = stored(delta, rule), -2.0 * best(delta)
    assert float(torch.linalg.norm(loaded(result, rule) - wanted)) <= EXACT * float(torch.linalg.norm(wanted))
    assert factors(result).parts["down"].shape == (8, 5, 3, 3)


@pytest.mark.parametrize(
    ("name", "alpha"), [("five", 5.0), ("the rank", 8.0), ("its own", 8.0), ("in proportion", 3.0)]
)
def test_the_alpha_in_the_file_is_the_one_that_was_named(name: str, alpha: float) -> None:
    assert float(factors(stored(delta_of("fast decay", SHAPE), replace(PLAIN, **ALPHAS[name]))).alpha) == alpha


@pytest.mark.parametrize("dtype", ["fp16", "bf16", "fp32"])
@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("strength", [1.0, 0.3, -4.0])
def test_the_energy_is_that_of_the_stored_product_divided_by_the_strength(
    dtype: str, strength: float, *, clamp: bool
) -> None:
    delta = delta_of("power law", SHAPE)
    rule = StoringRule(dtype, clamp, 1.0, strength=strength)  # type: ignore[arg-type]
    result = stored(delta, rule)
    left = delta.double() - loaded(result, rule) / strength
    kept = 1.0 - float(left.square().sum() / delta.double().square().sum())
    assert result.how.energy_retained == pytest.approx(kept, abs=1e-6)


@pytest.mark.parametrize("strength", [1.0, 0.02, -0.02])
def test_tiny_changes_lose_nothing_in_fp16_where_the_alpha_is_free(strength: float) -> None:
    delta = 1e-9 * delta_of("fast decay", SHAPE)
    rule = StoringRule("fp16", clamp_quantile=False, clamp_max_loss=0.0, strength=strength)
    result, wanted = stored(delta, rule), strength * best(delta)
    assert result.how.dtype == "F16"
    assert math.frexp(float(factors(result).alpha) / 8)[0] == 0.5, "a power of two times the rank"
    assert float(torch.linalg.norm(loaded(result, rule) - wanted)) <= 1e-3 * float(torch.linalg.norm(wanted))


@pytest.mark.parametrize("name", ["five", "the rank", "none"])
def test_where_the_alpha_is_fixed_tiny_changes_are_stored_in_float32(name: str) -> None:
    delta = 1e-9 * delta_of("fast decay", SHAPE)
    rule = replace(PLAIN, output_dtype="fp16", **ALPHAS[name])
    result, wanted = stored(delta, rule), best(delta)
    assert (result.how.dtype, result.how.fallback) == ("F32", True)
    assert float(torch.linalg.norm(loaded(result, rule) - wanted)) <= EXACT * float(torch.linalg.norm(wanted))


def test_a_tiny_alpha_that_makes_fp16_overflow_is_an_error_that_names_the_layer() -> None:
    with pytest.raises(EngineError) as caught:
        stored(1e9 * delta_of("fast decay", SHAPE), replace(PLAIN, output_dtype="fp16", alpha=0.001))
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.DTYPE_OVERFLOW, "the layer")


@pytest.mark.parametrize("strength", [0.5, -3.0])
def test_a_stored_difference_is_multiplied_and_measured_alike(strength: float) -> None:
    delta = random_tensor(64, seed=3)
    rule = StoringRule("bf16", clamp_quantile=True, clamp_max_loss=1e-5, strength=strength)
    total = float(delta.double().square().sum())
    result = store_difference(delta, rule, total=total, layer="a bias")
    assert isinstance(result.layer, Difference)
    values = result.layer.values
    assert torch.equal(values, (strength * delta).to(torch.bfloat16))
    left = delta.double() - values.double() / strength
    assert result.how.energy_retained == pytest.approx(1.0 - float(left.square().sum()) / total, abs=1e-7)
    again = restore_difference(delta, rule, result.how).layer
    assert isinstance(again, Difference)
    assert torch.equal(again.values, values)


@pytest.mark.parametrize("named", ALPHAS.values(), ids=ALPHAS)
def test_factors_come_again_bit_by_bit_from_the_decomposition(named: dict[str, object]) -> None:
    delta = delta_of("power law", SHAPE)
    rule = replace(StoringRule("fp16", clamp_quantile=True, clamp_max_loss=1.0, strength=-0.7), **named)
    svd = truncated_svd(delta, RankPolicy("standard", 8, 0.15), algorithm="svd_linalg")
    result = store_factors(delta, svd, (), rule, total=float(delta.double().square().sum()), layer="the layer")
    again = factors(restore_factors(svd, (), rule, result.how))
    assert all(torch.equal(one, again.parts[part]) for part, one in factors(result).parts.items())


def test_new_rows_of_an_enlarged_weight_have_the_strength_too() -> None:
    delta, new = delta_of("fast decay", SHAPE), random_tensor(2, SHAPE[1], seed=5)
    rule = replace(PLAIN, strength=-0.5)
    grown = enlarge(factors(stored(delta, rule)), new, SHAPE, (SHAPE[0] + 2, SHAPE[1]), rule)
    product = float(grown.alpha) / grown.up.shape[1] * grown.up.double() @ grown.down.double()
    assert float(torch.linalg.norm(product[SHAPE[0] :] + 0.5 * new.double())) <= 1e-5 * float(new.double().norm())
    wanted = -0.5 * best(delta)
    assert float(torch.linalg.norm(product[: SHAPE[0]] - wanted)) <= EXACT * float(torch.linalg.norm(wanted))


def test_the_settings_refuse_an_alpha_or_a_strength_that_leaves_nothing() -> None:
    for wrong in ({"strength": 0.0}, {"strength": -0.001}, {"strength": 17}, {"alpha": "0"}, {"alpha": "half"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ExtractionSettings(**wrong)  # type: ignore[arg-type]
    chosen = ExtractionSettings(alpha=16, strength=-0.25)  # type: ignore[arg-type]
    assert (chosen.alpha, chosen.strength) == ("16", -0.25)
