"""Nothing is left out in silence: every tensor that is not in the LoRA is named, with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from extraction_runs import EXACT, run, verified
from model_files import PREFIX, Tensors, every_kind, matrices, random_tensor, save_model, save_pair
from safetensors.torch import load_file

from engine.errors import EngineError, ErrorCode


def layer(index: int) -> str:
    return f"diffusion_model.layers.{index}.weight"


def changed(base: Tensors, names: list[str], change: float = 0.1) -> Tensors:
    return {
        name: tensor + change * random_tensor(*tensor.shape, seed=99) if name in names else tensor.clone()
        for name, tensor in base.items()
    }


def saved(folder: Path, tuned: Tensors, base: Tensors) -> tuple[Path, Path]:
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def pair_with_new_rows(folder: Path, name: str, tuned_rows: int, base_rows: int) -> tuple[Path, Path]:
    base = {name: random_tensor(base_rows, 12, seed=0), "layers.0.weight": random_tensor(12, 12, seed=1)}
    tuned = {name: random_tensor(tuned_rows, 12, seed=2), "layers.0.weight": random_tensor(12, 12, seed=3)}
    return saved(folder, tuned, base)


def broken_pair(folder: Path, value: float = float("nan"), *, side: str = "tuned") -> tuple[Path, Path]:
    """Four layers, two of them with a value that is no number."""
    base = matrices(4)
    tuned = changed(base, list(base))
    for name in (f"{PREFIX}layers.1.weight", f"{PREFIX}layers.3.weight"):
        (tuned if side == "tuned" else base)[name][5, 7] = value
    return saved(folder, tuned, base)


def test_unchanged_layers_are_left_out_and_counted(tmp_path: Path) -> None:
    base = matrices(4)
    pair = saved(tmp_path, changed(base, [f"{PREFIX}layers.2.weight"]), base)
    ran = run(pair, tmp_path)
    assert ran.left_out == {layer(index): "unchanged" for index in (0, 1, 3)}
    assert ran.result.skipped == 3


def test_only_changed_layers_have_keys_in_the_file(tmp_path: Path) -> None:
    base = matrices(4)
    pair = saved(tmp_path, changed(base, [f"{PREFIX}layers.2.weight"]), base)
    assert {name.split(".lora_")[0] for name in load_file(run(pair, tmp_path).lora)} == {
        "diffusion_model.layers.2",
        "diffusion_model.layers.2.alpha",
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("side", ["tuned", "base"])
def test_a_value_that_is_no_number_ends_the_run_with_all_such_layers_named(
    side: str, value: float, tmp_path: Path
) -> None:
    pair = broken_pair(tmp_path, value, side=side)
    with pytest.raises(EngineError) as caught:
        run(pair, tmp_path / "out")
    assert caught.value.code is ErrorCode.NON_FINITE
    assert caught.value.data["layers"] == [layer(1), layer(3)]
    assert caught.value.file == str(pair[0] if side == "tuned" else pair[1])


def test_nothing_is_written_where_a_layer_is_broken(tmp_path: Path) -> None:
    with pytest.raises(EngineError):
        run(broken_pair(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_broken_layers_are_left_out_where_that_was_asked_for(tmp_path: Path) -> None:
    ran = run(broken_pair(tmp_path), tmp_path / "out", skip_nonfinite=True)
    assert ran.left_out == {layer(1): "non_finite", layer(3): "non_finite"}
    assert {row.name for row in ran.result.rows} == {layer(0), layer(2)}


def test_layers_that_changed_no_more_than_the_limit_are_left_out(tmp_path: Path) -> None:
    base = matrices(3)
    names = list(base)
    tuned = {name: base[name] * (1 + step) for name, step in zip(names, (0.001, 0.05, 0.2), strict=True)}
    ran = run(saved(tmp_path, tuned, base), tmp_path, min_change=0.01)
    assert ran.left_out == {layer(0): "below_min_change"}


def test_what_the_limit_leaves_out_counts_as_nothing_kept(tmp_path: Path) -> None:
    base = matrices(2)
    tuned = {name: base[name] * (1 + step) for name, step in zip(base, (0.05, 0.2), strict=True)}
    ran = run(saved(tmp_path, tuned, base), tmp_path, min_change=0.1, **EXACT)
    energies = [float((tuned[name].double() - base[name].double()).square().sum()) for name in base]
    assert ran.result.outputs[0].mean_energy_retained == pytest.approx(energies[1] / sum(energies), abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"include": "*layers.1.*, *layers.2.*"}, {1, 2}),
        ({"exclude": "*layers.1.*"}, {0, 2, 3}),
        ({"include": "*layers.?.*", "exclude": "*.0.*"}, {1, 2, 3}),
    ],
)
def test_patterns_choose_the_layers(settings: dict[str, str], expected: set[int], tmp_path: Path) -> None:
    base = matrices(4)
    ran = run(saved(tmp_path, changed(base, list(base)), base), tmp_path, **settings)
    assert {row.name for row in ran.result.rows} == {layer(index) for index in expected}
    assert set(ran.left_out.values()) == {"excluded"}


def test_patterns_that_fit_nothing_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="nothing_selected"):
        run(save_pair(tmp_path), tmp_path, include="nothing.like.this")


PARTS = {
    "denoiser": "model.diffusion_model.a.weight",
    "text_encoders": "text_encoders.clip_l.transformer.text_model.b.weight",
    "vae": "first_stage_model.c.weight",
    "other": "logit.d.weight",
}


@pytest.mark.parametrize("chosen", [("denoiser",), ("text_encoders",), ("vae",), ("other",), tuple(PARTS)])
def test_only_the_chosen_parts_are_extracted(chosen: tuple[str, ...], tmp_path: Path) -> None:
    base = {name: random_tensor(6, 6, seed=index) for index, name in enumerate(PARTS.values())}
    ran = run(saved(tmp_path, changed(base, list(base)), base), tmp_path, components=chosen)
    assert {row.name[-8] for row in ran.result.rows} == {PARTS[part][-8] for part in chosen}
    assert sorted(ran.left_out.values()) == ["component_not_chosen"] * (4 - len(chosen))


def test_a_weight_that_only_the_fine_tune_has_is_named_and_by_default_not_written(tmp_path: Path) -> None:
    base = matrices(2)
    tuned = changed(base, list(base)) | {f"{PREFIX}extra.weight": random_tensor(3, 3, seed=5)}
    ran = run(saved(tmp_path, tuned, base), tmp_path)
    assert ran.left_out == {"diffusion_model.extra.weight": "only_finetuned"}
    assert not any("extra" in name for name in load_file(ran.lora))


def test_a_new_weight_is_written_whole_where_that_was_asked_for(tmp_path: Path) -> None:
    base = matrices(2)
    tuned = changed(base, list(base)) | {f"{PREFIX}extra.weight": random_tensor(3, 3, seed=5)}
    lora = load_file(run(saved(tmp_path, tuned, base), tmp_path, set_weight=True).lora)
    assert torch.equal(lora["diffusion_model.extra.set_weight"], tuned[f"{PREFIX}extra.weight"])


def test_a_new_weight_that_was_written_is_in_the_report_and_not_among_those_left_out(tmp_path: Path) -> None:
    base = matrices(2)
    tuned = changed(base, list(base)) | {f"{PREFIX}extra.weight": random_tensor(3, 3, seed=5)}
    ran = run(saved(tmp_path, tuned, base), tmp_path, set_weight=True)
    report = json.loads(ran.result.outputs[0].report.read_text())
    assert report["totals"]["set_weights"] == ["diffusion_model.extra.weight"]
    assert ran.left_out == {}


def test_a_new_weight_with_nan_is_never_written(tmp_path: Path) -> None:
    base = matrices(2)
    tuned = changed(base, list(base)) | {f"{PREFIX}extra.weight": torch.full((3, 3), float("nan"))}
    pair = saved(tmp_path, tuned, base)
    with pytest.raises(EngineError) as caught:
        run(pair, tmp_path / "out", set_weight=True)
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.NON_FINITE, "diffusion_model.extra.weight")
    ran = run(pair, tmp_path / "out", set_weight=True, skip_nonfinite=True)
    assert ran.left_out == {"diffusion_model.extra.weight": "non_finite"}
    assert not any("extra" in name for name in load_file(ran.lora))


def test_a_new_weight_inside_a_fused_one_is_written_under_its_own_name_and_shape(tmp_path: Path) -> None:
    fused = "conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight"
    base = matrices(2)
    tuned = changed(base, list(base)) | {fused: random_tensor(12, 4, seed=5)}
    lora = load_file(run(saved(tmp_path, tuned, base), tmp_path, set_weight=True).lora)
    start = "text_encoders.clip_g.transformer.text_model.encoder.layers.0.self_attn."
    for index, part in enumerate("qkv"):
        assert torch.equal(lora[f"{start}{part}_proj.set_weight"], tuned[fused][4 * index : 4 * index + 4])


@pytest.mark.parametrize(("tuned_rows", "base_rows"), [(32, 30), (30, 32)])
@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "lm_head.weight"])
def test_the_common_rows_of_a_resized_vocabulary_are_extracted(
    name: str, tuned_rows: int, base_rows: int, tmp_path: Path
) -> None:
    pair = pair_with_new_rows(tmp_path, name, tuned_rows, base_rows)
    ran = run(pair, tmp_path, **EXACT)
    tuned, base, lora = (load_file(path) for path in (*pair, ran.lora))
    stem = next(
        key.removesuffix(".lora_up.weight") for key in lora if key.endswith("lora_up.weight") and "0" not in key
    )
    added = lora[f"{stem}.alpha"] / lora[f"{stem}.lora_down.weight"].shape[0]
    added = added * lora[f"{stem}.lora_up.weight"] @ lora[f"{stem}.lora_down.weight"]
    common = min(tuned_rows, base_rows)
    torch.testing.assert_close((base[name] + added)[:common], tuned[name][:common], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(added[common:], torch.zeros(base_rows - common, 12), rtol=0, atol=1e-5)


def test_a_resized_vocabulary_is_verified_as_it_was_extracted(tmp_path: Path) -> None:
    pair = pair_with_new_rows(tmp_path, "lm_head.weight", 32, 30)
    ran = run(pair, tmp_path, **EXACT)
    found = verified(pair, ran.lora)
    assert found.worst_energy_retained > 1 - 1e-9
    tuned, base = (load_file(path) for path in pair)
    new = float(tuned["lm_head.weight"][30:].double().square().sum())
    change = sum(float((tuned[name][: len(base[name])].double() - base[name].double()).square().sum()) for name in base)
    assert found.mean_energy_retained == pytest.approx(change / (change + new), abs=1e-9)
    assert ran.result.outputs[0].mean_energy_retained == pytest.approx(found.mean_energy_retained, abs=1e-6)


def test_tensors_that_cannot_be_used_are_named_with_the_reason(tmp_path: Path) -> None:
    base = matrices(1) | {
        "model_ema.layers0weight": random_tensor(4, 4, seed=1),
        "first_stage_model.conv.weight": random_tensor(4, 4, seed=2),
        f"{PREFIX}position_ids": torch.arange(4),
        f"{PREFIX}conv_in.weight": random_tensor(4, 4, 3, 3, seed=3),
        f"{PREFIX}wider.weight": random_tensor(4, 4, seed=7),
        f"{PREFIX}empty.weight": torch.zeros(0, 4),
        f"{PREFIX}six.weight": random_tensor(1, 2, 1, 2, 1, 2, seed=6),
        f"{PREFIX}gone.weight": random_tensor(4, 4, seed=4),
    }
    tuned = changed(base, [f"{PREFIX}layers.0.weight"])
    tuned[f"{PREFIX}conv_in.weight"] = random_tensor(4, 9, 3, 3, seed=5)
    tuned[f"{PREFIX}wider.weight"] = random_tensor(6, 8, seed=8)
    del tuned[f"{PREFIX}gone.weight"]
    assert run(saved(tmp_path, tuned, base), tmp_path).left_out == {
        "model_ema.layers0weight": "ema_copy",
        "vae.conv.weight": "component_not_chosen",
        "diffusion_model.position_ids": "not_float",
        "diffusion_model.conv_in.weight": "grown_part",
        "diffusion_model.wider.weight": "shape_differs",
        "diffusion_model.empty.weight": "empty",
        "diffusion_model.six.weight": "too_many_dimensions",
        "diffusion_model.gone.weight": "only_original",
    }


def test_the_report_lists_what_was_left_out(tmp_path: Path) -> None:
    base = matrices(2)
    pair = saved(tmp_path, changed(base, [f"{PREFIX}layers.0.weight"]), base)
    report = json.loads(run(pair, tmp_path).result.outputs[0].report.read_text())
    assert [(item["name"], item["reason"]) for item in report["left_out"]] == [(layer(1), "unchanged")]


def test_switched_off_biases_are_named(tmp_path: Path) -> None:
    off = {
        name
        for name, reason in run(save_pair(tmp_path), tmp_path, bias_diff=False).left_out.items()
        if reason == "biases_off"
    }
    assert off == {
        f"diffusion_model.{name}"
        for name, tensor in every_kind(0).items()
        if not (name.endswith(".weight") and tensor.dim() > 1)
    }
