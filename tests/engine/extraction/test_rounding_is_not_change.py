"""Rounding is not change: what was only saved again is unchanged, and a coarser fine-tune is compared rounded alike."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfyui_consumer
import pytest
import torch
from extraction_runs import EXACT, Run, run, verified
from model_files import PREFIX, Tensors, matrices, save_model
from rounding_pairs import plain_pair
from safetensors import safe_open
from scaled_models import scaled

from engine.cancel import CancelToken
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode
from engine.results import LeaveOutReason
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

F32, F16, BF16, E4M3 = torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn


def seeded(name: str, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))


def flux() -> dict[str, tuple[int, ...]]:
    """Names and shapes of a small Flux of two double and three single blocks, 192 wide: 92 tensors."""
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, rows: int, columns: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (rows, columns), (rows,)

    for block in range(2):
        for side in ("img", "txt"):
            start = f"double_blocks.{block}.{side}"
            shapes |= {f"{start}_attn.norm.{part}_norm.scale": (24,) for part in ("key", "query")}
            for part, rows, columns in (
                ("attn.proj", 192, 192),
                ("attn.qkv", 576, 192),
                ("mlp.0", 768, 192),
                ("mlp.2", 192, 768),
                ("mod.lin", 1152, 192),
            ):
                linear(f"{start}_{part}", rows, columns)
    for block in range(3):
        start = f"single_blocks.{block}"
        shapes |= {f"{start}.norm.{part}_norm.scale": (24,) for part in ("key", "query")}
        for part, rows, columns in (("linear1", 1344, 192), ("linear2", 192, 960), ("modulation.lin", 576, 192)):
            linear(f"{start}.{part}", rows, columns)
    for name, rows, columns in (
        ("final_layer.adaLN_modulation.1", 384, 192),
        ("final_layer.linear", 64, 192),
        ("guidance_in.in_layer", 192, 256),
        ("guidance_in.out_layer", 192, 192),
        ("img_in", 192, 64),
        ("time_in.in_layer", 192, 256),
        ("time_in.out_layer", 192, 192),
        ("txt_in", 192, 96),
        ("vector_in.in_layer", 192, 48),
        ("vector_in.out_layer", 192, 192),
    ):
        linear(name, rows, columns)
    return shapes


@dataclass(frozen=True)
class Field:
    """A pair as people have it, and what the fine-tune was before it was saved in a coarser dtype."""

    files: tuple[Path, Path]
    base: Tensors
    true: Tensors

    def kept(self, lora: Path) -> float:
        """The share of the true change that is in a LoRA; negative where it leads away from the true fine-tune."""
        found = comfyui_consumer.changes(
            comfyui_consumer.load_lora(lora), {f"diffusion_model.{name}": side for name, side in self.base.items()}
        )
        total = lost = 0.0
        for name, side in self.base.items():
            change = self.true[name].double() - side.double()
            given = found.get(f"diffusion_model.{name}", torch.zeros_like(change)).double().reshape(change.shape)
            total, lost = total + float(change.square().sum()), lost + float((change - given).square().sum())
        return 1.0 - lost / total


def field(
    folder: Path, shapes: dict[str, tuple[int, ...]], trained: Callable[[str], bool], *, size: float, **dtypes: Any
) -> Field:
    """A model of which some weights were trained by a change of rank 4 of so much of their norm, then saved again.

    `dtypes`: of the original (``base``), and of the matrices and the other tensors of the fine-tune.
    """
    base: Tensors = {}
    true: Tensors = {}
    tuned: Tensors = {}
    for name, shape in shapes.items():
        weight = (0.05 * seeded(name, *shape) + (1.0 if name.endswith("norm.weight") else 0.0)).to(dtypes["base"])
        base[name], true[name] = weight, weight.float()
        if trained(name) and len(shape) == 2:
            change = seeded("a" + name, shape[0], 4) @ seeded("b" + name, 4, shape[1])
            true[name] = weight.float() + change * (size * weight.float().norm() / change.norm())
        elif trained(name):
            spread = 0.2 * size * float(weight.float().norm()) / weight.numel() ** 0.5
            true[name] = weight.float() + spread * seeded("a" + name, *shape)
        tuned[name] = true[name].to(dtypes["matrices"] if len(shape) == 2 else dtypes["others"])
    files = save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)
    return Field(files, base, true)


def of_attention(name: str) -> bool:
    if name.startswith("single_blocks"):
        return name.endswith(("linear1.weight", "linear2.weight"))
    return "attn" in name and not name.endswith("scale")


@pytest.fixture(scope="module")
def fp8_tuned(tmp_path_factory: pytest.TempPathFactory) -> Field:
    """A fine-tune of Flux by 1 % in its attention alone, published in plain fp8; the original is in bf16."""
    shapes, folder = flux(), tmp_path_factory.mktemp("fp8")
    return field(folder, shapes, of_attention, size=0.01, base=BF16, matrices=E4M3, others=BF16)


def reasons(ran: Run) -> Counter[str]:
    return Counter(ran.left_out.values())


def test_of_a_fine_tune_in_fp8_the_lora_holds_what_was_trained(fp8_tuned: Field, tmp_path: Path) -> None:
    assert len(fp8_tuned.base) == 92
    ran = run(fp8_tuned.files, tmp_path)
    assert reasons(ran) == {"unchanged": 70}
    assert fp8_tuned.kept(ran.lora) > 0.5


def test_without_rounding_the_lora_would_lead_away_from_the_fine_tune(
    fp8_tuned: Field, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin that takes both as stored, so that the test above is known to see it."""
    monkeypatch.setattr("engine.models.pairing.rounding_between", lambda finetuned, original: None)
    ran = run(fp8_tuned.files, tmp_path)
    assert reasons(ran) == {"unchanged": 45}
    assert fp8_tuned.kept(ran.lora) < -0.3


