"""The exact solver is as good as LAPACK to working precision, the randomised one never worse than torch's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from spectra import SPECTRA, delta_of, lapack_values, optimum, product_error

from engine.decompose.decomposition import TruncatedSvd
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd

SHAPES = {
    "square": (72, 72),
    "wide": (40, 150),
    "tall": (150, 40),
    "1xn": (1, 64),
    "nx1": (64, 1),
    "1x1": (1, 1),
}
ITERATED_SHAPE = (270, 300)  # large enough for the iteration to be used at rank 8


def exact(delta: torch.Tensor, rank: int, lora_type: str = "standard", p: float = 0.15) -> TruncatedSvd:
    return truncated_svd(delta, RankPolicy(lora_type, rank, p), algorithm="svd_linalg")  # type: ignore[arg-type]


def randomised(delta: torch.Tensor, rank: int, *, iterations: int = 7, seed: int = 0) -> TruncatedSvd:
    policy = RankPolicy("standard", rank, 0.15)
    return truncated_svd(delta, policy, algorithm="svd_lowrank", iterations=iterations, seed=seed)


def error_of(delta: torch.Tensor, svd: TruncatedSvd) -> float:
    return product_error(delta, svd.u, svd.s, svd.vh)


def promised(delta: torch.Tensor, rank: int) -> float:
    return (1 + 1e-5) * optimum(delta, rank) + 1e-6 * float(torch.linalg.norm(delta.double()))


@pytest.mark.parametrize("rank", [1, 8, 64])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_exact_error_is_the_optimum_to_working_precision(spectrum: str, shape: tuple[int, int], rank: int) -> None:
    delta = delta_of(spectrum, shape)
    svd = exact(delta, rank)
    assert svd.rank == min(rank, *shape)
    assert error_of(delta, svd) <= promised(delta, svd.rank)


@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1e9, 1e20])
@pytest.mark.parametrize("algorithm", ["svd_linalg", "svd_lowrank"])
def test_the_scale_of_a_delta_costs_no_precision(algorithm: str, scale: float) -> None:
    delta = delta_of("fast decay", ITERATED_SHAPE, scale=scale)
    svd = truncated_svd(delta, RankPolicy("standard", 8, 0.15), algorithm=algorithm, iterations=7)  # type: ignore[arg-type]
    assert error_of(delta, svd) <= promised(delta, 8)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_singular_values_agree_with_lapack(shape: tuple[int, int]) -> None:
    delta = delta_of("power law", shape)
    svd = exact(delta, 16)
    np.testing.assert_allclose(svd.s.numpy(), lapack_values(delta)[: svd.rank], rtol=2e-6)


@pytest.mark.parametrize("algorithm", ["svd_linalg", "svd_lowrank"])
def test_both_singular_bases_are_orthonormal(algorithm: str) -> None:
    svd = truncated_svd(
        delta_of("power law", ITERATED_SHAPE),
        RankPolicy("standard", 8, 0.15),
        algorithm=algorithm,  # type: ignore[arg-type]
    )
    for basis in (svd.u.T, svd.vh):
        np.testing.assert_allclose((basis.double() @ basis.double().T).numpy(), np.eye(8), atol=5e-6)


@pytest.mark.parametrize("p", [0.02, 0.15, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("lora_type", ["adaptive_ratio", "adaptive_quantile", "adaptive_energy", "adaptive_fro"])
@pytest.mark.parametrize("spectrum", ["fast decay", "power law", "flat noise", "bf16 noise", "outliers"])
def test_an_adaptive_rank_is_its_formula_on_lapacks_singular_values(spectrum: str, lora_type: str, p: float) -> None:
    delta = delta_of(spectrum, (60, 90))
    s = lapack_values(delta)
    expected = {
        "adaptive_ratio": np.sum(s > p * s[0]),
        "adaptive_quantile": np.sum(np.cumsum(s) < p * np.sum(s)),
        "adaptive_energy": np.sum(np.cumsum(s**2) < p * np.sum(s**2)) + 1,
        "adaptive_fro": np.argmax(np.cumsum(s**2) / np.sum(s**2) >= p**2) + 1,
    }[lora_type]
    assert exact(delta, 4096, lora_type, p).rank == max(1, expected)


@pytest.mark.parametrize("p", [1e-7, 1e-5, 1e-3])
def test_a_tiny_ratio_still_counts_lapacks_singular_values(p: float) -> None:
    delta = delta_of("fast decay", (60, 90))
    s = lapack_values(delta)
    assert exact(delta, 4096, "adaptive_ratio", p).rank == np.sum(s > p * s[0])


@pytest.mark.parametrize("spectrum", ["exact low rank", "rank deficient"])
def test_ratio_zero_keeps_the_numerical_rank(spectrum: str) -> None:
    delta = delta_of(spectrum, (60, 90))
    assert exact(delta, 4096, "adaptive_ratio", 0.0).rank == np.linalg.matrix_rank(delta.numpy())


@pytest.mark.parametrize("rank", [4, 16])
@pytest.mark.parametrize("iterations", [1, 2, 7])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_randomised_solver_is_never_less_accurate_than_torchs(spectrum: str, iterations: int, rank: int) -> None:
    for seed in range(3):
        delta = delta_of(spectrum, ITERATED_SHAPE, seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            u, s, v = torch.svd_lowrank(delta, q=rank, niter=iterations)
        theirs = product_error(delta, u, s, v.T)
        ours = error_of(delta, randomised(delta, rank, iterations=iterations, seed=seed))
        assert ours <= theirs * (1 + 1e-6) + 1e-6 * float(torch.linalg.norm(delta)), seed


@pytest.mark.parametrize(
    ("lora_type", "p"),
    [("adaptive_ratio", 0.15), ("adaptive_quantile", 0.3), ("adaptive_energy", 0.9), ("adaptive_fro", 0.9)],
)
def test_the_randomised_solver_serves_the_adaptive_types(lora_type: str, p: float) -> None:
    delta = delta_of("fast decay", ITERATED_SHAPE)
    policy = RankPolicy(lora_type, 16, p)  # type: ignore[arg-type]
    svd = truncated_svd(delta, policy, algorithm="svd_lowrank", iterations=7)
    assert svd.solver == "krylov"
    assert svd.rank == exact(delta, 16, lora_type, p).rank


def test_a_seed_repeats_the_randomised_answer_whatever_the_global_generator_does() -> None:
    delta = delta_of("flat noise", ITERATED_SHAPE)
    first = randomised(delta, 8, iterations=1, seed=5)
    with torch.random.fork_rng():
        torch.manual_seed(1234)
        torch.randn(17)
        second = randomised(delta, 8, iterations=1, seed=5)
    assert torch.equal(first.u, second.u)


def test_another_seed_draws_another_test_matrix() -> None:
    delta = delta_of("flat noise", ITERATED_SHAPE)
    assert not torch.equal(randomised(delta, 8, iterations=1, seed=5).u, randomised(delta, 8, iterations=1, seed=6).u)


def test_the_randomised_solver_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    randomised(delta_of("flat noise", ITERATED_SHAPE), 8)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_randomised_solver_stops_early_once_converged() -> None:
    assert randomised(delta_of("exact low rank", ITERATED_SHAPE), 8, iterations=100).iterations < 10


@pytest.mark.parametrize("algorithm", ["svd_linalg", "svd_lowrank"])
def test_decomposing_does_not_change_the_delta(algorithm: str) -> None:
    delta = delta_of("power law", ITERATED_SHAPE)
    before = delta.clone()
    truncated_svd(delta, RankPolicy("standard", 8, 0.15), algorithm=algorithm)  # type: ignore[arg-type]
    assert torch.equal(delta, before)


Eigh = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
real_eigh: Eigh = torch.linalg.eigh


def _fails(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    raise torch.linalg.LinAlgError("did not converge")


def _random_vectors(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    values, _ = real_eigh(gram)
    generator = torch.Generator().manual_seed(0)
    return values, torch.linalg.qr(torch.randn(gram.shape, generator=generator, dtype=gram.dtype))[0]


def _noisy_vectors(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    values, vectors = real_eigh(gram)
    noise = torch.randn(gram.shape, generator=torch.Generator().manual_seed(0), dtype=gram.dtype)
    return values, torch.linalg.qr(vectors + 1e-4 * noise)[0]


def _one_vector_twice(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    values, vectors = real_eigh(gram)
    vectors = vectors.clone()
    vectors[:, -2] = vectors[:, -1]
    return values, vectors


def _nan_vectors(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    values, vectors = real_eigh(gram)
    return values, vectors * float("nan")


@pytest.mark.parametrize("broken", [_fails, _random_vectors, _noisy_vectors, _one_vector_twice, _nan_vectors])
@pytest.mark.parametrize("spectrum", ["fast decay", "power law", "flat noise"])
def test_lapack_answers_where_the_eigensolver_fails_or_lies(
    spectrum: str, broken: Eigh, monkeypatch: pytest.MonkeyPatch
) -> None:
    delta = delta_of(spectrum, (72, 100))
    monkeypatch.setattr("engine.decompose.lapack._eigh_in_place", broken)
    for rank in (8, 72):
        assert error_of(delta, exact(delta, rank)) <= promised(delta, rank)


@pytest.mark.parametrize("lora_type", ["adaptive_ratio", "adaptive_quantile", "adaptive_energy", "adaptive_fro"])
def test_the_fallback_chooses_the_same_ranks(lora_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    delta = delta_of("power law", (72, 100))
    expected = exact(delta, 4096, lora_type, 0.4).rank
    monkeypatch.setattr("engine.decompose.lapack._eigh_in_place", _fails)
    svd = exact(delta, 4096, lora_type, 0.4)
    assert (svd.rank, svd.solver) == (expected, "lapack")
