"""A format is one module and one row: one that the tests add is written, read back and recognised like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from extraction_runs import EXACT, run, verified
from model_files import save_model, save_pair
from safetensors import safe_open
from safetensors.torch import load_file
from toys import format as toy_format

from engine.errors import EngineError, ErrorCode
from engine.formats.kohya import Kohya
from engine.formats.registry import FORMATS, is_lora
from engine.models.families import FAMILIES, Family
from engine.session import inspect_model


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_format.register(monkeypatch)


def test_its_file_has_its_keys_its_name_and_its_texts(tmp_path: Path) -> None:
    ran = run(save_pair(tmp_path), tmp_path, key_format="toy", **EXACT)
    assert ran.lora.name == "lora_toy_rank_4096_fp32_balanced_b10_bs4_00001_.safetensors"
    lora = load_file(ran.lora)
    assert lora["weight/attn/0/blocks/diffusion_model:left"].shape == (24, 16)
    assert lora["weight/norm/0/blocks/diffusion_model:change"].shape == (16,)
    assert len([key for key in lora if key.endswith(":gain")]) == 5
    with safe_open(ran.lora, framework="pt") as file:
        assert file.metadata()["toy.rank"] == "16"


def test_it_is_verified(tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    found = verified(pair, run(pair, tmp_path, key_format="toy", **EXACT).lora)
    assert (found.key_format, found.format_title, found.unknown_keys) == ("toy", "Toy", ())
    assert found.mean_energy_retained == pytest.approx(1.0, abs=1e-9)


def test_it_is_known_as_a_lora_and_not_taken_for_a_model(tmp_path: Path) -> None:
    ran = run(save_pair(tmp_path), tmp_path / "out", key_format="toy", rank=2)
    with pytest.raises(EngineError) as caught:
        inspect_model(ran.lora)
    assert (caught.value.code, caught.value.data["reason"]) == (ErrorCode.NOT_A_MODEL, "is_lora")


def test_the_model_of_a_folder_is_found_beside_it(tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    folder = tmp_path / "one model"
    folder.mkdir()
    run(pair, folder, key_format="toy", rank=2)
    model = pair[0].replace(folder / "model.safetensors")
    assert inspect_model(folder).path == model


@pytest.mark.parametrize("key", ["a.lora_A.weight", "a.lora_B.weight", "lora_unet_a.lora_up.weight", "a/b:left"])
def test_one_half_of_a_pair_of_factors_makes_a_lora(key: str) -> None:
    assert is_lora(["first.weight", key])


@pytest.mark.parametrize("key", ["a.alpha", "a.diff", "a.bias", "a:change", "lora_unet.weight"])
def test_what_a_model_may_have_too_makes_none(key: str) -> None:
    assert not is_lora(["first.weight", key])


NAMED_BY_DEPTH = ("kohya", "sd1")  # see test_kohya_layouts.py
NAMED_OTHERWISE = ("peft", "diffusers")  # which know the names in files, or real ones alone


@pytest.mark.parametrize(
    ("row", "family"),
    [
        pytest.param(row, family, id=f"{row.key}-{family.key}")
        for row in (*FORMATS, toy_format.ToyFormat())
        for family in FAMILIES
        if (row.key, family.key) != NAMED_BY_DEPTH and row.key not in NAMED_OTHERWISE
    ],
)
def test_the_keys_of_every_format_lead_back_to_the_parts_of_the_layers(
    row: toy_format.LoraFormat, family: Family
) -> None:
    layers = {
        "diffusion_model.a.0.b.weight": ("matrix", True),
        "diffusion_model.a.1.b.weight": ("conv", True),
        "diffusion_model.a.0.b.bias": ("bias", False),
        "diffusion_model.a.0.norm.weight": ("norm", False),
        "diffusion_model.modulation": ("parameter", False),
    }
    bound = row.for_names(family, layers) if isinstance(row, Kohya) else row
    keys = {name: bound.keys(family, name, kind, factors=factors) for name, (kind, factors) in layers.items()}
    written = [key for parts in keys.values() for key in parts.values()]
    index = row.parse([*written, "what/is this"])
    assert index is not None
    assert len(set(written)) == len(written)
    assert index.unknown == ("what/is this",)
    assert all(index.found(parts) == parts for parts in keys.values())
    assert sorted(len(parts) for parts in index.layers.values()) == sorted(len(p) for p in keys.values() if p)


def test_a_file_is_read_in_the_format_that_knows_most_of_it(tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    lora = load_file(run(pair, tmp_path, **EXACT).lora)
    mixed = save_model(tmp_path / "mixed.safetensors", lora | {"elsewhere:left": torch.ones(3, 2)})
    found = verified(pair, mixed)
    assert (found.key_format, found.unknown_keys) == ("comfyui", ("elsewhere:left",))
