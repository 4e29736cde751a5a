"""Each rank rule keeps what its formula says: the formulas of the parameter table, written again in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.decompose.rank_rules import RankPolicy

ADAPTIVE = ("adaptive_ratio", "adaptive_quantile", "adaptive_energy", "adaptive_fro")


def formula(lora_type: str, s: np.ndarray, p: float) -> int:
    """The table's formulas, before the result is clipped."""
    squares = s**2
    if lora_type == "adaptive_ratio":
        return sum(bool(value > p * s[0]) for value in s)
    if lora_type == "adaptive_quantile":
        return sum(bool(value < p * np.sum(s)) for value in np.cumsum(s))
    if lora_type == "adaptive_energy":
        return sum(bool(value < p * np.sum(squares)) for value in np.cumsum(squares)) + 1
    shares = np.cumsum(squares) / np.sum(squares)
    return next(k for k, share in enumerate(shares, start=1) if share >= p**2 or k == len(s))


def older_node(lora_type: str, s: torch.Tensor, p: float) -> int:
    """The lines of the older ComfyUI node that are right, on float64."""
    if lora_type == "adaptive_ratio":
        return int(torch.sum(s > torch.max(s) * p))
    if lora_type == "adaptive_quantile":
        return int(torch.sum(torch.cumsum(s, dim=0) < p * torch.sum(s)))
    squares = s.pow(2)
    if lora_type == "adaptive_energy":
        return int(torch.sum(torch.cumsum(squares, dim=0) < p * torch.sum(squares))) + 1
    return int(torch.searchsorted(torch.cumsum(squares, dim=0) / torch.sum(squares), p**2)) + 1


def chosen(
    lora_type: str, s: np.ndarray, p: float, *, rank: int = 4096, shape: tuple[int, int] | None = None
) -> tuple[int, bool]:
    policy = RankPolicy(lora_type, rank, p)  # type: ignore[arg-type]
    return policy.choose(s, shape or (len(s), len(s) + 3), energy=float(np.sum(s**2)), value_sum=float(np.sum(s)))


@st.composite
def spectra(draw: st.DrawFn) -> np.ndarray:
    values = draw(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=24))
    return np.array(sorted(values, reverse=True), dtype=np.float64)


def inside(p: float) -> bool:
    """p where sums are not equal to within rounding, so that the order of adding decides nothing."""
    return 1e-9 < p < 1 - 1e-9


def undecided(s: np.ndarray, p: float) -> bool:
    """Whether a sum meets its threshold to within rounding, so that the order of adding would decide."""
    sums = (np.cumsum(s) / np.sum(s) - p, np.cumsum(s**2) / np.sum(s**2) - p, np.cumsum(s**2) / np.sum(s**2) - p**2)
    return any(np.min(np.abs(distance)) < 1e-12 for distance in sums)


@pytest.mark.parametrize("lora_type", ADAPTIVE)
@given(s=spectra(), p=st.floats(0.0, 1.0), cap=st.integers(1, 30))
def test_an_adaptive_rank_is_its_formula_clipped_to_one_and_the_cap(
    lora_type: str, s: np.ndarray, p: float, cap: int
) -> None:
    assume(inside(p) and not undecided(s, p))
    rank, _ = chosen(lora_type, s, p, rank=cap)
    assert rank == max(1, min(formula(lora_type, s, p), cap, len(s)))


@pytest.mark.parametrize("lora_type", ADAPTIVE)
@given(s=spectra(), p=st.floats(0.0, 1.0), cap=st.integers(1, 30))
def test_a_layer_counts_as_capped_exactly_when_the_rule_asked_for_more(
    lora_type: str, s: np.ndarray, p: float, cap: int
) -> None:
    assume(inside(p) and not undecided(s, p))
    _, capped = chosen(lora_type, s, p, rank=cap)
    assert capped == (formula(lora_type, s, p) > cap)


@pytest.mark.parametrize("lora_type", ADAPTIVE)
@given(s=spectra(), p=st.floats(0.0, 1.0), cap=st.integers(1, 30))
def test_knowing_one_value_more_than_the_cap_decides_as_the_whole_spectrum_does(
    lora_type: str, s: np.ndarray, p: float, cap: int
) -> None:
    assume(inside(p) and not undecided(s, p))
    policy = RankPolicy(lora_type, cap, p)  # type: ignore[arg-type]
    totals = {"energy": float(np.sum(s**2)), "value_sum": float(np.sum(s))}
    shape = (len(s), len(s))
    assert policy.choose(s[: cap + 1], shape, **totals) == policy.choose(s, shape, **totals)


@pytest.mark.parametrize("p", [0.02, 0.15, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("lora_type", ADAPTIVE)
def test_the_rules_agree_with_the_older_node_where_that_is_right(lora_type: str, p: float) -> None:
    s = np.linalg.svd(np.random.default_rng(7).standard_normal((60, 90)), compute_uv=False)
    rank, _ = chosen(lora_type, s, p)
    assert rank == max(1, min(older_node(lora_type, torch.from_numpy(s), p), 60))


@pytest.mark.parametrize("lora_type", ["adaptive_quantile", "adaptive_energy", "adaptive_fro"])
@given(s=spectra(), cap=st.integers(1, 30))
def test_at_one_the_summing_rules_mean_the_cap(lora_type: str, s: np.ndarray, cap: int) -> None:
    assert chosen(lora_type, s, 1.0, rank=cap) == (min(cap, len(s)), cap < len(s))


@pytest.mark.parametrize("lora_type", ["adaptive_quantile", "adaptive_energy", "adaptive_fro"])
@given(s=spectra())
def test_at_zero_the_summing_rules_keep_one_value(lora_type: str, s: np.ndarray) -> None:
    assert chosen(lora_type, s, 0.0) == (1, False)


@given(s=spectra())
def test_at_one_the_ratio_rule_keeps_one_value_because_none_exceeds_the_largest(s: np.ndarray) -> None:
    assert chosen("adaptive_ratio", s, 1.0) == (1, False)


@pytest.mark.parametrize("true_rank", [1, 5, 17])
def test_at_zero_the_ratio_rule_keeps_the_numerical_rank(true_rank: int) -> None:
    rng = np.random.default_rng(true_rank)
    delta = (rng.standard_normal((40, true_rank)) @ rng.standard_normal((true_rank, 30))).astype(np.float32)
    s = np.linalg.svd(delta.astype(np.float64), compute_uv=False)
    assert chosen("adaptive_ratio", s, 0.0, shape=(40, 30)) == (np.linalg.matrix_rank(delta), False)


@pytest.mark.parametrize("lora_type", ["standard", "full"])
@given(rank=st.integers(1, 4096), out=st.integers(1, 3000), inputs=st.integers(1, 3000))
def test_a_fixed_rank_is_clipped_to_the_smaller_side_and_is_never_called_capped(
    lora_type: str, rank: int, out: int, inputs: int
) -> None:
    assert chosen(lora_type, np.ones(3), 0.15, rank=rank, shape=(out, inputs)) == (min(rank, out, inputs), False)


@given(s=spectra(), p=st.floats(0.0, 1.0), factor=st.floats(1e-3, 1e3))
def test_the_scale_of_a_delta_does_not_change_its_rank(s: np.ndarray, p: float, factor: float) -> None:
    assume(inside(p) and not undecided(s, p) and np.min(np.abs(s / s[0] - p)) > 1e-12)
    for lora_type in ADAPTIVE:
        assert chosen(lora_type, s * factor, p) == chosen(lora_type, s, p)