def test_what_differs_by_rounding_alone_is_unchanged_whatever_the_setting_says(
    fp8_tuned: Field, tmp_path: Path
) -> None:
    for choice in ("auto", "on", "off"):
        ran = run(fp8_tuned.files, tmp_path / choice, round_original=choice)
        said = [item for item in ran.result.left_out if item.reason is LeaveOutReason.UNCHANGED]
        assert len(said) == 70
        assert Counter(item.detail for item in said) == {"": 45, "rounded to fp8": 25}


SDXL = {
    **{
        f"conditioner.embedders.0.transformer.text_model.encoder.layers.{layer}.{name}": shape
        for layer in range(3)
        for name, shape in {"mlp.fc1.weight": (96, 48), "mlp.fc1.bias": (96,), "layer_norm1.weight": (48,)}.items()
    },
    **{
        f"model.diffusion_model.input_blocks.{block}.1.transformer_blocks.0.{name}": shape
        for block in (4, 5, 7, 8)
        for name, shape in {"attn1.to_q.weight": (64, 64), "ff.net.2.weight": (64, 256), "norm1.weight": (64,)}.items()
    },
}


def test_of_a_fine_tune_saved_in_bf16_only_what_was_trained_is_in_the_file(tmp_path: Path) -> None:
    pair = field(tmp_path, SDXL, lambda name: "attn1" in name, size=0.02, base=F32, matrices=BF16, others=BF16)
    ran = run(pair.files, tmp_path)
    assert {row.name.split(".")[-2] for row in ran.result.rows} == {"to_q"}
    assert ran.result.layers == 4
    assert reasons(ran) == {"unchanged": len(SDXL) - 4}
    assert all(item.rounded_to == "bf16" for item in ran.result.left_out)


SAVED = [(BF16, F32), (F16, F32), (E4M3, BF16), (E4M3, F32), (BF16, F16), (F16, BF16)]


@pytest.mark.parametrize("choice", ["auto", "on", "off"])
@pytest.mark.parametrize("turned", [False, True], ids=["fine-tune coarser", "original coarser"])
@pytest.mark.parametrize("dtypes", SAVED, ids=str)
def test_a_weight_that_was_saved_in_another_dtype_did_not_change(
    dtypes: tuple[torch.dtype, torch.dtype], turned: bool, choice: str, tmp_path: Path
) -> None:
    pair = plain_pair(tmp_path, *(dtypes[::-1] if turned else dtypes))
    ran = run(pair, tmp_path, round_original=choice)
    assert [row.name for row in ran.result.rows] == [f"diffusion_model.layers.{index}.weight" for index in (0, 1)]
    assert reasons(ran) == {"unchanged": 2}


