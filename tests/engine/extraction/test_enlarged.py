"""With ``set_weight`` the new part of a weight is in the file, too: programs enlarge the weight for it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from comfyui_consumer import load_lora
from extraction_runs import EXACT, Run, run, verified
from model_files import PREFIX, Tensors, matrices, random_tensor, save_model

from engine.cancel import CancelToken
from engine.events import NoticeCode
from engine.lora.lora_file import LoraFile
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

CONV, LINEAR, ROWS = "conv_in.weight", "img_in.weight", "embed_tokens.weight"
SHAPES = {  # of the original, and of the fine-tuned model
    CONV: ((8, 4, 3, 3), (8, 9, 3, 3)),
    LINEAR: ((24, 10), (24, 40)),
    ROWS: ((50, 16), (62, 16)),
}


def made_pair(folder: Path, name: str, *, changed: bool = True, scale: float = 1.0) -> tuple[Tensors, Tensors]:
    small, large = SHAPES[name]
    base = matrices(6) | {PREFIX + name: scale * random_tensor(*small, seed=50)}
    tuned = {key: tensor + 0.1 * random_tensor(*tensor.shape, seed=60) for key, tensor in matrices(6).items()}
    tuned[PREFIX + name] = scale * random_tensor(*large, seed=51)
    common = tuple(slice(0, size) for size in small)
    change = 0.1 * scale * random_tensor(*small, seed=52) if changed else 0.0
    tuned[PREFIX + name][common] = base[PREFIX + name] + change
    save_model(folder / "tuned.safetensors", tuned)
    save_model(folder / "base.safetensors", base)
    return tuned, base


def files(folder: Path) -> tuple[Path, Path]:
    return folder / "tuned.safetensors", folder / "base.safetensors"


def padded(weight: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """By ComfyUI's rule, comfy/utils.py, `pad_tensor_to_shape`."""
    assert weight.dim() == len(shape)
    assert all(new >= old for new, old in zip(shape, weight.shape, strict=True))
    full = torch.zeros(shape, dtype=weight.dtype)
    full[tuple(slice(0, size) for size in weight.shape)] = weight
    return full


def enlarged(lora: Tensors, name: str, weight: torch.Tensor) -> torch.Tensor:
    """A weight with the LoRA, by ComfyUI's rule: comfy/weight_adapter/lora.py, `LoRAAdapter.calculate_weight`."""
    stem = "diffusion_model." + name.removesuffix(".weight")
    up, down = (lora[f"{stem}.lora_{part}.weight"].double().flatten(1) for part in ("up", "down"))
    weight = padded(weight.double(), tuple(lora[f"{stem}.reshape_weight"].tolist()))
    return weight + (float(lora[f"{stem}.alpha"]) / down.shape[0] * (up @ down)).reshape(weight.shape)


@pytest.mark.parametrize("name", SHAPES)
def test_the_original_with_the_lora_is_the_fine_tuned_model_new_part_included(name: str, tmp_path: Path) -> None:
    tuned, base = made_pair(tmp_path, name)
    ran = run(files(tmp_path), tmp_path, set_weight=True, **EXACT)
    found = enlarged(load_lora(ran.lora), name, base[PREFIX + name])
    np.testing.assert_allclose(found, tuned[PREFIX + name].double(), atol=2e-6)
    assert "grown_part" not in ran.left_out.values()
    assert ran.result.outputs[0].coverage.complete


