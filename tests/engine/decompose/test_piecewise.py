"""A matrix that is gone over in pieces is decomposed as well as LAPACK does it whole, within the memory stated."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spectra import SPECTRA, delta_of, lapack_values, optimum, product_error
from torch_memory import peak_bytes

from engine.decompose import piecewise, workspace
from engine.decompose.decomposition import TruncatedSvd, residual_energy
from engine.decompose.gram import solve_gram
from engine.decompose.pieces import HeldPieces, Pieces, in_pieces
from engine.decompose.piecewise import gram_of_pieces, svd_of_pieces
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd
from engine.decompose.workspace import piecewise_bytes, triangle_bytes

SHAPES = {"tall": (420, 60), "wide": (60, 420), "square": (90, 90), "1xn": (1, 70), "nx1": (70, 1)}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrices of these sizes in many pieces, the last of them shorter."""
    monkeypatch.setattr(workspace, "CHUNK_BYTES", 8 * 60 * 31)


def decomposed(delta: torch.Tensor, rank: int, lora_type: str = "standard", p: float = 0.15) -> TruncatedSvd:
    policy = RankPolicy(lora_type, rank, p)  # type: ignore[arg-type]
    return svd_of_pieces(HeldPieces(delta), policy, None)


def promised(delta: torch.Tensor, rank: int) -> float:
    return (1 + 1e-5) * optimum(delta, rank) + 1e-6 * float(torch.linalg.norm(delta.double()))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_pieces_cover_the_matrix_once_and_in_order(shape: tuple[int, int]) -> None:
    delta = delta_of("flat noise", shape)
    pieces = HeldPieces(delta)
    parts = [piece.clone() for _, piece in pieces]
    assert torch.equal(torch.cat(parts, dim=0 if pieces.tall else 1), delta)
    if max(shape) >= 90:
        assert len(parts) > 2


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_gram_matrix_is_the_product_in_float64(shape: tuple[int, int]) -> None:
    delta = delta_of("power law", shape)
    wide = delta.double().numpy() if shape[0] <= shape[1] else delta.double().numpy().T
    np.testing.assert_allclose(gram_of_pieces(HeldPieces(delta)).numpy(), wide @ wide.T, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rank", [1, 8, 64])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_error_is_the_optimum_to_working_precision(spectrum: str, shape: tuple[int, int], rank: int) -> None:
    delta = delta_of(spectrum, shape)
    svd = decomposed(delta, rank)
    assert svd.rank == min(rank, *shape)
    error = product_error(delta, svd.u, svd.s, svd.vh)
    assert error <= promised(delta, svd.rank)
    norm = float(delta.double().square().sum())
    assert svd.residual_energy == pytest.approx(error**2, rel=1e-3, abs=1e-11 * norm)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_values_are_lapacks_and_bases_orthonormal(shape: tuple[int, int]) -> None:
    delta = delta_of("power law", shape)
    svd, expected = decomposed(delta, 16), lapack_values(delta)
    np.testing.assert_allclose(svd.s.numpy(), expected[: svd.rank], rtol=2e-6)
    np.testing.assert_allclose(svd.values[: len(expected)], expected, rtol=1e-6, atol=1e-7 * expected[0])
    for basis in (svd.u.T, svd.vh):
        np.testing.assert_allclose((basis.double() @ basis.double().T).numpy(), np.eye(svd.rank), atol=1e-5)


@pytest.mark.parametrize("p", [0.15, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("lora_type", ["adaptive_ratio", "adaptive_quantile", "adaptive_energy", "adaptive_fro"])
@pytest.mark.parametrize("shape", [(420, 60), (60, 420)])
@pytest.mark.parametrize("spectrum", ["fast decay", "power law", "flat noise", "bf16 noise", "outliers"])
def test_every_rule_decides_by_lapacks_values(spectrum: str, shape: tuple[int, int], lora_type: str, p: float) -> None:
    delta = delta_of(spectrum, shape)
    s = lapack_values(delta)
    expected = {
        "adaptive_ratio": np.sum(s > p * s[0]),
        "adaptive_quantile": np.sum(np.cumsum(s) < p * np.sum(s)),
        "adaptive_energy": np.sum(np.cumsum(s**2) < p * np.sum(s**2)) + 1,
        "adaptive_fro": np.argmax(np.cumsum(s**2) / np.sum(s**2) >= p**2) + 1,
    }[lora_type]
    assert decomposed(delta, 4096, lora_type, p).rank == max(1, expected)
    capped = decomposed(delta, 3, lora_type, p)
    assert (capped.rank, capped.capped) == (max(1, min(3, expected)), expected > 3)


@pytest.mark.parametrize("shape", [(420, 60), (60, 420)])
@pytest.mark.parametrize("p", [1e-7, 1e-6])
def test_a_ratio_below_what_squares_resolve_is_decided_by_the_triangle(p: float, shape: tuple[int, int]) -> None:
    delta = delta_of("fast decay", shape)
    s = lapack_values(delta)
    svd = decomposed(delta, 4096, "adaptive_ratio", p)
    assert (svd.solver, svd.rank) == ("lapack", np.sum(s > p * s[0]))


@pytest.mark.parametrize("shape", [(420, 60), (60, 420)])
@pytest.mark.parametrize("spectrum", ["power law", "exact low rank", "rank deficient", "outliers"])
def test_the_triangle_keeps_the_promise_where_the_gram_matrix_fails(
    spectrum: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    delta, policy = delta_of(spectrum, shape), RankPolicy("standard", 12, 0.15)
    asked: list[int] = []
    monkeypatch.setattr(piecewise, "_by_gram", lambda *given: None)
    svd = svd_of_pieces(HeldPieces(delta), policy, None, reserve=asked.append)
    assert svd.solver == "lapack"
    assert product_error(delta, svd.u, svd.s, svd.vh) <= promised(delta, 12)
    assert asked == [triangle_bytes(shape, 12) - piecewise_bytes(shape, 12)]


@pytest.mark.parametrize("spectrum", ["fast decay", "flat noise"])
@pytest.mark.parametrize("shape", [(420, 60), (60, 420)])
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e-9, 1e9, 1e20, 1e30])
def test_the_scale_of_a_matrix_costs_no_precision(scale: float, shape: tuple[int, int], spectrum: str) -> None:
    delta = delta_of(spectrum, shape, scale=scale)
    svd = decomposed(delta, 8)
    assert product_error(delta, svd.u, svd.s, svd.vh) <= promised(delta, 8)
    np.testing.assert_allclose(svd.s.numpy(), lapack_values(delta)[:8], rtol=2e-6)


@pytest.mark.parametrize("solve", ["truncated", "gram", "residual"])
@pytest.mark.parametrize("shape", [(1920, 30), (30, 1920)])
def test_where_a_solver_works_in_pieces_memory_changes_no_bit(
    shape: tuple[int, int], solve: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "_LARGE", 1)
    delta, policy = delta_of("merged LoRA", shape), RankPolicy("standard", 12, 0.15)
    total = float(delta.double().square().sum())
    held, unheld = in_pieces(delta), CopiedPieces(delta)
    assert held is not None

    def solved(matrix: torch.Tensor | Pieces) -> TruncatedSvd:
        return truncated_svd(matrix, policy, algorithm="svd_linalg", total=total)

    one, other = solved(delta), solved(unheld)
    if solve == "gram" and isinstance(held, HeldPieces):
        wide = delta if shape[0] < shape[1] else delta.T
        turned = solve_gram(wide, policy, total)
        one = turned if wide is delta else one
        assert torch.equal(turned.s, other.s)
    if solve == "residual":
        up, down = one.u * one.s.float(), one.vh
        assert residual_energy(delta, up, down) == residual_energy(unheld, up, down)
    for field in ("u", "s", "vh"):
        assert torch.equal(getattr(one, field), getattr(other, field)), field
    assert np.array_equal(one.values, other.values)
    assert one.residual_energy == other.residual_energy


class CopiedPieces(Pieces):
    """Pieces as a file gives them: contiguous, in memory that the next one takes."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.shape = int(matrix.shape[0]), int(matrix.shape[1])
        self._matrix, self._memory = matrix, torch.empty(0)

    def piece(self, start: int, stop: int) -> torch.Tensor:
        part = self._matrix[start:stop] if self.tall else self._matrix[:, start:stop]
        self._memory.fill_(float("nan"))  # what was given before is no longer valid
        self._memory = part.clone(memory_format=torch.contiguous_format)
        return self._memory


@pytest.mark.parametrize("rank", [4, 100])
@pytest.mark.parametrize("shape", [(3000, 120), (120, 3000), (300, 300)])
def test_a_decomposition_in_pieces_stays_within_what_it_states(
    shape: tuple[int, int], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "CHUNK_BYTES", 1 << 19)
    delta = delta_of("flat noise", shape) if shape[0] != shape[1] else delta_of("power law", shape)
    pieces, policy, asked = HeldPieces(delta), RankPolicy("standard", rank, 0.15), [0]
    piece = 4 * workspace.piece_length(min(shape)) * min(shape)  # what is left over of one, as `_in_pieces` counts it
    total = float(delta.double().square().sum())
    used = peak_bytes(lambda: svd_of_pieces(pieces, policy, total, reserve=asked.append))
    assert asked == [0]
    assert used <= piecewise_bytes(shape, policy.cap(shape)) + piece
    monkeypatch.setattr(piecewise, "_by_gram", lambda *given: None)
    used = peak_bytes(lambda: svd_of_pieces(pieces, policy, total, reserve=asked.append))
    assert used <= piecewise_bytes(shape, policy.cap(shape)) + sum(asked) + piece