def difference(pair: tuple[Path, Path], rounded: str, name: str) -> torch.Tensor:
    """The delta of a weight as the settings mean it, by torch's own casts."""
    values = []
    for path in pair:
        with safe_open(path, "pt") as file:
            values.append(file.get_tensor(name))
    tuned, base = values
    if rounded == "original":
        base = base.to(tuned.dtype)
    if rounded == "finetuned":
        tuned = tuned.to(base.dtype)
    return tuned.double() - base.double()


@pytest.mark.parametrize(
    ("tuned", "base", "choice", "rounded"),
    [
        (BF16, F32, "auto", "original"),
        (BF16, F32, "on", "original"),
        (BF16, F32, "off", ""),
        (E4M3, BF16, "auto", "original"),
        (E4M3, BF16, "off", ""),
        (BF16, F16, "auto", "original"),
        (BF16, E4M3, "auto", ""),
        (BF16, E4M3, "on", "finetuned"),
        (BF16, E4M3, "off", ""),
    ],
)
@pytest.mark.parametrize("lora_type", ["standard", "full"])
def test_the_delta_is_that_of_the_rounded_side(
    tuned: torch.dtype, base: torch.dtype, choice: str, rounded: str, lora_type: str, tmp_path: Path
) -> None:
    pair = plain_pair(tmp_path, tuned, base)
    ran = run(pair, tmp_path, **EXACT, lora_type=lora_type, round_original=choice)
    model = {f"diffusion_model.layers.{index}.weight": torch.zeros(24, 16) for index in range(2)}
    changes = comfyui_consumer.changes(comfyui_consumer.load_lora(ran.lora), model)
    found = changes["diffusion_model.layers.0.weight"].double()
    wanted = difference(pair, rounded, f"{PREFIX}layers.0.weight")
    assert float((found - wanted).norm() / wanted.norm()) < 2e-6
    if rounded:
        plain = difference(pair, "", f"{PREFIX}layers.0.weight")
        assert float((found - plain).norm() / plain.norm()) > 1e-4, "the twin that rounds nothing"
    assert {row.rounded for row in ran.result.rows} == {rounded}


def test_a_fine_tune_in_scaled_fp8_is_compared_with_the_original_rounded_by_its_scales(tmp_path: Path) -> None:
    base = {name: 0.05 * weight.bfloat16() for name, weight in matrices(6, shape=(64, 48)).items()}
    tensors: Tensors = {f"{PREFIX}scaled_fp8": torch.zeros(2).to(E4M3)}
    for index, (name, weight) in enumerate(base.items()):
        trained = weight.float() * (1.0 if index else 1.05)
        codes, scale = scaled(trained)
        tensors |= {name: codes, name.replace(".weight", ".scale_weight"): scale}
    pair = save_model(tmp_path / "tuned.safetensors", tensors), save_model(tmp_path / "base.safetensors", base)
    ran = run(pair, tmp_path)
    assert [row.name for row in ran.result.rows] == ["diffusion_model.layers.0.weight"]
    assert reasons(ran) == {"unchanged": 5}
    assert {item.rounded_to for item in ran.result.left_out} == {"scaled fp8 (ComfyUI)"}


