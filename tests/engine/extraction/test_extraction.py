"""Base plus LoRA is the fine-tune, for every dtype and kind of weight, and the figures said about it are true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import comfyui_consumer
import pytest
import torch
from extraction_runs import EXACT, run, verified
from model_files import PREFIX, every_kind, matrices, random_tensor, save_model, save_pair
from safetensors.torch import load_file

DTYPES = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "e4m3fn": torch.float8_e4m3fn,
    "e5m2": torch.float8_e5m2,
}
SIDES = [(name, name) for name in DTYPES] + [("bf16", "fp32"), ("fp16", "e4m3fn"), ("e5m2", "bf16")]
TYPES = {
    "standard": {},
    "full": {},
    "adaptive_ratio": {"adaptive_param": 0.15},
    "adaptive_quantile": {"adaptive_param": 0.5},
    "adaptive_energy": {"adaptive_param": 0.9},
    "adaptive_fro": {"adaptive_param": 0.9},
}


def named(path: Path) -> dict[str, torch.Tensor]:
    """A model in float32 under ComfyUI's own names."""
    return {"diffusion_model." + name.removeprefix(PREFIX): value.float() for name, value in load_file(path).items()}


def deltas(pair: tuple[Path, Path]) -> dict[str, torch.Tensor]:
    tuned, base = map(named, pair)
    return {name: tuned[name].double() - base[name].double() for name in base}


def pair_in(folder: Path, tuned_dtype: str, base_dtype: str) -> tuple[Path, Path]:
    base, step = every_kind(seed=0), every_kind(seed=100)
    tuned = {PREFIX + name: (base[name] + 0.3 * step[name]).to(DTYPES[tuned_dtype]) for name in base}
    original = {PREFIX + name: tensor.to(DTYPES[base_dtype]) for name, tensor in base.items()}
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", original)


@pytest.mark.parametrize("algorithm", ["svd_linalg", "svd_lowrank"])
@pytest.mark.parametrize(("tuned", "base"), SIDES, ids=["-".join(side) for side in SIDES])
def test_at_full_rank_base_plus_lora_is_the_fine_tune(tuned: str, base: str, algorithm: str, tmp_path: Path) -> None:
    pair = pair_in(tmp_path, tuned, base)
    ran = run(pair, tmp_path, algorithm=algorithm, round_original="off", **EXACT)
    lora = comfyui_consumer.load_lora(ran.lora)
    fine_tune, result = named(pair[0]), comfyui_consumer.apply(lora, named(pair[1]))
    for name, expected in fine_tune.items():
        torch.testing.assert_close(result[name], expected, rtol=2e-6, atol=2e-6, msg=name)


@pytest.mark.parametrize("lora_type", TYPES)
@pytest.mark.parametrize(("tuned", "base"), [("fp32", "fp32"), ("bf16", "bf16"), ("e4m3fn", "bf16")])
def test_each_reported_error_is_the_files_own(tuned: str, base: str, lora_type: str, tmp_path: Path) -> None:
    pair = pair_in(tmp_path, tuned, base)
    ran = run(pair, tmp_path, lora_type=lora_type, rank=4, round_original="off", **TYPES[lora_type])
    added = comfyui_consumer.changes(comfyui_consumer.load_lora(ran.lora), named(pair[1]))
    expected = deltas(pair)
    for row in ran.result.rows:
        error = torch.linalg.norm(expected[row.name] - added[row.name]) / torch.linalg.norm(expected[row.name])
        assert row.relative_error == pytest.approx(float(error), rel=1e-4, abs=1e-6), row.name


