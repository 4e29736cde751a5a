"""Verifying judges the files of other tools: their names, endings and scales, and what they divide otherwise.

What is expected comes from diffusers' own converter: a model's weights in its names, and products subtracted from them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import sdxl_pipeline
import torch
from diffusers_loaders import LOADERS, fine_tuned, scaled
from extraction_runs import EXACT, run, verified
from model_files import Tensors, random_tensor, save_model
from safetensors.torch import load_file

from engine.errors import EngineError, ErrorCode

RANK = 3
Name = Callable[[str], str]


@dataclass(frozen=True)
class Pair:
    """A model and its fine-tune: the files under native names, the state dicts under both."""

    files: tuple[Path, Path]
    native: tuple[Tensors, Tensors]
    converted: tuple[Tensors, Tensors]

    def deltas(self, *, native: bool = False) -> Tensors:
        tuned, base = self.native if native else self.converted
        return {name: tuned[name].double() - base[name].double() for name in base}


def made(family: str, folder: Path) -> Pair:
    model = LOADERS[family].model()
    base = scaled(model.native(0))
    states = fine_tuned(base), base
    files = [
        save_model(folder / f"{side}.safetensors", {f"model.diffusion_model.{k}": v for k, v in state.items()})
        for side, state in zip(("tuned", "base"), states, strict=True)
    ]
    return Pair((files[0], files[1]), states, (model.converted(states[0]), model.converted(states[1])))


@pytest.fixture(scope="module", params=["flux", "sd3", "lumina2", "sdxl"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return made(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return made("flux", tmp_path_factory.mktemp("flux"))


@dataclass(frozen=True)
class Factors:
    """A rough answer of its own for every weight: factors, and what they add."""

    up: Tensors
    down: Tensors

    def added(self, name: str, scale: float = 1.0) -> torch.Tensor:
        return scale * self.up[name].double().flatten(1) @ self.down[name].double().flatten(1)


def approximated(deltas: Tensors) -> Factors:
    """The largest directions of every change, rounded to fp16."""
    up: Tensors = {}
    down: Tensors = {}
    for name, delta in deltas.items():
        if delta.dim() < 2 or not name.endswith(".weight") or not delta.any():
            continue
        u, s, vh = torch.linalg.svd(delta.flatten(1), full_matrices=False)
        ones = (1,) * (delta.dim() - 2)
        up[name] = (u[:, :RANK] * s[:RANK]).half().reshape(-1, len(s[:RANK]), *ones)
        down[name] = vh[:RANK].half().reshape(-1, *delta.shape[1:])
    return Factors(up, down)


def expected(deltas: Tensors, factors: Factors, scale: float = 1.0) -> float:
    left = (
        delta.flatten(1) - factors.added(name, scale) if name in factors.up else delta for name, delta in deltas.items()
    )
    lost = sum(float(delta.square().sum()) for delta in left)
    return 1.0 - lost / sum(float(delta.square().sum()) for delta in deltas.values())


def underscored(prefix: str) -> Name:
    return lambda module: prefix + module.replace(".", "_")


def dotted(prefix: str) -> Name:
    return lambda module: prefix + module


A_AND_B = ".lora_B.weight", ".lora_A.weight"
SPELLINGS: dict[str, tuple[Name, tuple[str, str]]] = {
    "diffusers": (dotted("transformer."), A_AND_B),
    "a U-Net's": (dotted("unet."), A_AND_B),
    "no prefix": (dotted(""), A_AND_B),
    "PEFT's prefix": (dotted("base_model.model."), A_AND_B),
    "an adapter called default": (dotted("transformer."), (".lora_B.default.weight", ".lora_A.default.weight")),
    "up and down": (dotted("unet."), (".lora.up.weight", ".lora.down.weight")),
    "linear layers": (dotted("transformer."), (".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight")),
    "kohya": (underscored("lora_unet_"), (".lora_up.weight", ".lora_down.weight")),
    "a transformer in kohya's": (underscored("lora_transformer_"), (".lora_up.weight", ".lora_down.weight")),
    "lycoris": (underscored("lycoris_"), (".lora_up.weight", ".lora_down.weight")),
}


def lora_of(factors: Factors, name: Name, endings: tuple[str, str], alpha: float | None = None) -> Tensors:
    tensors: Tensors = {}
    for key in factors.up:
        base = name(key.removesuffix(".weight"))
        tensors[base + endings[0]], tensors[base + endings[1]] = factors.up[key], factors.down[key]
        if alpha is not None:
            tensors[f"{base}.alpha"] = torch.tensor(alpha)
    return tensors


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_parts_of_fused_weights_are_measured_against_their_rows_in_every_spelling(
    spelling: str, flux: Pair, tmp_path: Path
) -> None:
    deltas = flux.deltas()
    factors = approximated(deltas)
    found = verified(flux.files, save_model(tmp_path / "lora.safetensors", lora_of(factors, *SPELLINGS[spelling])))
    assert found.unknown_keys == ()
    assert found.mean_energy_retained == pytest.approx(expected(deltas, factors), abs=1e-6)


def test_names_and_halves_of_every_kind_of_layout_are_found(pair: Pair, tmp_path: Path) -> None:
    deltas = pair.deltas()
    factors = approximated(deltas)
    lora = lora_of(factors, *SPELLINGS["kohya"], alpha=1.5)
    found = verified(pair.files, save_model(tmp_path / "lora.safetensors", lora))
    assert found.unknown_keys == ()
    assert found.mean_energy_retained == pytest.approx(expected(deltas, factors, 1.5 / RANK), abs=1e-6)


def test_native_names_with_peft_s_endings_have_the_scale_one(pair: Pair, tmp_path: Path) -> None:
    deltas = pair.deltas(native=True)
    factors = approximated(deltas)
    lora = lora_of(factors, dotted("diffusion_model."), A_AND_B)
    found = verified(pair.files, save_model(tmp_path / "lora.safetensors", lora))
    assert (found.unknown_keys, found.key_format, found.format_title) == ((), "", "")
    assert found.mean_energy_retained == pytest.approx(expected(deltas, factors), abs=1e-6)


def test_a_file_of_two_endings_is_measured_whole(flux: Pair, tmp_path: Path) -> None:
    deltas = flux.deltas(native=True)
    factors = approximated(deltas)
    first = lora_of(factors, dotted("diffusion_model."), A_AND_B)
    second = lora_of(factors, dotted("diffusion_model."), (".lora_up.weight", ".lora_down.weight"))
    mixed = {key: value for key, value in first.items() if ".double_blocks." in key}
    mixed |= {key: value for key, value in second.items() if ".double_blocks." not in key}
    found = verified(flux.files, save_model(tmp_path / "lora.safetensors", mixed))
    assert found.unknown_keys == ()
    assert found.mean_energy_retained == pytest.approx(expected(deltas, factors), abs=1e-6)


def test_attention_processors_of_the_first_diffusers_are_those_of_the_modules(tmp_path: Path) -> None:
    sdxl = made("sdxl", tmp_path)
    deltas = sdxl.deltas()
    attention = {name: value for name, value in approximated(deltas).up.items() if ".attn" in name and ".to_" in name}
    factors = Factors(attention, approximated(deltas).down)
    lora: Tensors = {}
    for name in attention:
        module = name.removesuffix(".weight").removesuffix(".0")
        head, _, leaf = module.rpartition(".")
        base = f"unet.{head}.processor.{leaf}_lora"
        lora |= {f"{base}.up.weight": factors.up[name], f"{base}.down.weight": factors.down[name]}
    found = verified(sdxl.files, save_model(tmp_path / "lora.safetensors", lora))
    assert found.unknown_keys == ()
    assert found.mean_energy_retained == pytest.approx(expected(deltas, factors), abs=1e-6)


def test_the_configuration_in_the_header_says_the_scale_where_no_alpha_does(flux: Pair, tmp_path: Path) -> None:
    deltas = flux.deltas()
    factors = approximated(deltas)
    config = {
        "transformer.r": RANK,
        "transformer.lora_alpha": 2 * RANK,
        "transformer.alpha_pattern": {"proj_mlp": RANK},
    }
    lora = lora_of(factors, *SPELLINGS["diffusers"])
    path = save_model(tmp_path / "lora.safetensors", lora, {"lora_adapter_metadata": json.dumps(config)})
    scales = {name: 1.0 if "proj_mlp" in name else 2.0 for name in factors.up}
    lost = sum(float((deltas[name].flatten(1) - factors.added(name, scales[name])).square().sum()) for name in scales)
    total = sum(float(delta.square().sum()) for delta in deltas.values())
    assert verified(flux.files, path).mean_energy_retained == pytest.approx(1.0 - lost / total, abs=1e-6)


@pytest.mark.parametrize("key_format", ["comfyui", "kohya", "diffusers"])
def test_the_strength_of_a_file_is_divided_out_and_said(key_format: str, flux: Pair, tmp_path: Path) -> None:
    ran = run(flux.files, tmp_path, key_format=key_format, strength=0.5, **EXACT)
    found = verified(flux.files, ran.lora)
    assert found.strength == 0.5
    assert found.mean_energy_retained == pytest.approx(ran.result.outputs[0].mean_energy_retained, abs=1e-6)
    assert found.mean_energy_retained > 0.999


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("dora_scale", "DoRA"),
        ("lora_magnitude_vector", "DoRA"),
        ("lokr_w1", "LoKr"),
        ("hada_w1_a", "LoHa"),
        ("oft_blocks", "OFT"),
        ("lora_mid.weight", "LoCon"),
    ],
)
def test_what_is_no_product_of_two_factors_is_refused_by_its_name(
    ending: str, kind: str, flux: Pair, tmp_path: Path
) -> None:
    lora = lora_of(approximated(flux.deltas()), *SPELLINGS["kohya"])
    lora[f"lora_unet_double_blocks_0_img_attn_qkv.{ending}"] = torch.ones(4, 4)
    with pytest.raises(EngineError) as caught:
        verified(flux.files, save_model(tmp_path / "lora.safetensors", lora))
    assert (caught.value.code, caught.value.data["reason"]) == (ErrorCode.LORA_MISMATCH, "kind")
    assert caught.value.data["kind"] == kind


def test_a_part_that_has_not_the_shape_of_its_rows_is_an_error(flux: Pair, tmp_path: Path) -> None:
    lora = lora_of(approximated(flux.deltas()), *SPELLINGS["diffusers"])
    key = "transformer.single_transformer_blocks.0.attn.to_k.lora_B.weight"
    lora[key] = lora[key][:-1].clone()
    with pytest.raises(EngineError) as caught:
        verified(flux.files, save_model(tmp_path / "lora.safetensors", lora))
    assert (caught.value.data["reason"], caught.value.tensor) == ("shape", key)


def test_of_two_spellings_of_one_change_one_is_measured(flux: Pair, tmp_path: Path) -> None:
    deltas = flux.deltas()
    factors = approximated(deltas)
    lora = lora_of(factors, *SPELLINGS["diffusers"]) | lora_of(factors, *SPELLINGS["kohya"])
    found = verified(flux.files, save_model(tmp_path / "lora.safetensors", lora))
    assert found.unknown_keys == ()
    assert found.mean_energy_retained == pytest.approx(expected(deltas, factors), abs=1e-6)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Path, Path], Tensors]:
    """A pair with two text encoders, and the whole LoRA in diffusers' names."""
    folder = tmp_path_factory.mktemp("sdxl_encoders")
    files = sdxl_pipeline.save_pair(folder)
    settings = {"components": ("text_encoders",), **EXACT}
    return files, load_file(run(files, folder, key_format="diffusers", **settings).lora)


