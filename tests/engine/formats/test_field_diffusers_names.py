"""Models as diffusers saved them, by the names and shapes of real files: the LoRA fits the program that loads it.

A skeleton holds the names of both sides and those under which ComfyUI knows the same model. Whether a change stands at
its right place is asked of diffusers' own converter: the LoRA's changes under native names, converted, have to be the
differences of the two files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfyui_consumer
import pytest
import torch
from diffusers.loaders import single_file_utils as converters
from extraction_runs import EXACT, Run, run, verified
from layout_models import with_sizes
from model_files import Tensors, random_tensor, save_model

from engine.session import Session

SKELETONS = Path(__file__).parents[1] / "field"
CONVERTERS: dict[str, Callable[..., Any]] = {
    "flux": with_sizes(converters.convert_flux_transformer_checkpoint_to_diffusers, {3072: 96}),
    "wan": converters.convert_wan_transformer_to_diffusers,
    "sd3": converters.convert_sd3_transformer_checkpoint_to_diffusers,
    "ltx": converters.convert_ltx_transformer_checkpoint_to_diffusers,
    "lumina2": with_sizes(converters.convert_lumina2_to_diffusers, {2304: 64, 768: 32}),
}
NOT_IN_DIFFUSERS = {"lumina2": {"diffusion_model.norm_final.weight"}}
DENOISER = "diffusion_model."


@dataclass(frozen=True)
class Case:
    """A pair made from a skeleton, what was extracted of it, and ComfyUI's names and shapes."""

    key: str
    files: tuple[Path, Path]
    differences: Tensors
    native: dict[str, tuple[int, ...]]
    ran: Run

    @property
    def added(self) -> Tensors:
        """What ComfyUI's rule adds to each of its weights; a key that it does not know is an error."""
        model = {name: torch.empty(shape) for name, shape in self.native.items()}
        return comfyui_consumer.changes(comfyui_consumer.load_lora(self.ran.lora), model)


def tensors(names: dict[str, Any], scale: float, seed: int) -> Tensors:
    return {name: scale * random_tensor(*shape, seed=seed + at) for at, (name, (_, shape)) in enumerate(names.items())}


@pytest.fixture(scope="module", params=CONVERTERS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    key, folder = request.param, tmp_path_factory.mktemp(request.param)
    skeleton = json.loads((SKELETONS / f"{key}_diffusers_names.json").read_text())
    base = {name: tensor.bfloat16() for name, tensor in tensors(skeleton["base"], 0.05, 0).items()}
    step = tensors(skeleton["tuned"], 0.01, 1000)
    tuned = {name: (base[name] + tensor).bfloat16() for name, tensor in step.items()}
    files = save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)
    differences = {name: tuned[name].double() - base[name].double() for name in base}
    native = {name: tuple(shape) for name, (_, shape) in skeleton["native_base"].items()}
    if key == "sd3":  # ComfyUI's model of that depth is twice as wide
        native = {name: narrowed(shape) for name, shape in native.items()}
    return Case(key, files, differences, native, run(files, folder, **EXACT))


def narrowed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size // 2 if size in (128, 256, 384, 512, 768) and at != FREQUENCIES.get(shape) else size
                 for at, size in enumerate(shape))  # fmt: skip


FREQUENCIES = {(128, 256): 1, (1, 256, 128): 1}
"""Sizes of 256 that are no multiple of the width: a timestep's frequencies, a grid of positions."""


def test_every_key_ends_at_a_weight_that_comfyui_has_in_its_shape(case: Case) -> None:
    assert set(case.native) - set(case.added) == NOT_IN_DIFFUSERS.get(case.key, set())
    assert case.ran.left_out == {}


def test_every_change_of_the_files_stands_at_its_right_place(case: Case) -> None:
    native = {name.removeprefix(DENOISER): tensor for name, tensor in case.added.items()}
    converted = CONVERTERS[case.key](dict(native))
    assert set(converted) == set(case.differences)
    for name, expected in case.differences.items():
        torch.testing.assert_close(converted[name].double(), expected, rtol=1e-4, atol=1e-6, msg=name)


def test_the_file_names_the_family_and_keeps_the_whole_change(case: Case) -> None:
    with Session(*case.files) as session:
        assert session.pairing.family.key == case.key
    assert case.ran.result.outputs[0].mean_energy_retained == pytest.approx(1.0, abs=1e-6)
    assert verified(case.files, case.ran.lora).mean_energy_retained == pytest.approx(1.0, abs=1e-6)
