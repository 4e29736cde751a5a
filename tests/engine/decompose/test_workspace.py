"""The memory that a decomposition is said to take is what it takes at most, and within the limits promised."""

from __future__ import annotations

import pytest
import torch
from spectra import delta_of
from torch_memory import peak_bytes

from engine.decompose.gram import solve_gram, solve_lapack
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd
from engine.decompose.workspace import gram_bytes, whole_spectrum, workspace_bytes

SHAPES = [(640, 640), (512, 1536), (1400, 480)]


def bytes_of(delta: torch.Tensor) -> int:
    return 4 * delta.numel()


@pytest.mark.parametrize("algorithm", ["svd_linalg", "svd_lowrank"])
@pytest.mark.parametrize("rank", [8, 64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spectrum", ["power law", "flat noise", "bf16 noise", "exact low rank", "merged LoRA"])
def test_the_iteration_stays_within_what_it_states(
    spectrum: str, shape: tuple[int, int], rank: int, algorithm: str
) -> None:
    delta, policy = delta_of(spectrum, shape), RankPolicy("standard", rank, 0.15)
    stated = workspace_bytes(shape, policy, algorithm)  # type: ignore[arg-type]
    solvers: list[str] = []

    def work() -> None:
        solvers.append(truncated_svd(delta, policy, algorithm=algorithm).solver)  # type: ignore[arg-type]

    used = peak_bytes(work)
    if solvers == ["gram"]:  # the iteration gave up, and the other solver followed it
        stated = max(stated, gram_bytes(shape, policy))
    else:
        assert used <= 4 * bytes_of(delta)
    assert used <= stated


@pytest.mark.parametrize("share", [0.0125, 0.05, 0.1])
@pytest.mark.parametrize("shape", [(1280, 1280), (1280, 10240), (3072, 3072), (5120, 13824)])
def test_the_iteration_states_at_most_four_times_the_delta(shape: tuple[int, int], share: float) -> None:
    rank = int(share * shape[0])
    policy = RankPolicy("standard", rank, 0.15)
    assert not whole_spectrum(shape, policy, "svd_linalg")
    assert workspace_bytes(shape, policy, "svd_linalg") <= 4 * 4 * shape[0] * shape[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gram_matrix_stays_within_what_it_states(shape: tuple[int, int]) -> None:
    delta, policy = delta_of("power law", shape), RankPolicy("standard", 64, 0.15)
    wide = delta if shape[0] <= shape[1] else delta.T
    used = peak_bytes(lambda: solve_gram(wide, policy, float(delta.square().sum())))
    assert used <= gram_bytes(shape, policy)


@pytest.mark.parametrize("shape", [(640, 640), (512, 1536)])
def test_the_last_resort_takes_at_most_ten_times_the_delta(shape: tuple[int, int]) -> None:
    delta = delta_of("power law", shape)
    used = peak_bytes(lambda: solve_lapack(delta, RankPolicy("standard", 64, 0.15)))
    assert used <= 10 * bytes_of(delta)