@pytest.mark.parametrize("name", SHAPES)
def test_the_new_part_is_whole_at_any_rank_and_the_common_one_as_good_as_the_rank_allows(
    name: str, tmp_path: Path
) -> None:
    tuned, base = made_pair(tmp_path, name)
    ran = run(files(tmp_path), tmp_path, set_weight=True, rank=2, output_dtype="fp32", clamp_quantile=False)
    found = enlarged(load_lora(ran.lora), name, base[PREFIX + name])
    small, large = SHAPES[name]
    common = tuple(slice(0, size) for size in small)
    delta = (tuned[PREFIX + name][common].double() - base[PREFIX + name].double()).flatten(1).numpy()
    lost = float(np.square(np.linalg.svd(delta, compute_uv=False)[2:]).sum())
    missed = tuned[PREFIX + name].double() - found
    assert float(missed[common].square().sum()) == pytest.approx(lost, rel=1e-4)
    missed[common] = 0.0
    assert float(missed.abs().max()) < 1e-6
    grown = math.prod(large) - math.prod(small)
    assert ran.result.outputs[0].coverage.whole == grown


@pytest.mark.parametrize("dtype", ["fp16", "bf16", "fp32"])
@pytest.mark.parametrize("scale", [1.0, 1e-5, 300.0])
def test_the_new_part_survives_any_dtype_of_the_factors(scale: float, dtype: str, tmp_path: Path) -> None:
    """Small factors are scaled up in fp16, and the new part is with them."""
    tuned, base = made_pair(tmp_path, CONV, scale=scale)
    ran = run(files(tmp_path), tmp_path, set_weight=True, rank=64, output_dtype=dtype)
    found, exact = enlarged(load_lora(ran.lora), CONV, base[PREFIX + CONV]), tuned[PREFIX + CONV].double()
    new = (found - exact)[:, 4:]
    precision = {"fp16": 2e-3, "bf16": 1e-2, "fp32": 1e-6}[dtype]
    assert float(new.norm()) <= precision * float(exact[:, 4:].norm())


def test_a_weight_whose_common_part_did_not_change_is_written_for_its_new_part(tmp_path: Path) -> None:
    tuned, base = made_pair(tmp_path, LINEAR, changed=False)
    ran = run(files(tmp_path), tmp_path, set_weight=True, output_dtype="fp32")
    found = enlarged(load_lora(ran.lora), LINEAR, base[PREFIX + LINEAR])
    np.testing.assert_allclose(found, tuned[PREFIX + LINEAR].double(), atol=1e-6)
    assert not any("img_in" in name for name in ran.left_out)


def test_a_smaller_new_part_than_the_other_side_costs_only_its_own_rank(tmp_path: Path) -> None:
    made_pair(tmp_path, ROWS)
    lora = load_lora(run(files(tmp_path), tmp_path, set_weight=True, rank=4).lora)
    assert lora["diffusion_model.embed_tokens.lora_down.weight"].shape == (4 + 12, 16)
    assert lora["diffusion_model.embed_tokens.lora_up.weight"].shape == (62, 4 + 12)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("rank", [2, 4096])
def test_verify_measures_the_whole_of_an_enlarged_weight(rank: int, name: str, tmp_path: Path) -> None:
    tuned, base = made_pair(tmp_path, name)
    ran = run(files(tmp_path), tmp_path, set_weight=True, rank=rank, output_dtype="fp32", clamp_quantile=False)
    found = verified(files(tmp_path), ran.lora)
    assert found.unknown_keys == ()
    layer = next(item for item in found.layers if item.name == "diffusion_model." + name)
    exact = tuned[PREFIX + name].double()
    delta = exact - padded(base[PREFIX + name].double(), exact.shape)
    missed = exact - enlarged(load_lora(ran.lora), name, base[PREFIX + name])
    expected = 1 - float(missed.square().sum()) / float(delta.square().sum())
    assert layer.energy_retained == pytest.approx(expected, abs=1e-9)
    said = ran.result.outputs[0].worst_energy_retained
    assert found.worst_energy_retained == pytest.approx(said, abs=1e-6), "the file says the same of itself"


def test_the_file_is_no_larger_than_was_said_before(tmp_path: Path) -> None:
    for name in SHAPES:
        made_pair(tmp_path, name)
        ran = run(files(tmp_path), tmp_path, set_weight=True, rank=2, output_dtype="fp32")
        planned = next(event for event in ran.events if type(event).__name__ == "Planned")
        assert ran.result.outputs[0].size_bytes <= planned.output_bytes