@pytest.mark.parametrize("lora_type", TYPES)
def test_the_mean_is_the_share_of_the_whole_change(lora_type: str, tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    ran = run(pair, tmp_path, lora_type=lora_type, rank=3, **TYPES[lora_type])
    added = comfyui_consumer.changes(comfyui_consumer.load_lora(ran.lora), named(pair[1]))
    expected = deltas(pair)
    lost = sum(float((delta - added[name]).square().sum()) for name, delta in expected.items())
    total = sum(float(delta.square().sum()) for delta in expected.values())
    assert ran.result.outputs[0].mean_energy_retained == pytest.approx(1 - lost / total, abs=1e-6)


def test_biases_that_are_off_count_as_nothing_kept(tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    ran = run(pair, tmp_path, bias_diff=False, **EXACT)
    expected = deltas(pair)
    whole = sum(float(delta.square().sum()) for delta in expected.values())
    kept = sum(float(expected[row.name].square().sum()) for row in ran.result.rows)
    assert {row.kind for row in ran.result.rows} == {"matrix", "conv"}
    assert ran.result.outputs[0].mean_energy_retained == pytest.approx(kept / whole, abs=1e-6)


@pytest.mark.parametrize("lora_type", TYPES)
def test_verifying_finds_the_same_figures_as_the_run(lora_type: str, tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    ran = run(pair, tmp_path, lora_type=lora_type, rank=3, **TYPES[lora_type])
    judged = {layer.name: layer for layer in verified(pair, ran.lora).layers}
    assert set(judged) == {row.name for row in ran.result.rows}
    for row in ran.result.rows:
        assert judged[row.name].energy_retained == pytest.approx(row.energy_retained, abs=1e-6)
        assert judged[row.name].rank == row.rank


def test_verifying_finds_the_mean_and_the_worst_of_the_run(tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    ran = run(pair, tmp_path, rank=2, exclude=("*attn*",))
    judged, output = verified(pair, ran.lora), ran.result.outputs[0]
    assert judged.mean_energy_retained == pytest.approx(output.mean_energy_retained, abs=1e-6)
    assert judged.worst_energy_retained == pytest.approx(output.worst_energy_retained, abs=1e-6)


@pytest.mark.parametrize("dtype", ["fp16", "bf16", "fp32"])
@pytest.mark.parametrize("lora_type", ["standard", "full", "adaptive_ratio"])
def test_every_set_of_factors_has_its_alpha(lora_type: str, dtype: str, tmp_path: Path) -> None:
    lora = load_file(run(save_pair(tmp_path), tmp_path, lora_type=lora_type, output_dtype=dtype).lora)
    layers = {name.removesuffix(".lora_up.weight") for name in lora if name.endswith(".lora_up.weight")}
    assert {f"{layer}.alpha" for layer in layers} == {name for name in lora if name.endswith(".alpha")}
    assert bool(layers) == (lora_type != "full")


def test_the_report_says_what_the_file_holds(tmp_path: Path) -> None:
    ran = run(save_pair(tmp_path), tmp_path, rank=3)
    output = ran.result.outputs[0]
    report = json.loads(output.report.read_text())
    lora = load_file(ran.lora)
    assert report["output"] == ran.lora.name
    assert report["size_bytes"] == ran.lora.stat().st_size
    assert set(next(layer for layer in report["layers"] if layer["rank"])) == {
        *("name", "kind", "shape", "rank", "energy_retained", "energy_before", "relative_error", "relative_change"),
        *("delta_energy", "singular_values", "capped", "clamp", "stored_dtype", "solver", "seconds", "stage_seconds"),
        *("residual_energy", "seed", "algorithm", "iterations", "solver_version", "rounded"),
        *("noise_share", "noise_share_both_sides", "real_energy_retained", "real_energy_interval"),
        *("real_energy_retained_both_sides", "all_noise"),
    }
    assert {layer["name"]: layer["rank"] for layer in report["layers"] if layer["rank"]} == {
        name.removesuffix(".lora_down.weight") + ".weight": tensor.shape[0]
        for name, tensor in lora.items()
        if name.endswith(".lora_down.weight")
    }


def test_the_header_names_the_sources_and_every_parameter(tmp_path: Path) -> None:
    from safetensors import safe_open

    ran = run(save_pair(tmp_path), tmp_path, rank=3, seed=11)
    with safe_open(ran.lora, framework="pt") as file:
        texts = file.metadata()
    assert texts["lora_extractor.finetuned_model"] == "tuned.safetensors"
    assert texts["lora_extractor.original_model"] == "base.safetensors"
    assert json.loads(texts["lora_extractor.settings"])["seed"] == 11
    assert texts["ss_network_dim"] == "3"


def test_the_header_hash_is_that_of_the_source_files_header(tmp_path: Path) -> None:
    import hashlib

    from safetensors import safe_open

    pair = save_pair(tmp_path)
    raw = pair[1].read_bytes()
    header = raw[8 : 8 + int.from_bytes(raw[:8], "little")]
    with safe_open(run(pair, tmp_path).lora, framework="pt") as file:
        assert file.metadata()["lora_extractor.original_header_sha256"] == hashlib.sha256(header).hexdigest()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"rank": 32}, "lora_rank_32_fp16_balanced_b10_bs4_00001_.safetensors"),
        ({"lora_type": "full"}, "lora_rank_full_fp16_balanced_b10_bs4_00001_.safetensors"),
        (
            {"lora_type": "adaptive_fro", "adaptive_param": 0.85, "output_dtype": "bf16"},
            "lora_rank_adaptive_fro_0.85_bf16_balanced_b10_bs4_00001_.safetensors",
        ),
    ],
)
def test_the_file_is_named_by_its_settings(settings: dict[str, object], expected: str, tmp_path: Path) -> None:
    assert run(save_pair(tmp_path), tmp_path, **settings).lora.name == expected


