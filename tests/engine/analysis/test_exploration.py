"""Other ranks of a run: against numpy's singular values in float64, real runs at those ranks, and files on the disk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extraction_runs import Run, run
from model_files import PREFIX, matrices, random_tensor, save_model, save_pair
from safetensors.torch import load_file
from spectra import SPECTRA

from engine.analysis.exploration import Exploration
from engine.cancel import CancelToken
from engine.decompose.rank_rules import RankPolicy
from engine.events import Finished
from engine.results import LayerResult, StageSeconds
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

SHAPES = ((24, 16), (12, 40), (30, 30), (16, 16))
HARDWARE = HardwareSettings(device="cpu")


@dataclass(frozen=True)
class Layer:
    """A delta and all its singular values, by LAPACK in float64."""

    row: LayerResult
    values: np.ndarray


def layer(name: str, delta: np.ndarray, rank: int) -> Layer:
    """A layer of a run that lost nothing but what the rank cut off."""
    values = np.linalg.svd(delta, compute_uv=False)
    energy = float(np.sum(delta**2))
    kept = float(np.sum(values[:rank] ** 2)) / energy
    row = LayerResult(
        name=name,
        kind="matrix",
        shape=delta.shape,
        rank=min(rank, *delta.shape),
        energy_retained=kept,
        energy_before=kept,
        relative_error=0.0,
        relative_change=0.1,
        delta_energy=energy,
        singular_values=tuple(values[:rank].tolist()),
        capped=False,
        clamp="off",
        stored_dtype="F32",
        solver="lapack",
        seconds=StageSeconds(),
    )
    return Layer(row, values)


@pytest.fixture(params=(1, 6, 16))
def layers(request: pytest.FixtureRequest) -> list[Layer]:
    made = [
        layer(f"{spectrum} {shape}", SPECTRA[spectrum](shape, seed), request.param)
        for seed, shape in enumerate(SHAPES)
        for spectrum in SPECTRA
        if spectrum not in ("rank deficient", "exact low rank")  # their tails are noise of float64
    ]
    return made


def exploration(layers: list[Layer], *, lost: float = 0.0, **settings: Any) -> Exploration:
    rows = [one.row for one in layers]
    total = sum(row.delta_energy for row in rows) + lost
    mean = sum(row.energy_retained * row.delta_energy for row in rows) / total
    chosen = ExtractionSettings(**{"output_dtype": "fp32", "clamp_quantile": False, **settings})
    return Exploration(chosen, rows, mean=mean, size_bytes=10**6)


def rank_by(policy: RankPolicy, values: np.ndarray) -> int:
    """The formulas of the parameter table, on the whole spectrum, in plain numpy."""
    p, squares = policy.adaptive_param, values**2
    wanted = {
        "standard": lambda: policy.rank,
        "adaptive_ratio": lambda: sum(bool(value > p * values[0]) for value in values),
        "adaptive_quantile": lambda: sum(bool(part < p * values.sum()) for part in np.cumsum(values)),
        "adaptive_energy": lambda: sum(bool(part < p * squares.sum()) for part in np.cumsum(squares)) + 1,
        "adaptive_fro": lambda: sum(bool(part / squares.sum() < p**2) for part in np.cumsum(squares)) + 1,
    }[policy.lora_type]()
    return max(1, min(wanted, policy.rank, len(values)))


def policies() -> Iterator[RankPolicy]:
    for rank in (1, 2, 5, 6, 7, 12, 16, 17, 29, 30, 64):
        yield RankPolicy("standard", rank, 0.15)
        for kind in ("adaptive_ratio", "adaptive_quantile", "adaptive_energy", "adaptive_fro"):
            for p in (0.03, 0.2, 0.41, 0.77, 0.93, 0.99):
                yield RankPolicy(kind, rank, p)  # type: ignore[arg-type]


def test_the_truth_lies_within_the_bounds_for_every_rule(layers: list[Layer]) -> None:
    lost = 0.2 * sum(one.row.delta_energy for one in layers)
    explored = exploration(layers, lost=lost)
    total = lost + sum(float(np.sum(one.values**2)) for one in layers)
    for policy in policies():
        answer = explored.at(policy)
        ranks = [rank_by(policy, one.values) for one in layers]
        kept = [float(np.sum(one.values[:rank] ** 2)) for one, rank in zip(layers, ranks, strict=True)]
        shares = [part / float(np.sum(one.values**2)) for part, one in zip(kept, layers, strict=True)]
        assert all(answer.ranks <= ranks), policy
        assert all(answer.ranks_high >= ranks), policy
        assert answer.mean.low - 1e-12 <= sum(kept) / total <= answer.mean.high + 1e-12, policy
        assert answer.worst.low - 1e-12 <= min(shares) <= answer.worst.high + 1e-12, policy
        bytes_of = [4 * rank * sum(one.row.shape) for one, rank in zip(layers, ranks, strict=True)]
        own = [4 * (one.row.rank or 0) * sum(one.row.shape) for one in layers]
        size = 10**6 - sum(own) + sum(bytes_of)
        assert answer.size.low - 16 <= size <= answer.size.high + 16, policy


def test_up_to_the_computed_rank_nothing_is_unknown(layers: list[Layer]) -> None:
    explored = exploration(layers)
    for rank in range(1, explored.computed_rank + 1):
        answer = explored.at_rank(rank)
        assert answer.writable
        assert answer.mean.exact
        assert answer.worst.exact
        shares = {one.row.name: float(np.sum(one.values[:rank] ** 2)) / float(np.sum(one.values**2)) for one in layers}
        assert answer.worst.low == pytest.approx(min(shares.values()), abs=1e-12)
        assert shares[answer.worst_layer] == pytest.approx(min(shares.values()), abs=1e-12)


def test_at_full_rank_everything_is_kept_again_without_doubt() -> None:
    layers = [layer(str(shape), SPECTRA["power law"](shape, 3), 4) for shape in SHAPES]
    answer = exploration(layers).at_rank(30)
    assert answer.mean.low == pytest.approx(1.0, abs=1e-12)
    assert answer.mean.high == pytest.approx(1.0, abs=1e-12)
    assert not answer.writable


def test_the_unknown_tail_is_bounded_by_what_is_left_of_the_norm() -> None:
    """A flat spectrum above a cliff: as many values as like of the last one's size would be far too much."""
    values = np.array([3.0, 1.0, *(0.1,) * 10])
    made = layer("cliff", np.diag(values), 2)
    answer = exploration([made]).at_rank(4)
    assert answer.mean.high == pytest.approx(1.0, abs=1e-12)  # two more of 1.0 would be more than there is
    assert answer.mean.low == pytest.approx((10.0 + 0.1 * 2 / 10) / 10.1, abs=1e-12)  # their fair share of the rest