def test_the_same_file_comes_out_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    made_pair(tmp_path, CONV)
    store = DecompositionStore(tmp_path / "store")
    written = []
    for folder in ("one", "two"):
        with Session(*files(tmp_path), store) as session:
            settings = ExtractionSettings(filename_prefix="lora", set_weight=True)
            plan = session.plan(settings, HardwareSettings(device="cpu"), tmp_path / folder)
            if folder == "two":
                assert session.kept(plan).layers == len(plan.layers)
            *_, finished = session.extract(plan, CancelToken())
        written.append(finished.result.outputs[0].path.read_bytes())  # type: ignore[union-attr]
    assert written[0] == written[1]


def remark(ran: Run) -> dict[str, Any]:
    notices = [event for event in ran.events if getattr(event, "code", None) is NoticeCode.COMMON_PART_PAIRED]
    return notices[0].data  # type: ignore[union-attr]


def test_without_the_setting_the_run_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    made_pair(tmp_path, CONV)
    without = run(files(tmp_path), tmp_path)
    assert (remark(without)["enlarged"], remark(without)["offered"]) == (False, True)
    assert without.left_out["diffusion_model.conv_in.weight"] == "grown_part"
    assert not any("reshape" in key for key in load_lora(without.lora))
    assert remark(run(files(tmp_path), tmp_path, set_weight=True))["enlarged"]


def test_differences_enlarge_no_weight_and_offer_nothing(tmp_path: Path) -> None:
    made_pair(tmp_path, CONV)
    ran = run(files(tmp_path), tmp_path, set_weight=True, lora_type="full")
    assert (remark(ran)["enlarged"], remark(ran)["offered"]) == (False, False)
    assert ran.left_out["diffusion_model.conv_in.weight"] == "grown_part"


def test_more_outputs_are_never_written_since_the_bias_would_not_fit(tmp_path: Path) -> None:
    base = matrices(6) | {PREFIX + "out.weight": random_tensor(4, 8, seed=1), PREFIX + "out.bias": torch.ones(4)}
    tuned = {key: tensor + 0.1 * random_tensor(*tensor.shape, seed=9) for key, tensor in base.items()}
    tuned |= {PREFIX + "out.weight": random_tensor(6, 8, seed=2), PREFIX + "out.bias": torch.ones(6)}
    save_model(tmp_path / "tuned.safetensors", tuned)
    save_model(tmp_path / "base.safetensors", base)
    ran = run(files(tmp_path), tmp_path, set_weight=True)
    assert ran.left_out["diffusion_model.out.weight"] == "grown_part"
    assert not any("reshape" in key for key in load_lora(ran.lora))


def test_a_new_part_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    tuned, _ = made_pair(tmp_path, CONV)
    tuned[PREFIX + CONV][0, 8, 0, 0] = float("nan")
    save_model(tmp_path / "tuned.safetensors", tuned)
    ran = run(files(tmp_path), tmp_path, set_weight=True, skip_nonfinite=True)
    assert ran.left_out["diffusion_model.conv_in.weight"] == "non_finite"
    assert not any("conv_in" in key for key in load_lora(ran.lora))


def test_tools_read_and_pass_on_the_shape(tmp_path: Path) -> None:
    made_pair(tmp_path, CONV)
    ran = run(files(tmp_path), tmp_path, set_weight=True)
    with LoraFile(ran.lora) as file:
        assert file.unknown == ()
        layer = file.read("diffusion_model.conv_in")
    assert layer.parts["reshape"].tolist() == list(SHAPES[CONV][1])


def test_the_report_names_what_is_enlarged(tmp_path: Path) -> None:
    made_pair(tmp_path, CONV)
    report = json.loads(run(files(tmp_path), tmp_path, set_weight=True).result.outputs[0].report.read_text())
    assert report["totals"]["enlarged_weights"] == ["diffusion_model.conv_in.weight"]