@pytest.mark.parametrize("prefixes", [("text_encoder.", "text_encoder_2."), ("lora_te1_", "lora_te2_")])
@pytest.mark.parametrize("level", ["", "text_model."])
def test_text_encoders_are_found_with_and_without_their_level(
    prefixes: tuple[str, str], level: str, encoders: tuple[tuple[Path, Path], Tensors], tmp_path: Path
) -> None:
    files, whole = encoders
    lora: Tensors = {}
    for key, value in whole.items():
        component, _, inner = key.partition(".")
        module, ending = inner.removeprefix("text_model.").split(".lora_")
        prefix = prefixes[component == "text_encoder_2"]
        name = level + module if prefix.endswith(".") else (level + module).replace(".", "_")
        lora[f"{prefix}{name}.lora_{ending}"] = value
    found = verified(files, save_model(tmp_path / "lora.safetensors", lora))
    assert found.unknown_keys == ()
    assert len(found.layers) == len(lora) // 2
    assert found.worst_energy_retained > 0.999


def test_a_file_of_no_known_ending_is_no_lora(flux: Pair, tmp_path: Path) -> None:
    path = save_model(tmp_path / "lora.safetensors", {"a.weight": random_tensor(2, 2, seed=0)})
    with pytest.raises(EngineError) as caught:
        verified(flux.files, path)
    assert caught.value.code is ErrorCode.NOT_A_LORA