def everything(folder: Path, seed: int = 3) -> tuple[Path, Path]:
    """Many matrices of different spectra beside all other kinds of weight, an unchanged one and a part not wanted."""
    base, step = dict(matrices(6)), {}
    for index, (name, tensor) in enumerate(base.items()):
        spectrum = list(SPECTRA)[index % len(SPECTRA)]
        step[name] = torch.from_numpy(0.05 * SPECTRA[spectrum](tuple(tensor.shape), seed + index)).float()  # type: ignore[arg-type]
    base[f"{PREFIX}same.weight"] = random_tensor(8, 8, seed=1)
    base["first_stage_model.decoder.conv_in.weight"] = random_tensor(9, 9, seed=2)
    step["first_stage_model.decoder.conv_in.weight"] = random_tensor(9, 9, seed=4, scale=0.02)
    tuned, original = save_pair(folder)
    tensors = load_file(original) | base
    changed = load_file(tuned) | {name: tensor + step.get(name, 0.0) for name, tensor in base.items()}
    changed[f"{PREFIX}brand_new.weight"] = random_tensor(3, 5, seed=9)
    return save_model(folder / "tuned.safetensors", changed), save_model(folder / "base.safetensors", tensors)


def explored_of(made: Run, **settings: Any) -> Exploration:
    return Exploration.of_result(ExtractionSettings(**{"filename_prefix": "lora", **settings}), made.result)


