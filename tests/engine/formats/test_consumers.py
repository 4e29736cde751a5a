"""Real consumers load the LoRA: ComfyUI's keys, ComfyUI's arithmetic, diffusers' models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import comfyui_consumer
import pytest
import torch
from extraction_runs import EXACT, run
from model_files import save_model
from native_models import NATIVE_MODELS, NativeModel, Tensors, state_of

from engine.session import Session

PREFIXES = {"flux": "model.diffusion_model.", "wan": "", "sdxl": "model.diffusion_model."}


@dataclass(frozen=True)
class Extracted:
    """A tiny model, its fine-tune, and the LoRA between them; state dicts as ComfyUI names them."""

    family: str
    model: NativeModel
    base: Tensors
    tuned: Tensors
    lora: Tensors
    files: tuple[Path, Path]


@pytest.fixture(scope="module", params=NATIVE_MODELS)
def extracted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Extracted:
    family = request.param
    model, folder = NATIVE_MODELS[family], tmp_path_factory.mktemp(family)
    original, step = state_of(family, seed=0), state_of(family, seed=1)
    base = model.native(original)
    tuned = model.native({name: tensor + 0.1 * step[name] for name, tensor in original.items()})
    files = tuple(
        save_model(folder / name, {PREFIXES[family] + key: tensor for key, tensor in state.items()})
        for name, state in (("tuned.safetensors", tuned), ("base.safetensors", base))
    )
    lora = comfyui_consumer.load_lora(run((files[0], files[1]), folder, **EXACT).lora)
    return Extracted(family, model, in_comfyui(base), in_comfyui(tuned), lora, (files[0], files[1]))


def in_comfyui(native: Tensors) -> Tensors:
    return {f"diffusion_model.{name}": tensor for name, tensor in native.items()}


def native(state: Tensors) -> Tensors:
    return {name.removeprefix("diffusion_model."): tensor for name, tensor in state.items()}


@pytest.mark.parametrize("family", NATIVE_MODELS)
def test_diffusers_own_converter_confirms_the_native_names_used_here(family: str) -> None:
    model, state = NATIVE_MODELS[family], state_of(family, seed=0)
    converted = model.back(model.native(state))
    assert set(converted) == set(state)
    assert all(torch.equal(converted[name], state[name]) for name in state)


def test_the_family_is_recognised(extracted: Extracted) -> None:
    with Session(*extracted.files) as session:
        assert session.pairing.family.key == extracted.family


def test_every_weight_is_paired(extracted: Extracted) -> None:
    with Session(*extracted.files) as session:
        assert {weight.name for weight in session.pairing.weights} == set(extracted.base)
        assert session.pairing.left_out == ()


def test_the_keys_are_exactly_those_that_comfyui_looks_for(extracted: Extracted) -> None:
    expected = set()
    for name, tensor in extracted.base.items():
        module = name.removesuffix(".weight")
        if name.endswith(".bias"):
            expected.add(name.removesuffix(".bias") + ".diff_b")
        elif name.endswith(".weight") and tensor.dim() > 1:
            expected |= {f"{module}.{ending}" for ending in ("lora_up.weight", "lora_down.weight", "alpha")}
        else:
            expected |= {f"{base}.diff" for base in (module, module.removesuffix(".scale"))}
    assert set(extracted.lora) == expected


def test_the_shapes_are_those_that_comfyui_multiplies(extracted: Extracted) -> None:
    for name, tensor in extracted.base.items():
        if not name.endswith(".weight") or tensor.dim() < 2:
            continue
        module = name.removesuffix(".weight")
        rank = min(tensor.shape[0], tensor[0].numel())
        ones = (1,) * (tensor.dim() - 2)
        assert extracted.lora[f"{module}.lora_up.weight"].shape == (tensor.shape[0], rank, *ones)
        assert extracted.lora[f"{module}.lora_down.weight"].shape == (rank, *tensor.shape[1:])
        assert extracted.lora[f"{module}.alpha"].shape == ()


def test_comfyuis_rule_makes_the_fine_tune_of_the_original(extracted: Extracted) -> None:
    result = comfyui_consumer.apply(extracted.lora, extracted.base)
    for name, expected in extracted.tuned.items():
        torch.testing.assert_close(result[name], expected, rtol=1e-5, atol=1e-6, msg=name)


def test_diffusers_model_with_the_lora_computes_what_the_fine_tune_computes(extracted: Extracted) -> None:
    def output(state: Tensors) -> torch.Tensor:
        model = extracted.model.build().eval()
        model.load_state_dict(extracted.model.back(native(state)), strict=True)
        with torch.no_grad():
            return model(**extracted.model.inputs(), return_dict=False)[0]

    with_lora = output(comfyui_consumer.apply(extracted.lora, extracted.base))
    fine_tune, original = output(extracted.tuned), output(extracted.base)
    assert torch.linalg.norm(fine_tune - original) > 0.01 * torch.linalg.norm(fine_tune)
    torch.testing.assert_close(with_lora, fine_tune, rtol=1e-3, atol=1e-4)
