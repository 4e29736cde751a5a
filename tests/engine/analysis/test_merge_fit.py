"""The fit of a mean: against least squares of LAPACK, and against made parents with known rounding noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.analysis.merge_fit import copies, fit_by_steps, fit_merge, products, steps_of

Matrix = NDArray[np.float64]
COUNT = 40_000
STARTS = list(range(0, COUNT, 1000))


def family(members: int, *, change: float = 0.05, seed: int = 0) -> Matrix:
    """Models that each differ from one root by `change`, in a direction of its own; rows of unequal size."""
    generator = np.random.default_rng(seed)
    sizes = np.exp(generator.standard_normal(COUNT))
    root = sizes * generator.standard_normal(COUNT)
    return np.stack([root + change * sizes * generator.standard_normal(COUNT) for _ in range(members)])


def test_without_noise_the_coefficients_are_those_of_least_squares_with_sum_one() -> None:
    parents = family(3)
    model = np.array([0.5, 0.3, 0.2]) @ parents + 0.005 * np.random.default_rng(1).standard_normal(COUNT)
    fit = fit_merge(products(model, parents, STARTS), [0, 0, 0], COUNT)
    assert fit is not None
    others = np.linalg.lstsq((parents[1:] - parents[0]).T, model - parents[0], rcond=None)[0]
    wanted = [1 - others.sum(), *others]
    found = dict(zip(fit.members, fit.coefficients, strict=True))
    assert [found[at] for at in range(3)] == pytest.approx(wanted, abs=1e-9)
    residual = model - np.array(wanted) @ parents
    nearest = min(float(((model - parent) ** 2).sum()) for parent in parents)
    assert fit.explained == pytest.approx(1 - float((residual**2).sum()) / nearest, abs=1e-9)


def test_related_models_that_have_no_part_in_it_get_no_coefficient() -> None:
    parents = family(12)
    model = 0.7 * parents[3] + 0.3 * parents[8]
    fit = fit_merge(products(model, parents, STARTS), [0.0] * 12, COUNT)
    assert fit is not None
    assert fit.members == (3, 8)
    assert fit.is_merge


def test_a_fine_tune_among_siblings_is_no_merge() -> None:
    parents = family(8)
    model = parents[2] + 0.02 * np.random.default_rng(5).standard_normal(COUNT)
    fit = fit_merge(products(model, parents, STARTS), [0.0] * 8, COUNT)
    assert fit is not None
    assert not fit.is_merge
    assert fit.members[0] == 2


def test_noise_of_copies_is_taken_off_where_plain_least_squares_mixes_them() -> None:
    parents = family(2)
    sizes = np.abs(parents[0])
    noisy = parents + 0.06 * sizes * np.random.default_rng(2).uniform(-1, 1, parents.shape)
    noise = [float((0.06**2 * sizes**2).sum()) / 3] * 2
    model = parents[0] + 0.02 * sizes * np.random.default_rng(4).standard_normal(COUNT)
    mixed = fit_merge(products(model, noisy, STARTS), [0.0, 0.0], COUNT)
    assert mixed is not None
    assert mixed.coefficients[1] > 0.1  # the wrong twin: a share of a model that has none
    fit = fit_merge(products(model, noisy, STARTS), noise, COUNT)
    assert fit is not None
    assert fit.members == (0,)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_the_interval_of_noisy_parents_holds_the_true_share(share: float) -> None:
    parents = family(2, seed=7)
    sizes = np.abs(parents[0])
    noisy = parents + 0.03 * sizes * np.random.default_rng(3).uniform(-1, 1, parents.shape)
    noise = [float((0.03**2 * sizes**2).sum()) / 3] * 2
    model = share * parents[0] + (1 - share) * parents[1]
    fit = fit_merge(products(model, noisy, STARTS), noise, COUNT)
    assert fit is not None
    bounds = dict(zip(fit.members, fit.intervals, strict=True))
    assert bounds[0][0] <= share <= bounds[0][1]


def test_a_share_that_differs_between_weights_widens_the_interval() -> None:
    parents = family(2)
    even = 0.5 * parents[0] + 0.5 * parents[1]
    shares = np.repeat(np.linspace(0.2, 0.8, len(STARTS)), 1000)
    uneven = shares * parents[0] + (1 - shares) * parents[1]
    widths = []
    for model in (even, uneven):
        fit = fit_merge(products(model, parents, STARTS), [0, 0], COUNT)
        assert fit is not None
        widths.append(fit.intervals[0][1] - fit.intervals[0][0])
    assert widths[1] > 0.1 > 0.001 > widths[0]


def test_copies_are_told_from_siblings() -> None:
    parents = family(2)
    step = 0.002
    rounded = np.round(parents[0] / step) * step
    noise = [0.0, 0.0, COUNT * step**2 / 12]
    models = np.stack([parents[0], parents[1], rounded])
    grams = products(parents.mean(axis=0), models, STARTS)
    assert copies(grams, noise, ["bf16", "bf16", "q8"]) == [None, None, 0]


def test_two_siblings_in_one_coarse_form_are_no_copies() -> None:
    parents = family(2, change=0.01)
    step = 0.2
    rounded = np.round(parents / step) * step
    noise = [COUNT * step**2 / 12] * 2
    assert copies(products(parents[0], rounded, STARTS), noise, ["q4", "q4"]) == [None, None]


def test_a_model_that_is_a_candidate_has_nothing_to_explain() -> None:
    parents = family(3)
    assert fit_merge(products(parents[1], parents, STARTS), [0, 0, 0], COUNT) is None
    assert fit_merge(products(parents[0], parents[:1], STARTS), [0], COUNT) is None


def test_weights_by_steps_find_a_merge_whose_rounding_hides_it() -> None:
    """Parents that differ by less than a step of fp16 in most numbers."""
    parents = family(2, change=0.0005).astype(np.float16).astype(np.float64)
    model = (0.3 * parents[0] + 0.7 * parents[1]).astype(np.float16).astype(np.float64)
    steps = steps_of(model, "F16")
    assert steps is not None
    fit = fit_by_steps(model, parents, steps, STARTS)
    assert fit is not None
    assert fit.is_merge
    assert dict(zip(fit.members, fit.coefficients, strict=True))[0] == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(("dtype", "kind"), [("F16", np.float16), ("F32", np.float32)])
def test_steps_are_those_of_numpy(dtype: str, kind: type[np.floating]) -> None:
    values = np.concatenate([np.geomspace(1e-7, 1e3, 200), [0.0], -np.geomspace(1e-7, 1e3, 200)]).astype(kind)
    steps = steps_of(values.astype(np.float64), dtype)
    assert steps is not None
    np.testing.assert_array_equal(steps, np.abs(np.spacing(values)).astype(np.float64))


def test_what_is_no_plain_float_has_no_steps() -> None:
    assert steps_of(np.ones(3), "Q4_K") is None
