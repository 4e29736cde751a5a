"""Verifying judges any LoRA under ComfyUI's names, by multiplying what is in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from extraction_runs import EXACT, run, verified
from model_files import PREFIX, Tensors, matrices, random_tensor, save_model
from safetensors.torch import load_file

from engine.errors import EngineError, ErrorCode

NAME = "diffusion_model.layers.0"
SHAPE = (24, 16)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    base = matrices(2)
    tuned = {name: tensor + 0.1 * random_tensor(*SHAPE, seed=9) for name, tensor in base.items()}
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


def foreign(folder: Path, tensors: Tensors) -> Path:
    return save_model(folder / "lora.safetensors", tensors)


def factors(rank: int, alpha: torch.Tensor | None = None) -> Tensors:
    tensors = {
        f"{NAME}.lora_up.weight": 0.1 * random_tensor(SHAPE[0], rank, seed=1),
        f"{NAME}.lora_down.weight": 0.1 * random_tensor(rank, SHAPE[1], seed=2),
    }
    return tensors if alpha is None else tensors | {f"{NAME}.alpha": alpha}


@pytest.mark.parametrize("alpha", [None, 1.0, 2.5])
def test_a_foreign_lora_is_measured_as_it_would_be_applied(
    alpha: float | None, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    tensors = factors(4, None if alpha is None else torch.tensor(alpha))
    tuned, base = (load_file(path)[f"{PREFIX}layers.0.weight"].double() for path in pair)
    up, down = (tensors[f"{NAME}.lora_{side}.weight"].double() for side in ("up", "down"))
    delta = tuned - base
    error = torch.linalg.norm(delta - (1.0 if alpha is None else alpha / 4) * up @ down) / torch.linalg.norm(delta)
    (layer,) = verified(pair, foreign(tmp_path, tensors)).layers
    assert (layer.name, layer.rank) == (f"{NAME}.weight", 4)
    assert layer.relative_error == pytest.approx(float(error), rel=1e-9)


def test_a_changed_weight_that_the_lora_lacks_is_named_and_counts_as_nothing_kept(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    whole = load_file(run(pair, tmp_path, **EXACT).lora)
    half = foreign(tmp_path, {name: tensor for name, tensor in whole.items() if ".0." in name})
    verification = verified(pair, half)
    tuned, base = map(load_file, pair)
    energies = {name: float((tuned[name].double() - base[name].double()).square().sum()) for name in base}
    assert [item.name for item in verification.left_out] == ["diffusion_model.layers.1.weight"]
    expected = energies[f"{PREFIX}layers.0.weight"] / sum(energies.values())
    assert verification.mean_energy_retained == pytest.approx(expected, abs=1e-9)


def test_keys_that_belong_to_no_weight_are_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    stray = {"diffusion_model.elsewhere.diff": torch.ones(3)}
    assert verified(pair, foreign(tmp_path, factors(4) | stray)).unknown_keys == tuple(stray)


@pytest.mark.parametrize(
    "wrong",
    [
        {f"{NAME}.lora_up.weight": torch.ones(25, 4), f"{NAME}.lora_down.weight": torch.ones(4, 16)},
        {f"{NAME}.lora_up.weight": torch.ones(24, 4), f"{NAME}.lora_down.weight": torch.ones(5, 16)},
        {f"{NAME}.lora_up.weight": torch.ones(24, 0), f"{NAME}.lora_down.weight": torch.ones(0, 16)},
        {f"{NAME}.lora_up.weight": torch.ones(24, 4), f"{NAME}.lora_down.weight": torch.ones(())},
        factors(4, torch.ones(2)),
        {f"{NAME}.diff": torch.ones(24, 15)},
    ],
    ids=["up", "down", "rank zero", "no dimensions", "two alphas", "diff"],
)
def test_tensors_that_cannot_be_applied_are_an_error(wrong: Tensors, pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        verified(pair, foreign(tmp_path, wrong))
    assert (caught.value.code, caught.value.data["reason"]) == (ErrorCode.LORA_MISMATCH, "shape")


def test_the_run_is_not_believed_but_the_file_is(pair: tuple[Path, Path], tmp_path: Path) -> None:
    lora = load_file(run(pair, tmp_path, **EXACT).lora)
    lora[f"{NAME}.lora_up.weight"].zero_()
    errors = {layer.name: layer.relative_error for layer in verified(pair, foreign(tmp_path, lora)).layers}
    assert errors[f"{NAME}.weight"] == pytest.approx(1.0)
    assert errors["diffusion_model.layers.1.weight"] < 1e-5


def test_a_nan_in_the_lora_is_an_error_that_names_it(pair: tuple[Path, Path], tmp_path: Path) -> None:
    lora = load_file(run(pair, tmp_path).lora)
    lora[f"{NAME}.lora_up.weight"][0, 0] = float("nan")
    with pytest.raises(EngineError) as caught:
        verified(pair, foreign(tmp_path, lora))
    assert (caught.value.tensor, caught.value.data["reason"]) == (f"{NAME}.lora_up.weight", "non_finite")
