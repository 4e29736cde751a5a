"""The knee of a run's curve: against numpy's singular values in float64, and curves whose knee is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from engine.analysis.exploration import Exploration
from engine.analysis.knee import Knee, RankPoint, find_knee, knee_of
from engine.models.layer_blocks import block_of
from engine.results import LayerResult, StageSeconds
from engine.settings import ExtractionSettings

ROWS, COLUMNS = 320, 256
PLACES = np.arange(1, COLUMNS + 1)


@cache
def directions() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    left, _ = np.linalg.qr(rng.standard_normal((ROWS, COLUMNS)))
    right, _ = np.linalg.qr(rng.standard_normal((COLUMNS, COLUMNS)))
    return left, right


def spectrum(values: np.ndarray) -> np.ndarray:
    """The values of a matrix that was made with these, by LAPACK in float64."""
    left, right = directions()
    return np.linalg.svd((left * values) @ right.T, compute_uv=False)


def explored(values: np.ndarray, rank: int, **settings: object) -> Exploration:
    """A finished run of one layer with these singular values, of which the first `rank` are known."""
    energy = float(np.sum(values**2))
    kept = float(np.sum(values[:rank] ** 2)) / energy
    row = LayerResult(
        name="diffusion_model.blocks.0.attn.qkv.weight",
        kind="matrix",
        block=block_of("diffusion_model.blocks.0.attn.qkv.weight"),
        shape=(ROWS, COLUMNS),
        rank=rank,
        energy_retained=kept,
        energy_before=kept,
        relative_error=(1.0 - kept) ** 0.5,
        relative_change=0.01,
        delta_energy=energy,
        singular_values=tuple(values[:rank].tolist()),
        capped=False,
        clamp="off",
        stored_dtype="F16",
        solver="lapack",
        seconds=StageSeconds(),
    )
    chosen = ExtractionSettings.model_validate({"rank": rank, "clamp_quantile": False} | settings)
    return Exploration(chosen, [row], mean=kept, size_bytes=rank * (ROWS + COLUMNS) * 2 + 4 + 500)


def found(values: np.ndarray, rank: int, **settings: object) -> Knee:
    knee = find_knee(explored(values, rank, **settings))
    assert knee is not None
    return knee


@pytest.mark.parametrize("true_rank", [8, 32, 48])
def test_a_change_of_a_rank_with_noise_behind_it_has_its_knee_there(true_rank: int) -> None:
    values = spectrum(np.where(true_rank >= PLACES, 1.0, 0.05))
    knee = found(values, 128)
    assert knee.at.rank == true_rank
    assert knee.top.rank == 128
    energy = np.cumsum(values**2) / np.sum(values**2)
    assert knee.at.kept == pytest.approx(energy[true_rank - 1], abs=1e-9)
    assert knee.adds == pytest.approx(energy[127] - energy[true_rank - 1], abs=1e-9)
    assert knee.more_bytes == (128 - true_rank) * (ROWS + COLUMNS) * 2


def test_a_flat_spectrum_has_no_knee() -> None:
    assert find_knee(explored(spectrum(np.ones(COLUMNS)), 128)) is None


def test_a_spectrum_that_falls_slowly_has_none_either() -> None:
    assert find_knee(explored(spectrum(PLACES**-0.1), 128)) is None


def test_a_change_of_rank_one_needs_one_rank() -> None:
    knee = found(spectrum(np.where(PLACES == 1, 1.0, 1e-6)), 128)
    assert knee.at.rank == 1


def test_beyond_the_ranks_computed_only_bounds_are_given_and_the_truth_is_between_them() -> None:
    values = spectrum(PLACES**-1.0)
    knee = found(values, 64)
    assert knee.top.rank == 64
    assert knee.at.rank < 64
    assert knee.beyond is not None
    assert not knee.beyond.mean.exact
    truth = float(np.sum(values[:96] ** 2) / np.sum(values**2))
    assert knee.beyond.policy.rank == 96
    assert knee.beyond.mean.low <= truth <= knee.beyond.mean.high


def test_where_nothing_is_unknown_there_is_nothing_beyond() -> None:
    assert found(spectrum(PLACES**-1.0), COLUMNS).beyond is None


def test_runs_that_chose_ranks_by_a_rule_or_a_size_have_no_such_advice() -> None:
    values = spectrum(PLACES**-1.0)
    assert find_knee(explored(values, 64, lora_type="adaptive_energy", adaptive_param=0.9)) is None
    assert find_knee(explored(values, 64, target_size=10**6)) is None


def test_approximate_values_are_said_to_be_that() -> None:
    values = spectrum(PLACES**-1.0)
    clamped = {"clamp_quantile": True, "clamp_max_loss": 0.05}
    assert not found(values, 64).estimated
    assert found(values, 64, **clamped).estimated


def test_units_do_not_move_the_knee() -> None:
    points = [RankPoint(rank, 1.0 - 0.8**rank, 1000.0 * rank) for rank in range(1, 40)]
    scaled = [replace(point, kept=point.kept / 3, size_bytes=7 * point.size_bytes + 9) for point in points]
    one, other = knee_of(points), knee_of(scaled)
    assert one is not None
    assert other is not None
    assert one.rank == other.rank


def test_two_points_are_no_curve() -> None:
    assert knee_of([RankPoint(1, 0.1, 1.0), RankPoint(2, 0.9, 2.0)]) is None
    assert knee_of([]) is None


def test_the_document_has_what_another_program_needs() -> None:
    document = found(spectrum(PLACES**-1.0), 64).document()
    assert set(document) == {
        "rank", "mean_energy_retained", "size_bytes", "compared_rank", "adds", "more_bytes", "estimated", "beyond",
    }  # fmt: skip
    assert document["compared_rank"] == 64
    assert set(document["beyond"]) == {"rank", "at_least", "at_most"}
