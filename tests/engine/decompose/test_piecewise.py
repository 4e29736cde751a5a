"""A matrix gone over in pieces is decomposed as accurately as by LAPACK, within the memory that is stated."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spectra import SPECTRA, delta_of, lapack_values, optimum, peak_bytes, product_error

from engine.cancel import CancelToken
from engine.decompose import workspace
from engine.decompose.decomposition import TruncatedSvd
from engine.decompose.pieces import HeldPieces, in_pieces, residual_in_pieces
from engine.decompose.piecewise import svd_of_pieces
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd
from engine.decompose.workspace import piecewise_bytes, triangle_bytes
from engine.errors import Cancelled
from engine.steps import ThreadWork, stoppable

SHAPES = [(150, 40), (40, 150), (700, 24), (24, 700)]
PIECES = 7  # about; of the shapes above


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "CHUNK_BYTES", 8 * 40 * 150 // PIECES)


def decomposed(delta: torch.Tensor, rank: int, lora_type: str = "standard", p: float = 0.15) -> TruncatedSvd:
    return svd_of_pieces(HeldPieces(delta), RankPolicy(lora_type, rank, p), None)  # type: ignore[arg-type]


def promised(delta: torch.Tensor, rank: int) -> float:
    return (1 + 1e-5) * optimum(delta, rank) + 1e-6 * float(torch.linalg.norm(delta.double()))


class CountedPieces(HeldPieces):
    """Counts the pieces that were asked for."""

    count = 0

    def piece(self, start: int, stop: int) -> torch.Tensor:
        self.count += 1
        return super().piece(start, stop)


@pytest.mark.parametrize("rank", [1, 8, 64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_error_is_the_optimum_to_working_precision(spectrum: str, shape: tuple[int, int], rank: int) -> None:
    delta = delta_of(spectrum, shape)
    svd = decomposed(delta, rank)
    assert svd.rank == min(rank, *shape)
    error = product_error(delta, svd.u, svd.s, svd.vh)
    assert error <= promised(delta, svd.rank)
    assert svd.residual_energy == pytest.approx(error**2, rel=1e-4, abs=1e-12 * float(delta.double().square().sum()))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_singular_values_are_lapacks_and_both_bases_orthonormal(shape: tuple[int, int]) -> None:
    delta = delta_of("power law", shape)
    svd = decomposed(delta, 16)
    np.testing.assert_allclose(svd.s.numpy(), lapack_values(delta)[:16], rtol=2e-6)
    for basis in (svd.u.T, svd.vh):
        np.testing.assert_allclose((basis.double() @ basis.double().T).numpy(), np.eye(16), atol=5e-6)


@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1e9, 1e20])
@pytest.mark.parametrize("shape", SHAPES[:2])
def test_the_scale_costs_no_precision(shape: tuple[int, int], scale: float) -> None:
    delta = delta_of("fast decay", shape, scale=scale)
    svd = decomposed(delta, 8)
    assert product_error(delta, svd.u, svd.s, svd.vh) <= promised(delta, 8)
    np.testing.assert_allclose(svd.values[:8], lapack_values(delta)[:8], rtol=2e-6)


@pytest.mark.parametrize("p", [0.15, 0.5, 0.9])
@pytest.mark.parametrize("lora_type", ["adaptive_ratio", "adaptive_quantile", "adaptive_energy", "adaptive_fro"])
@pytest.mark.parametrize("spectrum", ["fast decay", "power law", "flat noise", "outliers"])
def test_an_adaptive_rank_is_its_formula_on_lapacks_singular_values(spectrum: str, lora_type: str, p: float) -> None:
    delta = delta_of(spectrum, (150, 40))
    s = lapack_values(delta)
    expected = {
        "adaptive_ratio": np.sum(s > p * s[0]),
        "adaptive_quantile": np.sum(np.cumsum(s) < p * np.sum(s)),
        "adaptive_energy": np.sum(np.cumsum(s**2) < p * np.sum(s**2)) + 1,
        "adaptive_fro": np.argmax(np.cumsum(s**2) / np.sum(s**2) >= p**2) + 1,
    }[lora_type]
    assert decomposed(delta, 4096, lora_type, p).rank == max(1, expected)


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_where_squaring_loses_the_digits_the_triangle_answers(shape: tuple[int, int]) -> None:
    delta = delta_of("fast decay", shape)
    s = lapack_values(delta)
    svd = decomposed(delta, 4096, "adaptive_ratio", 1e-9)
    assert svd.solver == "lapack"
    assert svd.rank == max(1, np.sum(s > 1e-9 * s[0]))
    assert product_error(delta, svd.u, svd.s, svd.vh) <= promised(delta, svd.rank)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_residual_of_any_factors_is_formed_as_it_stands(shape: tuple[int, int]) -> None:
    delta = delta_of("flat noise", shape)
    generator = torch.Generator().manual_seed(3)
    up, down = torch.randn(shape[0], 5, generator=generator), torch.randn(5, shape[1], generator=generator)
    expected = float(torch.linalg.norm(delta.double() - 0.3 * up.double() @ down.double()) ** 2)
    assert residual_in_pieces(HeldPieces(delta), up, down, 0.3) == pytest.approx(expected, rel=1e-6)


def test_two_passes_are_enough_and_no_piece_is_larger_than_stated() -> None:
    delta = delta_of("power law", (700, 24))
    pieces = CountedPieces(delta)
    svd_of_pieces(pieces, RankPolicy("standard", 8, 0.15), float(delta.double().square().sum()))
    assert pieces.count == 2 * len(list(HeldPieces(delta)))


def test_embeddings_are_in_pieces_whether_or_not_they_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "_LARGE", 700 * 24)
    delta = delta_of("power law", (700, 24))
    policy = RankPolicy("standard", 8, 0.15)
    whole = truncated_svd(delta, policy, algorithm="svd_linalg")
    streamed = truncated_svd(HeldPieces(delta), policy, algorithm="svd_linalg")
    for ours, theirs in ((whole.u, streamed.u), (whole.s, streamed.s), (whole.vh, streamed.vh)):
        assert torch.equal(ours, theirs)
    assert in_pieces(delta_of("power law", (150, 40))) is None, "others are worked on whole"


@pytest.mark.parametrize("shape", [(6000, 300), (300, 6000), (900, 700)])
@pytest.mark.parametrize("rank", [8, 128])
def test_it_stays_within_the_memory_that_it_states(
    shape: tuple[int, int], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "CHUNK_BYTES", 8 * 300 * 1000)
    delta = delta_of("power law", shape)
    policy = RankPolicy("standard", rank, 0.15)
    used = peak_bytes(lambda: svd_of_pieces(HeldPieces(delta), policy, 1.0))
    piece = 4 * workspace.piece_length(min(shape)) * min(shape)
    assert used <= piecewise_bytes(shape, rank) + piece


@pytest.mark.parametrize("shape", [(6000, 300), (300, 6000)])
def test_the_triangle_stays_within_the_memory_that_it_asks_for(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "CHUNK_BYTES", 8 * 300 * 1000)
    delta = delta_of("fast decay", shape)
    policy = RankPolicy("adaptive_ratio", 64, 1e-9)
    asked: list[int] = []
    used = peak_bytes(lambda: svd_of_pieces(HeldPieces(delta), policy, None, reserve=asked.append))
    piece = 4 * workspace.piece_length(min(shape)) * min(shape)
    assert used <= triangle_bytes(shape, 64) + piece
    assert piecewise_bytes(shape, 64) + sum(asked) >= triangle_bytes(shape, 64)


def test_a_run_that_is_to_stop_is_heard_before_the_next_piece() -> None:
    cancel = CancelToken()

    class Stopping(CountedPieces):
        def piece(self, start: int, stop: int) -> torch.Tensor:
            if self.count == 2:
                cancel.cancel()
            return super().piece(start, stop)

    pieces: CountedPieces = Stopping(delta_of("power law", (700, 24)))
    with stoppable(ThreadWork(lambda: cancel.cancelled)), pytest.raises(Cancelled):
        svd_of_pieces(pieces, RankPolicy("standard", 8, 0.15), 1.0)
    assert pieces.count == 3