def test_two_models_that_differ_by_rounding_alone_give_no_lora(tmp_path: Path) -> None:
    base = matrices(3)
    tuned = {name: weight.bfloat16() for name, weight in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    with pytest.raises(EngineError) as caught:
        run(pair, tmp_path / "out")
    assert caught.value.code is ErrorCode.NO_DIFFERENCE
    assert caught.value.data["rounded"] == 3


def test_two_models_of_which_only_new_rows_differ_are_not_said_to_differ_by_rounding(tmp_path: Path) -> None:
    base = matrices(3) | {PREFIX + "embed_tokens.weight": seeded("rows", 20, 8)}
    tuned = {name: weight.bfloat16() for name, weight in base.items()}
    rows = tuned[PREFIX + "embed_tokens.weight"]
    tuned[PREFIX + "embed_tokens.weight"] = torch.cat([rows, seeded("new", 2, 8).bfloat16()])
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    with pytest.raises(EngineError) as caught:
        run(pair, tmp_path / "out")
    assert caught.value.data["reason"] == "grown"
    assert "embed_tokens.weight" in str(caught.value.tensor)


def test_a_tensor_that_is_left_out_in_two_parts_for_two_reasons_counts_once(tmp_path: Path) -> None:
    base = matrices(3) | {PREFIX + "embed_tokens.weight": seeded("rows", 20, 8)}
    tuned = {name: (weight + (0.1 if "layers" in name else 0.0)).bfloat16() for name, weight in base.items()}
    rows = tuned[PREFIX + "embed_tokens.weight"]
    tuned[PREFIX + "embed_tokens.weight"] = torch.cat([rows, seeded("new", 2, 8).bfloat16()])
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    ran = run(pair, tmp_path / "out")
    assert Counter(item.reason.value for item in ran.result.left_out) == {"grown_part": 1, "unchanged": 1}
    assert ran.result.skipped == 1
    assert json.loads(ran.result.outputs[0].report.read_text("utf-8"))["totals"]["skipped"] == 1


@pytest.mark.parametrize("side", ["tuned", "base"])
def test_a_broken_value_is_found_before_it_is_rounded(side: str, tmp_path: Path) -> None:
    base, name = matrices(3), f"{PREFIX}layers.1.weight"
    tuned = {key: (weight + 0.1).bfloat16() for key, weight in base.items()}
    (tuned if side == "tuned" else base)[name][3, 3] = float("inf")
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    ran = run(pair, tmp_path / "out", skip_nonfinite=True)
    (left,) = ran.result.left_out
    assert (left.reason, left.detail) == (LeaveOutReason.NON_FINITE, f"in {side}.safetensors")


def test_numbers_beyond_the_fine_tunes_range_break_nothing(tmp_path: Path) -> None:
    base = matrices(2, shape=(32, 32))
    base[f"{PREFIX}layers.0.weight"][0, :3] = torch.tensor([900.0, -500.0, 449.0])
    tuned = {name: weight.clamp(-448, 448).to(E4M3) for name, weight in base.items()}
    tuned[f"{PREFIX}layers.1.weight"] = (base[f"{PREFIX}layers.1.weight"] * 1.5).to(E4M3)
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    ran = run(pair, tmp_path)
    assert reasons(ran) == {"unchanged": 1}


def notices(pair: tuple[Path, Path], **settings: Any) -> list[Notice]:
    """The remarks on rounding that are made before the start."""
    codes = (NoticeCode.COMPARED_ROUNDED, NoticeCode.FINETUNED_COARSER, NoticeCode.ORIGINAL_COARSER)
    with Session(*pair) as session:
        plan = session.plan(ExtractionSettings(**settings), HardwareSettings(device="cpu"), pair[0].parent)
    return [notice for notice in plan.notices if notice.code in codes]


def test_before_the_start_it_is_said_that_most_of_the_difference_can_only_be_rounding(fp8_tuned: Field) -> None:
    (notice,) = notices(fp8_tuned.files)
    assert notice.code is NoticeCode.COMPARED_ROUNDED
    assert notice.data == {
        "layers": 39,
        "of": 92,
        "finetuned": "fp8",
        "original": "bf16",
        "most": True,
        "rounded": "original",
        "repeatable": True,
    }
    (notice,) = notices(fp8_tuned.files, round_original="off")
    assert (notice.code, notice.data["most"]) == (NoticeCode.FINETUNED_COARSER, True)


def test_an_original_that_is_coarser_is_warned_of(tmp_path: Path) -> None:
    pair = plain_pair(tmp_path, BF16, E4M3)
    (notice,) = notices(pair)
    assert (notice.code, notice.data["most"], notice.data["rounded"]) == (NoticeCode.ORIGINAL_COARSER, True, None)
    (notice,) = notices(pair, round_original="on")
    assert (notice.code, notice.data["rounded"]) == (NoticeCode.ORIGINAL_COARSER, "finetuned")


def test_sixteen_bits_are_said_to_be_compared_rounded_but_not_to_be_most_of_it(tmp_path: Path) -> None:
    (notice,) = notices(plain_pair(tmp_path, BF16, F32))
    assert (notice.code, notice.data["most"]) == (NoticeCode.COMPARED_ROUNDED, False)
    assert notices(plain_pair(tmp_path, BF16, BF16)) == []


def metadata_of(lora: Path) -> dict[str, str]:
    with safe_open(lora, "pt") as file:
        return dict(file.metadata())


def test_report_and_file_say_what_was_rounded(tmp_path: Path) -> None:
    ran = run(plain_pair(tmp_path, BF16, F32), tmp_path)
    report = json.loads(ran.result.outputs[0].report.read_text())
    assert [row["rounded"] for row in report["layers"]] == ["original", "original"]
    assert (report["totals"]["rounded"], report["totals"]["unchanged_but_rounded"]) == (2, 2)
    assert report["settings"]["round_original"] == "auto"
    assert {entry["detail"] for entry in report["left_out"]} == {"rounded to bf16"}
    texts = metadata_of(ran.lora)
    assert texts["lora_extractor.round_original"] == "auto"
    assert json.loads(texts["lora_extractor.settings"])["round_original"] == "auto"


def test_of_a_pair_in_one_dtype_the_file_is_the_same_whatever_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the same as of the version that did not have the setting: nothing in it speaks of it."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    pair = plain_pair(tmp_path, BF16, BF16)
    found = set()
    for choice in ("auto", "on", "off"):
        ran = run(pair, tmp_path / choice, round_original=choice)
        found.add(ran.lora.read_bytes())
        assert b"round_original" not in ran.lora.read_bytes()
        assert {row.rounded for row in ran.result.rows} == {""}
    assert len(found) == 1


@pytest.mark.parametrize("choice", ["auto", "on", "off"])
@pytest.mark.parametrize("dtypes", [(E4M3, BF16), (BF16, E4M3)], ids=["fine-tune coarser", "original coarser"])
def test_verifying_measures_the_same_change_and_the_plain_one_too(
    dtypes: tuple[torch.dtype, torch.dtype], choice: str, tmp_path: Path
) -> None:
    pair = plain_pair(tmp_path, *dtypes)
    ran = run(pair, tmp_path, rank=4, round_original=choice)
    found = verified(pair, ran.lora)
    output = ran.result.outputs[0]
    assert found.round_original == choice
    assert found.mean_energy_retained == pytest.approx(output.mean_energy_retained, abs=1e-6)
    assert found.worst_energy_retained == pytest.approx(output.worst_energy_retained, abs=1e-6)
    total = lost = 0.0
    changes = comfyui_consumer.changes(
        comfyui_consumer.load_lora(ran.lora),
        {f"diffusion_model.layers.{index}.weight": torch.zeros(24, 16) for index in range(4)},
    )
    for index in range(4):
        plain = difference(pair, "", f"{PREFIX}layers.{index}.weight")
        given = changes.get(f"diffusion_model.layers.{index}.weight", torch.zeros(24, 16)).double()
        total, lost = total + float(plain.square().sum()), lost + float((plain - given).square().sum())
    assert found.plain_mean_energy_retained == pytest.approx(1.0 - lost / total, abs=1e-5)
    assert found.plain_mean_energy_retained != pytest.approx(found.mean_energy_retained, abs=1e-5)


def test_nothing_is_said_of_a_plain_difference_where_nothing_was_rounded(tmp_path: Path) -> None:
    pair = plain_pair(tmp_path, F32, BF16)
    tensors = {name: seeded(name, 24, 16) for name in ("a.weight", "b.weight")}
    save_model(pair[0], {name: weight + 0.1 * seeded(name + "!", 24, 16) for name, weight in tensors.items()})
    save_model(pair[1], {name: weight.bfloat16() for name, weight in tensors.items()})
    found = verified(pair, run(pair, tmp_path, rank=4).lora)
    assert (found.round_original, found.plain_mean_energy_retained) == ("auto", None)


def test_a_lora_that_says_nothing_of_rounding_is_held_against_the_plain_difference(tmp_path: Path) -> None:
    pair = plain_pair(tmp_path, E4M3, BF16)
    ran = run(pair, tmp_path, rank=4)
    with safe_open(ran.lora, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    older = save_model(tmp_path / "older.safetensors", tensors)
    found, plain = verified(pair, ran.lora), verified(pair, older)
    assert (plain.round_original, plain.plain_mean_energy_retained) == (None, None)
    assert plain.mean_energy_retained == pytest.approx(found.plain_mean_energy_retained, abs=1e-9)
    assert len(plain.left_out) == 2, "what was only saved again differs as it is stored"


def test_comparing_two_models_calls_rounding_no_difference(tmp_path: Path) -> None:
    pair = plain_pair(tmp_path, BF16, F32)
    with Session(*pair) as session:
        weights = session.weights(ExtractionSettings())
        found = {weight.name: differs for weight, differs in session.compare(weights, CancelToken())}
    assert list(found.values()) == [True, True, False, False]
