"""One decomposition serves smaller ranks too: its leading part is as good as one of that rank of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spectra import SPECTRA, delta_of, lapack_values, product_error

from engine.decompose.pieces import HeldPieces
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd

LARGEST = 64
SMALLER = (48, 16, 8, 5, 4, 1)
ITERATED, BY_GRAM, LONG = (270, 300), (72, 150), (40, 1000)


def values_and_promises(delta: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """LAPACK's optimum at every rank, and the largest error that is promised there."""
    s = lapack_values(delta)
    optimum = np.sqrt(np.append(np.cumsum((s**2)[::-1])[::-1], 0.0))
    return optimum, (1 + 1e-5) * optimum + 1e-6 * float(np.linalg.norm(s))


def steps(shape: tuple[int, int], values: list[float]) -> torch.Tensor:
    """A delta with these singular values."""
    rng = np.random.default_rng(7)
    left, _ = np.linalg.qr(rng.standard_normal((shape[0], len(values))))
    right, _ = np.linalg.qr(rng.standard_normal((shape[1], len(values))))
    return torch.from_numpy(((left * np.array(values)) @ right.T).astype(np.float32))


STEPPED = {
    "a gap after 8": [1.0] * 8 + [1e-2 * 0.999**n for n in range(260)],
    "a wide gap after 8": [1.0] * 8 + [1e-5] * 260,
    "values that halve": [2.0**-n for n in range(40)],
    "equal values across 8": [1.0] * 4 + [0.5] * 8 + [0.4 * 0.99**n for n in range(250)],
    "a slow decay": [0.995**n for n in range(270)],
}


@pytest.mark.parametrize("shape", [ITERATED, BY_GRAM, LONG], ids=["iterated", "by Gram", "long"])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_a_leading_part_keeps_the_promise_of_the_exact_solver_at_its_own_rank(
    spectrum: str, shape: tuple[int, int]
) -> None:
    delta = delta_of(spectrum, shape)
    svd = truncated_svd(delta, RankPolicy("standard", LARGEST, 0.15), algorithm="svd_linalg", smaller=SMALLER)
    optimum, promised = values_and_promises(delta)
    for rank in SMALLER:
        part = svd.leading(min(rank, svd.rank), capped=False)
        error = product_error(delta, part.u, part.s, part.vh)
        assert error <= promised[part.rank], (rank, error, optimum[part.rank])
        assert part.residual_energy == pytest.approx(
            error**2, rel=1e-4, abs=1e-6 * float(delta.double().square().sum())
        )


@pytest.mark.parametrize("values", STEPPED.values(), ids=STEPPED)
def test_a_gap_or_a_tie_at_a_smaller_rank_costs_nothing(values: list[float]) -> None:
    delta = steps(ITERATED, values)
    svd = truncated_svd(delta, RankPolicy("standard", LARGEST, 0.15), algorithm="svd_linalg", smaller=SMALLER)
    _, promised = values_and_promises(delta)
    for rank in SMALLER:
        part = svd.leading(min(rank, svd.rank), capped=False)
        assert product_error(delta, part.u, part.s, part.vh) <= promised[part.rank], rank


def test_a_leading_part_of_what_was_gone_over_in_pieces_keeps_the_promise() -> None:
    delta = delta_of("power law", BY_GRAM)
    svd = truncated_svd(HeldPieces(delta), RankPolicy("standard", 32, 0.15), algorithm="svd_linalg", smaller=(8, 2))
    _, promised = values_and_promises(delta)
    for rank in (8, 2):
        part = svd.leading(rank, capped=False)
        assert product_error(delta, part.u, part.s, part.vh) <= promised[rank]


@pytest.mark.parametrize("name", ["power law", "merged LoRA", "outliers", *STEPPED])
def test_a_leading_part_of_the_randomised_solver_is_never_less_accurate_than_torchs(name: str) -> None:
    delta = steps(ITERATED, STEPPED[name]) if name in STEPPED else delta_of(name, ITERATED)
    policy = RankPolicy("standard", LARGEST, 0.15)
    found = truncated_svd(delta, policy, algorithm="svd_lowrank", iterations=5, smaller=SMALLER)
    for rank in (16, 8, 4):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            u, s, v = torch.svd_lowrank(delta, q=rank, niter=5)
        part = found.leading(min(rank, found.rank), capped=False)
        ours, theirs = product_error(delta, part.u, part.s, part.vh), product_error(delta, u, s, v.T)
        assert ours <= theirs * (1 + 1e-6) + 1e-6 * float(torch.linalg.norm(delta)), rank


def test_a_leading_part_knows_the_largest_value_that_it_leaves() -> None:
    delta = delta_of("power law", ITERATED)
    svd = truncated_svd(delta, RankPolicy("standard", 32, 0.15), algorithm="svd_linalg", smaller=(8,))
    s = lapack_values(delta)
    assert svd.leading(8, capped=False).largest_left == pytest.approx(s[8], rel=1e-5)
    assert svd.leading(32, capped=False) is svd
    assert svd.leading(8, capped=True).capped