def test_the_folder_part_of_the_prefix_is_made_under_the_output_folder(tmp_path: Path) -> None:
    ran = run(save_pair(tmp_path), tmp_path / "out", filename_prefix="styles/ink/first")
    assert ran.lora.parent == tmp_path / "out" / "styles" / "ink"


def test_each_run_takes_the_next_number(tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    numbers = [re.findall(r"_(\d{5})_\.safetensors$", run(pair, tmp_path).lora.name)[0] for _ in range(3)]
    assert numbers == ["00001", "00002", "00003"]


def test_the_same_settings_write_the_same_tensors(tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    first, second = (load_file(run(pair, tmp_path, algorithm="svd_lowrank").lora) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_layers_result_does_not_depend_on_which_others_are_extracted(tmp_path: Path) -> None:
    base, step = matrices(3, shape=(96, 160)), matrices(3, seed=50, shape=(96, 160))
    pair = (
        save_model(tmp_path / "tuned.safetensors", {name: base[name] + step[name] for name in base}),
        save_model(tmp_path / "base.safetensors", base),
    )
    options = {"algorithm": "svd_lowrank", "lowrank_iters": 1}
    together = load_file(run(pair, tmp_path, **options).lora)
    alone = load_file(run(pair, tmp_path, include=("*layers.2.*",), **options).lora)
    assert all(torch.equal(alone[name], together[name]) for name in alone)


def test_a_tensor_that_fp16_would_damage_is_stored_in_float32_and_named(tmp_path: Path) -> None:
    base = {f"{PREFIX}norm.weight": random_tensor(64, seed=0), f"{PREFIX}a.weight": random_tensor(8, 8, seed=1)}
    tuned = {name: tensor.clone() for name, tensor in base.items()}
    tuned[f"{PREFIX}a.weight"] += 0.1
    base[f"{PREFIX}norm.weight"] = torch.zeros(64)
    tuned[f"{PREFIX}norm.weight"] = 1e-8 * random_tensor(64, seed=2)
    pair = save_model(tmp_path / "t.safetensors", tuned), save_model(tmp_path / "b.safetensors", base)
    ran = run(pair, tmp_path)
    assert load_file(ran.lora)["diffusion_model.norm.diff"].dtype == torch.float32
    notices = [event for event in ran.events if getattr(event, "code", None) == "stored_fp32"]
    assert [notice.name for notice in notices] == ["diffusion_model.norm.weight"]
