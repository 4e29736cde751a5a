"""diffusers' format: diffusers' own loaders read it whole and without a word, from models in either spelling."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sdxl_pipeline
import torch
from diffusers.loaders import lora_pipeline
from diffusers_loaders import (
    LOADERS,
    LOADERS_ALONE,
    build,
    fine_tuned,
    load,
    output,
    relative,
    scaled,
    silence_demanded,
)
from extraction_runs import EXACT, run, verified
from layout_models import WIDTH, with_sizes
from model_files import Tensors, random_tensor, save_model
from safetensors import safe_open
from safetensors.torch import load_file

from engine.cancel import CancelToken
from engine.errors import EngineError, ErrorCode
from engine.events import Finished, Notice, NoticeCode
from engine.formats.diffusers import METADATA_KEY, Diffusers, adapter_metadata
from engine.models.families import FAMILIES, GENERIC
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

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


def made(family: str, folder: Path, *, converted: bool, biases: bool = False, blocks_only: bool = False) -> Made:
    model = (LOADERS | LOADERS_ALONE)[family].model()
    native = scaled(model.native(0))
    tuned = fine_tuned(native)
    for name, value in native.items():
        if biases and value.dim() == 1:
            tuned[name] = value + 0.3 * random_tensor(*value.shape, seed=7)
        if blocks_only and not any(part.isdecimal() for part in name.split(".")[:2]):
            tuned[name] = value
    states = {"tuned": tuned, "base": native}
    prefix = "" if converted else "model.diffusion_model."
    files = []
    for side, state in states.items():
        named = model.converted(state) if converted else state
        tensors = {prefix + name: value.clone() for name, value in named.items()}
        files.append(save_model(folder / f"{side}.safetensors", tensors))
    return Made(model.converted(native), model.converted(tuned), (files[0], files[1]))


def header(lora: Path) -> dict[str, Any]:
    """diffusers' own metadata in a file."""
    with safe_open(lora, framework="pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()[METADATA_KEY])
    return found


def shown_families(family: str) -> list[dict[str, str]]:
    return [{"family": family}]


@pytest.mark.shows(shown_families, program="diffusers")
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


@pytest.mark.shows(lambda family: [{"family": {"wan_vace": "wan"}.get(family, family)}],
                   program="diffusers")  # fmt: skip
@pytest.mark.parametrize("family", LOADERS_ALONE)
def test_every_linear_layer_and_convolution_arrives_where_diffusers_has_it(family: str, tmp_path: Path) -> None:
    pair = made(family, tmp_path, converted=False)
    ran = run(pair.files, tmp_path, key_format="diffusers", **EXACT)
    load(family, build(family, pair.base), ran.lora)
    changes = applied(load_file(ran.lora), LOADERS_ALONE[family].prefix)
    for name, base in pair.base.items():
        delta = pair.tuned[name].double() - base.double()
        assert bool(delta.any()) == (name in changes or name.endswith(".gate.weight")), name
        if name in changes:
            torch.testing.assert_close(changes[name].reshape(delta.shape), delta, rtol=1e-4, atol=1e-6)


def test_changed_biases_and_norms_are_named_before_the_start_and_count_as_not_kept(tmp_path: Path) -> None:
    pair = made("flux", tmp_path, converted=False, biases=True)
    ran = run(pair.files, tmp_path, key_format="diffusers", **EXACT)
    energies = {name: float((pair.tuned[name].double() - value.double()).square().sum()) for name, value in
                pair.base.items()}  # fmt: skip
    kept = sum(energy for name, energy in energies.items() if pair.base[name].dim() > 1) / sum(energies.values())
    assert ran.result.outputs[0].mean_energy_retained == pytest.approx(kept, abs=1e-6)
    assert kept < 0.999
    missing = {name for name, reason in ran.left_out.items() if reason == "not_in_format"}
    assert "diffusion_model.double_blocks.0.img_attn.norm.query_norm.scale" in missing
    assert "diffusion_model.single_blocks.0.linear1.bias" in missing
    assert not [name for name in missing if name.endswith(".weight")]
    assert [event.data["layers"] for event in ran.events if is_missing(event)] == [len(missing)]
    found = verified(pair.files, ran.lora)
    assert found.mean_energy_retained == pytest.approx(kept, abs=1e-6)
    assert {item.name for item in found.left_out} == missing


def is_missing(event: object) -> bool:
    return isinstance(event, Notice) and event.code is NoticeCode.NOT_IN_FORMAT


def test_parts_of_a_fused_weight_share_the_down_and_have_their_rows_of_up(tmp_path: Path) -> None:
    pair = made("flux", tmp_path, converted=False)
    lora = load_file(run(pair.files, tmp_path, key_format="diffusers", rank=3, output_dtype="fp32").lora)
    start = "transformer.single_transformer_blocks.0."
    parts = [f"{start}attn.to_{part}" for part in "qkv"] + [f"{start}proj_mlp"]
    assert [tuple(lora[f"{part}.lora_B.weight"].shape) for part in parts] == [(48, 3)] * 3 + [(192, 3)]
    assert all(torch.equal(lora[f"{part}.lora_A.weight"], lora[f"{parts[0]}.lora_A.weight"]) for part in parts)
    assert all(key.endswith((".lora_A.weight", ".lora_B.weight")) for key in lora)


def test_the_header_says_the_rank_of_every_layer_as_diffusers_reads_it(tmp_path: Path) -> None:
    pair = made("qwen_image", tmp_path, converted=False)
    few = run(pair.files, tmp_path, key_format="diffusers", **UNDER)
    lora, config = load_file(few.lora), header(few.lora)
    ranks = {key.removesuffix(".lora_A.weight").removeprefix("transformer."): len(value) for key, value in lora.items()
             if ".lora_A." in key}  # fmt: skip
    assert config["transformer.r"] == config["transformer.lora_alpha"]
    assert config["transformer.rank_pattern"] == config["transformer.alpha_pattern"] != {}
    assert config["transformer.target_modules"] == sorted(ranks)
    odd = {f"^{module}".replace(".", r"\."): rank for module, rank in ranks.items() if rank != config["transformer.r"]}
    assert config["transformer.rank_pattern"] == odd


def test_a_module_that_ends_like_another_one_that_is_not_in_the_file_gets_no_adapter(tmp_path: Path) -> None:
    pair = made("flux", tmp_path, converted=False)
    ran = run(pair.files, tmp_path, key_format="diffusers", exclude="*single_blocks.0.linear2*", rank=4)
    assert "transformer.proj_out.lora_A.weight" in load_file(ran.lora)
    assert isinstance(header(ran.lora)["transformer.target_modules"], str)
    load("flux", build("flux", pair.base), ran.lora)


@pytest.mark.parametrize("rules", [{"rank": 4}, UNDER], ids=["one rank", "ranks of their own"])
def test_zeros_that_diffusers_adds_for_images_are_expected_by_the_header(rules: dict[str, Any], tmp_path: Path) -> None:
    pair = made("wan", tmp_path, converted=False)
    ran = run(pair.files, tmp_path, key_format="diffusers", exclude="*_img*", **rules)
    assert not [key for key in load_file(ran.lora) if "add_k_proj" in key]
    model = build("wan", pair.base)
    load("wan", model, ran.lora)
    assert model.blocks[0].attn2.add_k_proj.lora_A  # type: ignore[index,union-attr]


def test_the_room_in_the_header_is_enough_for_ranks_that_all_differ() -> None:
    modules = [f"transformer.blocks.{number}.attn.to_q" for number in range(300)]
    texts = adapter_metadata({module: 1 + number for number, module in enumerate(modules)}, ())
    room = Diffusers().metadata_bytes([f"{module}.lora_A.weight" for module in modules])
    assert len(json.dumps(json.dumps(texts))) <= room


def save_sdxl(model: sdxl_pipeline.Sdxl, path: Path) -> Path:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        model.clip_g.text_projection.weight += 0.1 * torch.randn_like(model.clip_g.text_projection.weight)
    return sdxl_pipeline.save(model, path)


@pytest.mark.parametrize("rules", [EXACT, UNDER], ids=["full rank", "ranks of their own"])
def test_text_encoders_and_the_projection_load_with_the_u_net(rules: dict[str, Any], tmp_path: Path) -> None:
    tuned = sdxl_pipeline.build(0)
    sdxl_pipeline.fine_tune(tuned)
    pair = (
        save_sdxl(tuned, tmp_path / "tuned.safetensors"),
        sdxl_pipeline.save(sdxl_pipeline.build(0), tmp_path / "base.safetensors"),
    )
    ran = run(pair, tmp_path, key_format="diffusers", **rules)
    model = sdxl_pipeline.build(0)
    wanted, before = sdxl_pipeline.outputs(tuned), sdxl_pipeline.outputs(model)
    with silence_demanded():
        sdxl_pipeline.load_lora(model, ran.lora)
    errors = sdxl_pipeline.relative_errors(sdxl_pipeline.outputs(model), wanted)
    if rules is EXACT:
        assert max(errors) < 1e-4
        assert "text_encoder_2.text_projection.lora_B.weight" in load_file(ran.lora)
    else:
        assert all(
            one < other for one, other in zip(errors, sdxl_pipeline.relative_errors(before, wanted), strict=True)
        )
        assert header(ran.lora)["text_encoder_2.rank_pattern"]


@pytest.mark.parametrize("key", ["llama", "gpt2", "bert", "generic", "svd", "stable_cascade"])
def test_families_without_a_loader_of_loras_are_a_problem_in_words_of_their_own(key: str) -> None:
    assert Diffusers().problem(FAMILY[key]) == "no_names"


def test_convolutions_of_single_channels_and_embeddings_stay_out(tmp_path: Path) -> None:
    pair = made("sd1", tmp_path, converted=False)
    tensors = [load_file(path) for path in pair.files]
    for number, state in enumerate(tensors):
        state["model.diffusion_model.label_emb.weight"] = random_tensor(6, 32, seed=number)
        name = "model.diffusion_model.input_blocks.1.0.in_layers.2.weight"
        state[name] = random_tensor(8, 1, 3, 3, seed=number)
    files = [save_model(path, state) for path, state in zip(pair.files, tensors, strict=True)]
    ran = run((files[0], files[1]), tmp_path, key_format="diffusers", rank=2)
    missing = {name for name, reason in ran.left_out.items() if reason == "not_in_format" and name.endswith("weight")}
    assert missing >= {"diffusion_model.label_emb.weight", "diffusion_model.input_blocks.1.0.in_layers.2.weight"}


def test_a_change_too_small_for_fp16_is_kept_as_there_is_no_alpha_to_say_so(tmp_path: Path) -> None:
    base = load_file(made("qwen_image", tmp_path, converted=True).files[1])
    tuned = {name: value + 1e-7 * value if value.dim() == 2 else value for name, value in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    ran = run(pair, tmp_path, key_format="diffusers", rank=4)
    found = {layer.name: layer.energy_retained for layer in verified(pair, ran.lora).layers}
    assert len(found) == len(ran.result.rows) > 10
    for row in ran.result.rows:
        assert row.energy_retained == pytest.approx(found[row.name], abs=1e-5)


def test_layers_of_a_comfyui_run_come_from_the_cache_and_the_file_is_the_same(tmp_path: Path) -> None:
    from engine.store import DecompositionStore

    pair = made("lumina2", tmp_path, converted=False).files
    with Session(*pair, DecompositionStore(tmp_path / "store")) as session:

        def extracted(key: str, folder: str, **more: Any) -> tuple[int, Tensors]:
            settings = ExtractionSettings(filename_prefix="lora", key_format=key, rank=6, **more)
            plan = session.plan(settings, HardwareSettings(device="cpu"), tmp_path / folder)
            *_, last = session.extract(plan, CancelToken())
            assert isinstance(last, Finished)
            return last.result.layers_reused, load_file(last.result.outputs[0].path)

        _, fresh = extracted("diffusers", "a", resume=False)
        extracted("comfyui", "b", resume=False)
        reused, cached = extracted("diffusers", "c")
    assert reused > 0
    assert fresh.keys() == cached.keys()
    assert all(torch.equal(fresh[key], cached[key]) for key in fresh)


def test_the_type_full_is_refused_with_the_format_that_holds_it(tmp_path: Path) -> None:
    pair = made("qwen_image", tmp_path, converted=False).files
    settings = ExtractionSettings(key_format="diffusers", lora_type="full")
    with Session(*pair) as session, pytest.raises(EngineError) as caught:
        session.plan(settings, HardwareSettings(device="cpu"), tmp_path / "out")
    assert (caught.value.code, caught.value.data["reason"]) == (ErrorCode.FORMAT_UNSUITABLE, "full")
    assert caught.value.data["available"] == ["ComfyUI"]


WHOLE_IN_KOHYA = {"qwen_image": False}
BLOCKS_IN_KOHYA = dict.fromkeys(("flux", "flux2", "chroma", "z_image"), True)


@pytest.mark.shows(shown_families, program="diffusers", format="kohya")
@pytest.mark.parametrize("family", WHOLE_IN_KOHYA | BLOCKS_IN_KOHYA)
def test_a_kohya_file_of_what_diffusers_reads_of_it_computes_what_the_fine_tuned_model_computes(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converter = with_sizes(lora_pipeline._convert_kohya_flux_lora_to_diffusers, {3072: WIDTH, 12288: 4 * WIDTH})
    monkeypatch.setattr(lora_pipeline, "_convert_kohya_flux_lora_to_diffusers", converter)
    pair = made(family, tmp_path, converted=False, blocks_only=family in BLOCKS_IN_KOHYA)
    lora = run(pair.files, tmp_path, key_format="kohya", **EXACT).lora
    wanted, model = output(family, build(family, pair.tuned)), build(family, pair.base)
    assert relative(output(family, model), wanted) > 0.05
    load(family, model, lora)
    assert relative(output(family, model), wanted) < 1e-3
