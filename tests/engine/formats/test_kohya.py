"""Kohya's format: diffusers loads it whole, with one alpha for all layers; what it cannot hold is said beforehand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sdxl_pipeline
import torch
from extraction_runs import EXACT, Run, run, verified
from model_files import Tensors, matrices, random_tensor, save_model
from safetensors import safe_open
from safetensors.torch import load_file

from engine.cancel import CancelToken
from engine.errors import EngineError, ErrorCode
from engine.events import Finished, Notice, NoticeCode
from engine.formats.comfyui import ComfyUI
from engine.formats.kohya import Kohya
from engine.formats.safetensors_writer import SafetensorsWriter
from engine.models.families import FAMILIES, GENERIC, Family
from engine.planning.plan import Plan
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

FAMILY = {family.key: family for family in (*FAMILIES, GENERIC)}
LARGEST = 64.0  # the shortest side of the tiny SDXL's widest layer
UNLIKE_ANY = ("llama", "llama_base", "gpt2", "bert", "generic")


@dataclass(frozen=True)
class Made:
    """The two files, what diffusers computes with the fine-tuned model, and the LoRA at full rank."""

    files: tuple[Path, Path]
    wanted: tuple[torch.Tensor, ...]
    ran: Run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("sdxl")
    files = sdxl_pipeline.save_pair(folder)
    tuned = sdxl_pipeline.build(0)
    sdxl_pipeline.fine_tune(tuned)
    return Made(files, sdxl_pipeline.outputs(tuned), run(files, folder, key_format="kohya", **EXACT))


def errors_of(lora: Path, made: Made, *, strict: bool = True) -> list[float]:
    """How far the original with a LoRA, as diffusers loads it, is from the fine-tuned model."""
    model = sdxl_pipeline.build(0)
    sdxl_pipeline.load_lora(model, lora, strict=strict)
    return sdxl_pipeline.relative_errors(sdxl_pipeline.outputs(model), made.wanted)


def scaled(lora: Tensors, *, alpha_of_its_own: bool) -> Tensors:
    """A LoRA's factors as they are for alpha = rank: with that alpha, or with the file's as if nobody had looked."""
    changed = dict(lora)
    for key in lora:
        if key.endswith(".alpha"):
            up, down = (key.replace(".alpha", f".lora_{side}.weight") for side in ("up", "down"))
            rank = len(lora[down])
            root = (float(lora[key]) / rank) ** 0.5
            changed[up], changed[down] = lora[up] * root, lora[down] * root
            if alpha_of_its_own:
                changed[key] = torch.tensor(float(rank))
    return changed


@pytest.mark.shows(family="sdxl", program="diffusers", format="kohya")
def test_diffusers_with_the_lora_computes_what_the_fine_tuned_model_computes(made: Made) -> None:
    original = sdxl_pipeline.outputs(sdxl_pipeline.build(0))
    assert min(sdxl_pipeline.relative_errors(original, made.wanted)) > 0.05
    assert max(errors_of(made.ran.lora, made)) < 1e-5


@pytest.mark.parametrize("alpha_of_its_own", [True, False], ids=["an alpha per layer", "alpha ignored"])
def test_a_file_that_scales_its_layers_otherwise_computes_something_else(
    made: Made, tmp_path: Path, alpha_of_its_own: bool
) -> None:
    twin = scaled(load_file(made.ran.lora), alpha_of_its_own=alpha_of_its_own)
    assert max(errors_of(save_model(tmp_path / "twin.safetensors", twin), made, strict=False)) > 1e-2


def test_all_layers_have_one_alpha_without_dimensions_the_largest_rank_there_can_be(made: Made) -> None:
    lora = load_file(made.ran.lora)
    alphas = [tensor for key, tensor in lora.items() if key.endswith(".alpha")]
    assert {(tensor.shape, tensor.dtype, float(tensor)) for tensor in alphas} == {((), torch.float32, LARGEST)}
    assert len(alphas) == len(made.ran.result.rows)
    assert len(lora) == 3 * len(alphas)


def test_the_keys_are_those_that_trainers_use(made: Made) -> None:
    modules = {key.split(".")[0] for key in load_file(made.ran.lora)}
    assert "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q" in modules
    assert "lora_te1_text_model_encoder_layers_0_self_attn_q_proj" in modules
    assert "lora_te2_text_model_encoder_layers_1_mlp_fc2" in modules
    assert not [name for name in modules if "embedding" in name or "projection" in name]


def test_the_header_says_what_trainers_ask_for(made: Made) -> None:
    with safe_open(made.ran.lora, framework="pt") as file:
        texts = {name: text for name, text in file.metadata().items() if name.startswith("ss_")}
    assert json.loads(texts.pop("ss_network_args")) == {"conv_dim": "64", "conv_alpha": "64"}
    assert texts == {
        "ss_v2": "False",
        "ss_base_model_version": "sdxl_base_v1-0",
        "ss_network_module": "networks.lora",
        "ss_network_dim": "64",
        "ss_network_alpha": "64",
    }


def test_the_format_stands_at_the_end_of_the_name(made: Made) -> None:
    assert made.ran.lora.name == "lora_kohya_rank_4096_fp32_balanced_b10_bs4_00001_.safetensors"
    assert made.ran.result.outputs[0].key_format == "kohya"


def test_what_has_no_place_is_said_before_the_start_and_listed_with_the_reason(made: Made) -> None:
    told = [event for event in made.ran.events if isinstance(event, Notice)]
    missing = [name for name, reason in made.ran.left_out.items() if reason == "not_in_format"]
    assert made.ran.events.index(told[0]) == 1
    assert (told[0].code, told[0].data) == (NoticeCode.NOT_IN_FORMAT, {"layers": len(missing), "format": "Kohya"})
    assert "diffusion_model.out.2.bias" in missing
    assert "text_encoders.clip_l.transformer.text_model.final_layer_norm.weight" in missing
    assert "text_encoders.clip_g.transformer.text_projection.weight" in missing
    assert not [name for name in missing if "attn" in name and name.endswith("weight")]


def test_verify_reads_the_file_and_names_its_format(made: Made) -> None:
    found = verified(made.files, made.ran.lora)
    assert (found.key_format, found.format_title, found.unknown_keys) == ("kohya", "Kohya", ())
    assert found.mean_energy_retained == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("key", ["kohya", "comfyui"])
def test_a_file_is_of_the_format_that_it_was_written_in(tmp_path: Path, key: str) -> None:
    pair = wan_pair(tmp_path)
    assert verified(pair, run(pair, tmp_path, key_format=key, **EXACT).lora).key_format == key


BASE = {f"blocks.{index}.self_attn.{part}.weight": (24, 16 + 8 * index) for index in range(3) for part in "qkvo"}
WAN = {**BASE, "head.modulation": (1, 2, 24), "blocks.0.norm3.weight": (24,), "blocks.0.norm3.bias": (24,)}


def wan_pair(folder: Path, scale: float = 1.0) -> tuple[Path, Path]:
    """A model that is known as Wan by its names, and a fine-tune of it in every weight."""
    base = {name: random_tensor(*shape, seed=number, scale=scale) for number, (name, shape) in enumerate(WAN.items())}
    tuned = {name: value + 0.1 * random_tensor(*value.shape, seed=99, scale=scale) for name, value in base.items()}
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def planned(pair: tuple[Path, Path], folder: Path, **settings: Any) -> Plan:
    with Session(*pair) as session:
        return session.plan(ExtractionSettings(**settings), HardwareSettings(device="cpu"), folder)


def extracted(session: Session, folder: Path, **settings: Any) -> ExtractionResult:
    chosen = ExtractionSettings(**{"filename_prefix": "lora", **settings})
    *_, last = session.extract(session.plan(chosen, HardwareSettings(device="cpu"), folder), CancelToken())
    assert isinstance(last, Finished)
    return last.result


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_what_the_report_says_is_kept_is_kept_by_the_rescaled_and_rounded_factors(tmp_path: Path, dtype: str) -> None:
    pair = wan_pair(tmp_path)
    rules = {"lora_type": "adaptive_energy", "adaptive_param": 0.8, "rank": 17, "output_dtype": dtype}
    ran = run(pair, tmp_path, key_format="kohya", clamp_max_loss=1.0, **rules)
    alphas = {float(tensor) for key, tensor in load_file(ran.lora).items() if key.endswith(".alpha")}
    assert alphas == {17.0}
    assert len({row.rank for row in ran.result.rows}) > 1
    found = {layer.name: layer.energy_retained for layer in verified(pair, ran.lora).layers}
    for row in ran.result.rows:
        assert row.energy_retained == pytest.approx(found[row.name], abs=1e-6)


def test_what_has_no_place_counts_as_change_that_is_not_kept(tmp_path: Path) -> None:
    pair = wan_pair(tmp_path)
    tuned, base = map(load_file, pair)
    energies = {name: float((tuned[name].double() - base[name].double()).square().sum()) for name in base}
    ran = run(pair, tmp_path, key_format="kohya", **EXACT)
    expected = sum(energies[name] for name in BASE) / sum(energies.values())
    assert ran.result.outputs[0].mean_energy_retained == pytest.approx(expected, abs=1e-6)
    assert expected < 0.99


def test_factors_that_would_vanish_in_fp16_are_stored_in_fp32_and_said_to_be(tmp_path: Path) -> None:
    pair = wan_pair(tmp_path, scale=1e-9)
    ran = run(pair, tmp_path, key_format="kohya", rank=4)
    told = {event.name for event in ran.events if isinstance(event, Notice) and event.code is NoticeCode.STORED_FP32}
    assert told == {row.name for row in ran.result.rows if row.stored_dtype == "F32"} != set()
    assert {float(value) for key, value in load_file(ran.lora).items() if key.endswith("alpha")} == {4.0}


@pytest.mark.parametrize("key", UNLIKE_ANY)
def test_families_without_kohya_names_are_a_problem_in_words_of_their_own(key: str) -> None:
    assert Kohya().problem(FAMILY[key]) == "no_names"
    assert ComfyUI().problem(FAMILY[key]) is None


BY_DEPTH = ("sd1",)  # its names depend on how many blocks there are, see below


@pytest.mark.parametrize(
    "family", [family for family in FAMILIES if family.key not in (*UNLIKE_ANY, *BY_DEPTH)], ids=lambda f: f.key
)
def test_every_other_family_has_kohya_names_that_lead_back_to_the_layer(family: Family) -> None:
    name = "diffusion_model." + next((name for name in family.signature if name.endswith("weight")), "a.b_c.weight")
    keys = Kohya().for_names(family, [name]).keys(family, name, "matrix", factors=True)
    assert set(keys) == {"up", "down", "alpha"}
    index = Kohya().parse(keys.values())
    assert index is not None
    assert index.found(keys) == keys
    assert index.has_factors


@pytest.mark.parametrize(
    ("family", "clip", "prefix"),
    [
        ("flux", "clip_l", "lora_te1_"),
        ("flux", "t5xxl", "lora_te3_"),
        ("sd3", "clip_l", "lora_te1_"),
        ("sd3", "clip_g", "lora_te2_"),
        ("sd3", "t5xxl", "lora_te3_"),
        ("sd1", "clip_l", "lora_te_"),
        ("wan", "umt5xxl", None),
    ],
)
def test_text_encoders_are_numbered_as_trainers_number_them(family: str, clip: str, prefix: str | None) -> None:
    inner = "encoder.block.0.layer.0.SelfAttention.q" if "t5" in clip else "text_model.encoder.layers.0.mlp.fc1"
    keys = Kohya().keys(FAMILY[family], f"text_encoders.{clip}.transformer.{inner}.weight", "matrix", factors=True)
    expected = None if prefix is None else f"{prefix}{inner.replace('.', '_')}.lora_up.weight"
    assert keys.get("up") == expected


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"lora_type": "full"}, "full"), ({"include": "*modulation*"}, "nothing")],
    ids=["full", "nothing it can hold"],
)
def test_what_it_cannot_write_is_refused_before_any_work(tmp_path: Path, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(EngineError) as caught:
        planned(wan_pair(tmp_path), tmp_path / "out", key_format="kohya", **settings)
    assert (caught.value.code, caught.value.data["reason"]) == (ErrorCode.FORMAT_UNSUITABLE, reason)
    assert caught.value.data["available"] == ["ComfyUI"]
    assert not (tmp_path / "out").exists()


def test_models_of_no_family_are_refused_before_any_work(tmp_path: Path) -> None:
    base = matrices(2)
    tuned = {name: value + random_tensor(*value.shape, seed=5) for name, value in base.items()}
    pair = save_model(tmp_path / "t.safetensors", tuned), save_model(tmp_path / "b.safetensors", base)
    with pytest.raises(EngineError) as caught:
        planned(pair, tmp_path / "out", key_format="kohya")
    assert caught.value.data["reason"] == "no_names"


def test_a_format_that_this_version_does_not_know_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        planned(wan_pair(tmp_path), tmp_path, key_format="of_tomorrow")
    assert (caught.value.code, caught.value.data["name"]) == (ErrorCode.FORMAT_UNKNOWN, "of_tomorrow")


def test_what_diffusers_does_not_load_is_said_before_the_start(tmp_path: Path) -> None:
    notices = planned(wan_pair(tmp_path), tmp_path, key_format="kohya").notices
    assert notices[0].code is NoticeCode.DIFFUSERS_REFUSES
    assert [notice.code for notice in Kohya().notices(FAMILY["flux"])] == [NoticeCode.DIFFUSERS_READS_BLOCKS]
    assert Kohya().notices(FAMILY["sdxl"]) == ()


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_layers_of_a_comfyui_run_come_from_the_cache_and_the_file_is_the_same(tmp_path: Path, dtype: str) -> None:
    rules = {"rank": 6, "output_dtype": dtype, "clamp_quantile": False}
    with Session(*wan_pair(tmp_path), DecompositionStore(tmp_path / "store")) as session:
        fresh = extracted(session, tmp_path / "a", key_format="kohya", resume=False, **rules)
        first = extracted(session, tmp_path / "b", key_format="comfyui", resume=False, **rules)
        cached = extracted(session, tmp_path / "c", key_format="kohya", **rules)
        again = extracted(session, tmp_path / "d", key_format="kohya", **rules)
        back = extracted(session, tmp_path / "e", key_format="comfyui", **rules)
    assert (fresh.layers_reused, cached.layers_reused, again.layers_reused) == (0, len(BASE), len(BASE))
    assert back.layers_reused == len(WAN)
    for one, other in ((fresh, cached), (fresh, again), (first, back)):
        ours, theirs = (load_file(result.outputs[0].path) for result in (one, other))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_stopped_run_and_its_resumption_store_clamped_factors_bit_by_bit(tmp_path: Path) -> None:
    rules = {"rank": 6, "key_format": "kohya", "clamp_max_loss": 1.0}
    with Session(*wan_pair(tmp_path), DecompositionStore(tmp_path / "store")) as session:
        fresh = extracted(session, tmp_path / "a", resume=False, **rules)
        cached = extracted(session, tmp_path / "b", **rules)
    assert cached.layers_reused == len(BASE)
    assert [row.energy_retained for row in cached.rows] == [row.energy_retained for row in fresh.rows]
    assert fresh.outputs[0].path.read_bytes()[-256:] == cached.outputs[0].path.read_bytes()[-256:]
    ours, theirs = (load_file(result.outputs[0].path) for result in (fresh, cached))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_of_two_weights_with_one_key_the_second_is_left_out_and_counts_as_not_kept(tmp_path: Path) -> None:
    names = [*BASE, "blocks.0.x_y.weight", "blocks.0.x.y.weight"]
    base = {name: random_tensor(24, 16, seed=number) for number, name in enumerate(names)}
    base["head.modulation"] = random_tensor(1, 2, 24, seed=90)
    step = {name: random_tensor(*value.shape, seed=50 + number) for number, (name, value) in enumerate(base.items())}
    tuned = {name: value + 0.1 * step[name] for name, value in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    ran = run(pair, tmp_path, key_format="kohya", **EXACT)
    lora = load_file(ran.lora)
    assert len(lora) == 3 * (len(names) - 1) == 3 * len(ran.result.rows)
    left = [item for item in ran.result.outputs[0].report.read_text().splitlines() if "same key as" in item]
    assert len(left) == 1
    kept = next(row.name for row in ran.result.rows if ".x" in row.name)
    assert kept in left[0]
    told = [event for event in ran.events if isinstance(event, Notice) and event.code is NoticeCode.NOT_IN_FORMAT]
    assert told[0].data["layers"] == 2
    found = verified(pair, ran.lora)
    assert found.mean_energy_retained == pytest.approx(ran.result.outputs[0].mean_energy_retained, abs=1e-6)
    assert found.mean_energy_retained < 0.97


def test_a_writer_refuses_a_second_tensor_of_one_name(tmp_path: Path) -> None:
    writer = SafetensorsWriter(tmp_path, 1024)
    try:
        for size in (8, 1):
            writer.add(f"a{size}", torch.ones(size))
            with pytest.raises(ValueError, match=f"a{size}"):
                writer.add(f"a{size}", torch.ones(size))
    finally:
        writer.abort()


def assert_same_tensors(one: ExtractionResult, other: ExtractionResult) -> None:
    ours, theirs = (load_file(result.outputs[0].path) for result in (one, other))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_tiny_factors_that_comfyui_stores_scaled_come_from_the_cache_at_kohyas_alpha(tmp_path: Path) -> None:
    rules = {"rank": 4, "output_dtype": "fp16", "clamp_quantile": False}
    with Session(*wan_pair(tmp_path, scale=1e-9), DecompositionStore(tmp_path / "store")) as session:
        fresh = extracted(session, tmp_path / "a", key_format="kohya", resume=False, **rules)
    with Session(*wan_pair(tmp_path, scale=1e-9), DecompositionStore(tmp_path / "other")) as session:
        scaled_up = extracted(session, tmp_path / "b", key_format="comfyui", **rules)
        cached = extracted(session, tmp_path / "c", key_format="kohya", **rules)
    alphas = {float(value) for key, value in load_file(scaled_up.outputs[0].path).items() if key.endswith("alpha")}
    assert max(alphas) < 4.0  # so they are scaled
    assert cached.layers_reused == len(BASE)
    assert {float(v) for k, v in load_file(cached.outputs[0].path).items() if k.endswith("alpha")} == {4.0}
    assert_same_tensors(fresh, cached)


def test_a_file_with_fewer_layers_and_so_another_alpha_is_the_same_from_the_cache(tmp_path: Path) -> None:
    base = {**BASE, "blocks.9.wide.weight": (64, 48)}
    values = {name: random_tensor(*shape, seed=n) for n, (name, shape) in enumerate(base.items())}
    values["head.modulation"] = random_tensor(1, 2, 24, seed=90)
    tuned = {name: value + 0.1 * random_tensor(*value.shape, seed=99) for name, value in values.items()}
    pair = save_model(tmp_path / "t.safetensors", tuned), save_model(tmp_path / "b.safetensors", values)
    rules = {"rank": 48, "output_dtype": "fp16", "key_format": "kohya"}
    with Session(*pair, DecompositionStore(tmp_path / "store")) as session:
        everything = extracted(session, tmp_path / "a", **rules)
        cached = extracted(session, tmp_path / "b", exclude="*wide*", **rules)
    with Session(*pair) as session:
        fresh = extracted(session, tmp_path / "c", exclude="*wide*", **rules)
    alphas = [
        {float(value) for key, value in load_file(result.outputs[0].path).items() if key.endswith("alpha")}
        for result in (everything, cached)
    ]
    assert alphas == [{48.0}, {24.0}]
    assert cached.layers_reused == len(BASE)
    assert_same_tensors(fresh, cached)


def test_a_model_with_a_parameter_called_alpha_is_not_verified_as_a_lora(tmp_path: Path) -> None:
    tensors = {"blocks.0.q.weight": torch.ones(4, 4), "blocks.0.snake.alpha": torch.ones(4)}
    model = save_model(tmp_path / "model.safetensors", tensors)
    with pytest.raises(EngineError) as caught:
        verified(wan_pair(tmp_path), model)
    assert caught.value.code is ErrorCode.NOT_A_LORA
