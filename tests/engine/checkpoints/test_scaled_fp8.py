"""ComfyUI's scaled fp8: read as comfy-kitchen decodes it, claimed by its marker, refused where its parts do not fit."""

from __future__ import annotations

from pathlib import Path

import comfyui_consumer
import pytest
import torch
from extraction_runs import EXACT, run, verified
from model_files import Tensors, save_model
from scaled_models import OURS, PREFIX, ScaledPair, scaled, scaled_pair

from engine.checkpoints import open_checkpoint
from engine.checkpoints.tensors import read_view
from engine.errors import EngineError, ErrorCode
from engine.models.names import name_tensors
from engine.models.pairing import pair
from engine.planning.inspection import inspect_model, open_model
from engine.results import LeaveOutReason

DTYPES = [torch.float8_e4m3fn, torch.float8_e5m2]


def worst(found: Tensors, wanted: Tensors, base: Tensors) -> float:
    """The largest relative error of a change, |found - (wanted - base)| / |wanted - base|."""
    changes = {name: wanted[name].double() - base[name].double() for name in wanted}
    return max(float((found[name] - change).norm() / change.norm()) for name, change in changes.items())


@pytest.fixture(params=[False, True], ids=["tuned", "both"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> ScaledPair:
    return scaled_pair(tmp_path, both=request.param)


@pytest.mark.shows(container="safetensors", encoding="scaled_fp8")
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number_is_the_one_that_comfy_kitchen_decodes(dtype: torch.dtype, tmp_path: Path) -> None:
    files = scaled_pair(tmp_path, dtype=dtype)
    with open_checkpoint(files.files[0]) as model:
        views = name_tensors(model).views
        assert set(views) == set(files.tuned)
        for name, view in views.items():
            assert torch.equal(read_view(model, view).float(), files.tuned[name]), name


def test_a_lora_of_full_rank_gives_the_decoded_difference(files: ScaledPair, tmp_path: Path) -> None:
    lora = run(files.files, tmp_path, **EXACT, round_original="off").lora
    found = comfyui_consumer.changes(comfyui_consumer.load_lora(lora), files.base)
    assert set(found) == set(files.tuned)
    assert worst(found, files.tuned, files.base) < 2e-6
    assert verified(files.files, lora).mean_energy_retained > 1 - 1e-9


def test_without_the_scales_the_difference_would_be_noise(tmp_path: Path) -> None:
    """The twin that ignores them, so that the test above is known to see it."""
    files = scaled_pair(tmp_path)
    lora = run(files.files, tmp_path, **EXACT).lora
    found = comfyui_consumer.changes(comfyui_consumer.load_lora(lora), files.base)
    with open_checkpoint(files.files[0]) as model:
        raw = {
            OURS + name.removeprefix(PREFIX): read_view_raw(model.path, name)
            for name, part in model.stored.items()
            if part.dtype.startswith("F8") and name.endswith(".weight")
        }
    assert worst({name: found[name] for name in raw}, raw, {name: files.base[name] for name in raw}) > 0.5


def read_view_raw(path: Path, name: str) -> torch.Tensor:
    """What the safetensors library reads, without any scale."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.get_tensor(name).float()


def test_neither_scales_nor_markers_are_left_out_or_extracted(files: ScaledPair) -> None:
    with open_checkpoint(files.files[0]) as tuned, open_checkpoint(files.files[1]) as base:
        pairing = pair(tuned, base)
    assert pairing.left_out == ()
    assert len(pairing.weights) == len(files.tuned)


def test_a_summary_says_how_many_weights_are_encoded_and_counts_their_numbers(tmp_path: Path) -> None:
    files = scaled_pair(tmp_path)
    summary, matrices = inspect_model(files.files[0]), [w for w in files.tuned.values() if w.dim() == 2]
    assert summary.encodings == (("scaled fp8 (ComfyUI)", len(matrices)),)
    assert summary.quantisation is None
    assert summary.parameters == sum(tensor.numel() for tensor in files.tuned.values())


def test_every_row_may_have_a_scale_of_its_own(tmp_path: Path) -> None:
    weight = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    rows = [scaled(row) for row in weight]
    stored = torch.stack([row for row, _ in rows])
    for shape in ((6,), (6, 1)):
        scale = torch.stack([scale for _, scale in rows]).reshape(shape)
        tensors = {"scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn), "a.weight": stored, "a.scale_weight": scale}
        with open_checkpoint(save_model(tmp_path / f"{len(shape)}.safetensors", tensors)) as model:
            (view,) = name_tensors(model).views.values()
            expected = stored.double().numpy() * scale.reshape(6, 1).double().numpy()
            assert torch.equal(read_view(model, view), torch.from_numpy(expected).float())


def marked(**tensors: torch.Tensor) -> Tensors:
    names = {name.replace("__", "."): tensor.clone() for name, tensor in tensors.items()}
    return {"a.scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)} | names


EIGHT = torch.ones(4, 3).to(torch.float8_e4m3fn)
ONE = torch.ones(())
BROKEN = {
    "a scale without its weight": (marked(a__b__scale_weight=ONE), "a.b.scale_weight"),
    "a scale of another length": (marked(a__b__weight=EIGHT, a__b__scale_weight=torch.ones(3)), "a.b.scale_weight"),
    "a scale for each number": (marked(a__b__weight=EIGHT, a__b__scale_weight=torch.ones(4, 3)), "a.b.scale_weight"),
    "a scale of whole numbers": (
        marked(a__b__weight=EIGHT, a__b__scale_weight=ONE.to(torch.int32)),
        "a.b.scale_weight",
    ),
    "a weight that is not fp8": (marked(a__b__weight=EIGHT.half(), a__b__scale_weight=ONE), "a.b.weight"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_parts_that_do_not_fit_are_refused_by_name(case: str, tmp_path: Path) -> None:
    tensors, named = BROKEN[case]
    path = save_model(tmp_path / "model.safetensors", tensors)
    with pytest.raises(EngineError) as caught:
        open_model(path)
    assert caught.value.code is ErrorCode.HEADER_INVALID
    assert (caught.value.file, caught.value.tensor) == (str(path), named)
    assert named in caught.value.data["reason"]


def test_a_scale_outside_of_every_marker_is_still_refused(tmp_path: Path) -> None:
    tensors = marked(b__weight=EIGHT, b__scale_weight=ONE, a__c__weight=EIGHT, a__c__scale_weight=ONE)
    path = save_model(tmp_path / "model.safetensors", tensors)
    with pytest.raises(EngineError) as caught:
        open_model(path)
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.QUANTISED, "b.scale_weight")


def test_scales_of_inputs_are_no_weights_whatever_stands_beside_them(tmp_path: Path) -> None:
    tensors = marked(a__b__weight=EIGHT, a__b__scale_weight=ONE, a__c__weight=EIGHT, a__c__scale_input=ONE)
    with open_model(save_model(tmp_path / "model.safetensors", tensors)) as model:
        assert set(model.weights) == {"a.b.weight", "a.c.weight"}


def test_fp8_without_a_scale_is_plain_beside_scaled_weights(tmp_path: Path) -> None:
    tensors = marked(a__b__weight=EIGHT, a__b__scale_weight=3 * ONE, a__c__weight=EIGHT)
    with open_model(save_model(tmp_path / "model.safetensors", tensors)) as model:
        views = name_tensors(model).views
        found = {name.removeprefix(OURS): float(read_view(model, view).float().mean()) for name, view in views.items()}
    assert found == {"a.b.weight": 3.0, "a.c.weight": 1.0}


def test_a_scale_that_is_not_a_number_is_blamed_on_its_file(tmp_path: Path) -> None:
    files = scaled_pair(tmp_path)
    from safetensors.torch import load_file

    tensors = load_file(files.files[0])
    name = next(name for name in tensors if name.endswith("img_attn.qkv.scale_weight"))
    tensors[name] = torch.tensor(float("nan"))
    save_model(files.files[0], tensors)
    with pytest.raises(EngineError) as caught:
        run(files.files, tmp_path)
    assert (caught.value.code, caught.value.file) == (ErrorCode.NON_FINITE, str(files.files[0]))
    left = run(files.files, tmp_path, skip_nonfinite=True).left_out
    assert left[OURS + name.removeprefix(PREFIX).replace("scale_weight", "weight")] == LeaveOutReason.NON_FINITE.value
