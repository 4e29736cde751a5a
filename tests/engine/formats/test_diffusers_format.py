"""diffusers' format: diffusers' own loaders read it whole and without a word, from models in either spelling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from diffusers_loaders import LOADERS, build, fine_tuned, load, output, relative, scaled
from extraction_runs import EXACT, run, verified
from model_files import Tensors, random_tensor, save_model
from safetensors.torch import load_file

from engine.models.families import FAMILIES, GENERIC

FAMILY = {family.key: family for family in (*FAMILIES, GENERIC)}
SPELLINGS = {"native names": False, "diffusers names": True}
UNDER = {"rank": 48, "lora_type": "adaptive_energy", "adaptive_param": 0.7, "output_dtype": "fp16"}
"""A rank of its own for every layer."""


@dataclass(frozen=True)
class Made:
    """A model's state dicts in diffusers' names, and the two files."""

    base: Tensors
    tuned: Tensors
    files: tuple[Path, Path]


def made(family: str, folder: Path, *, converted: bool, biases: bool = False) -> Made:
    model = LOADERS[family].model()
    native = scaled(model.native(0))
    tuned = fine_tuned(native)
    if biases:
        tuned = {
            name: value + 0.3 * random_tensor(*value.shape, seed=7) if value.dim() == 1 else value
            for name, value in tuned.items()
        }
    states = {"tuned": tuned, "base": native}
    prefix = "" if converted else "model.diffusion_model."
    files = []
    for side, state in states.items():
        named = model.converted(state) if converted else state
        tensors = {prefix + name: value.clone() for name, value in named.items()}
        files.append(save_model(folder / f"{side}.safetensors", tensors))
    return Made(model.converted(native), model.converted(tuned), (files[0], files[1]))


@pytest.mark.shows(lambda family: [{"family": family, "program": "diffusers"}])
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("family", LOADERS)
def test_diffusers_with_the_lora_computes_what_the_fine_tuned_model_computes(
    family: str, spelling: str, tmp_path: Path
) -> None:
    pair = made(family, tmp_path, converted=SPELLINGS[spelling])
    wanted, original = output(family, build(family, pair.tuned)), output(family, build(family, pair.base))
    whole = run(pair.files, tmp_path, key_format="diffusers", **EXACT)
    assert whole.result.outputs[0].mean_energy_retained > 0.999999
    model = build(family, pair.base)
    load(family, model, whole.lora)
    assert relative(original, wanted) > 0.05
    assert relative(output(family, model), wanted) < 1e-3
    assert verified(pair.files, whole.lora).mean_energy_retained > 0.999999


@pytest.mark.parametrize("family", LOADERS)
def test_layers_of_different_ranks_load_as_they_are_and_bring_the_original_nearer(family: str, tmp_path: Path) -> None:
    pair = made(family, tmp_path, converted=False)
    few = run(pair.files, tmp_path, key_format="diffusers", **UNDER)
    model = build(family, pair.base)
    load(family, model, few.lora)
    wanted, original = output(family, build(family, pair.tuned)), output(family, build(family, pair.base))
    assert len({row.rank for row in few.result.rows}) > 1
    assert relative(output(family, model), wanted) < 0.9 * relative(original, wanted)
    changes = applied(load_file(few.lora), LOADERS[family].prefix)
    for name, change in changes.items():
        delta = pair.tuned[name].double() - pair.base[name].double()
        assert (change.reshape(delta.shape) - delta).norm() < delta.norm(), name


def applied(lora: Tensors, prefix: str) -> Tensors:
    """What a file adds to each weight of its denoiser in diffusers, in float64."""
    downs = {key: value for key, value in lora.items() if key.startswith(f"{prefix}.") and ".lora_A." in key}
    changes = {}
    for key, down in downs.items():
        up = lora[key.replace("lora_A", "lora_B")].double().flatten(1)
        name = key.removeprefix(f"{prefix}.").replace(".lora_A", "")
        changes[name] = up @ down.double().flatten(1)
    return changes