@pytest.mark.parametrize(
    "kind",
    [
        {"output_dtype": "fp32", "clamp_quantile": False},
        {},
        {"output_dtype": "bf16", "set_weight": True},
        {"bias_diff": False, "algorithm": "svd_lowrank"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("begin", "ask"),
    [
        ({"rank": 10}, {"rank": 3}),
        ({"rank": 10}, {"rank": 10}),
        ({"rank": 4}, {"rank": 4096}),
        ({"rank": 9}, {"lora_type": "adaptive_energy", "rank": 9, "adaptive_param": 0.8}),
        ({"lora_type": "adaptive_ratio", "rank": 4096, "adaptive_param": 0.001}, {"lora_type": "standard", "rank": 2}),
    ],
    ids=str,
)
def test_a_real_run_at_the_other_rank_says_the_same(
    kind: dict[str, Any], begin: dict[str, Any], ask: dict[str, Any], tmp_path: Path
) -> None:
    pair = everything(tmp_path)
    made = run(pair, tmp_path / "first", **begin, **kind)
    explored = explored_of(made, **begin, **kind)
    wanted = {"lora_type": "standard", "adaptive_param": explored.settings.adaptive_param, **ask}
    answer = explored.at(RankPolicy(wanted["lora_type"], wanted["rank"], wanted["adaptive_param"]))
    other = run(pair, tmp_path / "second", **wanted, **kind)
    output = other.result.outputs[0]
    ranks = {row.name: row.rank for row in other.result.rows if row.rank is not None}
    assert dict(zip(explored.names, answer.ranks.tolist(), strict=True)) == ranks
    assert answer.mean.low - 3e-5 <= output.mean_energy_retained <= answer.mean.high + 3e-5
    assert answer.worst.low - 3e-5 <= output.worst_energy_retained <= answer.worst.high + 3e-5
    size = output.path.stat().st_size
    assert answer.size.exact
    assert answer.size.low - size in (0, 8)  # room for the header grows in steps of 8 bytes
    if answer.mean.exact and kind.get("clamp_quantile") is False:
        assert answer.mean.low == pytest.approx(output.mean_energy_retained, abs=2e-7)


def test_the_size_is_the_files_own_where_the_settings_text_keeps_its_length(tmp_path: Path) -> None:
    pair = everything(tmp_path)
    explored = explored_of(run(pair, tmp_path / "first", rank=9), rank=9)
    for rank in (1, 5, 9):
        other = run(pair, tmp_path / "second", rank=rank)
        assert explored.at_rank(rank).size.low == other.lora.stat().st_size


def test_the_share_of_what_is_left_out_is_known(tmp_path: Path) -> None:
    pair = everything(tmp_path)
    explored = explored_of(run(pair, tmp_path / "out", rank=8, include="*layers*"), rank=8)
    whole = run(pair, tmp_path / "whole", rank=8)
    energies = {row.name: row.delta_energy for row in whole.result.rows}
    lost = sum(energy for name, energy in energies.items() if "layers" not in name)
    assert explored.left_out_share == pytest.approx(lost / sum(energies.values()), rel=1e-6)


@pytest.mark.parametrize(
    "first",
    [
        {"rank": 6},
        {"rank": 30},
        {"lora_type": "adaptive_energy", "rank": 12, "adaptive_param": 0.9},
        {"lora_type": "adaptive_quantile", "rank": 12, "adaptive_param": 0.6},
    ],
    ids=str,
)
def test_what_is_called_writable_is_written_without_the_models(first: dict[str, Any], tmp_path: Path) -> None:
    pair, store = everything(tmp_path), DecompositionStore(tmp_path / "store")
    settings = ExtractionSettings(filename_prefix="lora", **first)
    seen = set()
    with Session(*pair, store) as session:
        with closing(session.extract(session.plan(settings, HARDWARE, tmp_path), CancelToken())) as news:
            finished = list(news)[-1]
        assert isinstance(finished, Finished)
        explored = Exploration.of_result(settings, finished.result)
        for policy in policies():
            answer = explored.at(policy)
            kept = session.kept(session.plan(explored.settings_for(policy), HARDWARE, tmp_path))
            seen.add(answer.writable)
            if answer.writable:
                assert kept.layers == kept.of, policy
            elif policy.lora_type == "standard":
                assert kept.layers < kept.of, policy
    assert seen == {True, False} or explored.computed_rank == explored.largest_rank


def test_the_inverse_finds_the_largest_rank_that_fits(layers: list[Layer]) -> None:
    explored = exploration(layers)
    sizes = {rank: explored.at_rank(rank).size.low for rank in range(1, explored.largest_rank + 1)}
    for limit in (*sizes.values(), *(size - 1 for size in sizes.values()), 1e12):
        fitting = [rank for rank, size in sizes.items() if size <= limit]
        assert explored.rank_within(limit) == max(fitting, default=0)


def test_a_smaller_run_of_the_same_models_still_knows_what_a_larger_one_found() -> None:
    deltas = {str(shape): SPECTRA["power law"](shape, 5) for shape in SHAPES}
    large = exploration([layer(name, delta, 12) for name, delta in deltas.items()], rank=12)
    small = [layer(name, delta, 3) for name, delta in deltas.items()]
    mean = exploration(small).at_rank(3).mean.low
    rows = [one.row for one in small]
    settings = large.settings_for(RankPolicy("standard", 3, 0.15))
    widened = Exploration(settings, rows, mean=mean, size_bytes=10**6, earlier=large)
    assert widened.computed_rank == 12
    assert widened.at_rank(12).mean.low == pytest.approx(large.at_rank(12).mean.low, abs=1e-12)
    assert widened.at_rank(3).size.low == 10**6
    assert widened.at_rank(3).is_run
    others = [replace(row, delta_energy=row.delta_energy * 1.01) for row in rows]
    assert Exploration(settings, others, mean=mean, size_bytes=10**6, earlier=large).computed_rank == 3
    reseeded = settings.model_copy(update={"seed": 1})
    assert Exploration(reseeded, rows, mean=mean, size_bytes=10**6, earlier=large).computed_rank == 3


def test_clamping_without_a_limit_makes_the_figures_estimates() -> None:
    made = [layer("one", SPECTRA["fast decay"]((24, 16), 1), 8)]
    always = exploration(made, clamp_quantile=True, clamp_max_loss=1.0, rank=8)
    assert always.at_rank(4).estimated
    assert not always.at_rank(8).estimated
    assert not exploration(made, clamp_quantile=True, rank=8).at_rank(4).estimated


def test_a_run_of_stored_differences_has_no_rank_to_choose(tmp_path: Path) -> None:
    pair = everything(tmp_path)
    made = run(pair, tmp_path / "out", lora_type="full")
    explored = explored_of(made, lora_type="full")
    assert explored.largest_rank == 0
    assert explored.names == ()
    with pytest.raises(ValueError, match="no rank"):
        explored.at(RankPolicy("full", 8, 0.5))


def test_convolutions_count_their_kernel_to_the_inputs(tmp_path: Path) -> None:
    explored = explored_of(run(save_pair(tmp_path), tmp_path / "out", rank=2), rank=2)
    rows = [row for row in explored.rows if row.rank is not None]
    sides = {row.name: row.shape[0] + math.prod(row.shape[1:]) for row in rows}
    assert any(len(row.shape) == 5 for row in rows)
    values = sum(sides[row.name] * (4 if row.stored_dtype == "F32" else 2) for row in rows)
    assert explored.at_rank(2).size.low - explored.at_rank(1).size.low == values
