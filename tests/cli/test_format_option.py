"""``--key-format`` takes the formats that have a row; Kohya's files are written, verified and loaded by diffusers."""

from __future__ import annotations

from pathlib import Path

import pytest
import sdxl_pipeline
from calls import Call, assert_refused
from model_files import save_pair
from toys import format as toy_format

KOHYA = ("--key-format", "kohya", "--rank", 4096, "--output-dtype", "fp32", "--no-clamp-quantile")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORA_EXTRACTOR_HOME", str(tmp_path / "home"))


def test_a_format_that_has_a_row_is_a_choice_and_is_verified(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_format.register(monkeypatch)
    pair = save_pair(tmp_path)
    answer = call(
        "extract", *pair, "--key-format", "toy", "--output-dir", tmp_path / "out", "--device", "cpu", "--json"
    )
    assert answer.json["outputs"][0]["key_format"] == "toy"
    verified = call("verify", answer.json["output"], *pair, "--json")
    assert verified.json["key_format"] == "toy"
    assert "Its format is Toy's." in verified.err


def test_what_has_no_row_is_no_choice(call: Call, tmp_path: Path) -> None:
    said = call("extract", *save_pair(tmp_path), "--key-format", "toy")
    assert said.code == 2
    assert "invalid choice: 'toy'" in said.err


def test_kohyas_file_is_said_to_hold_less_is_verified_and_loaded_by_diffusers(call: Call, tmp_path: Path) -> None:
    pair = sdxl_pipeline.save_pair(tmp_path)
    said = call("extract", *pair, *KOHYA, "--output-dir", tmp_path / "out", "--device", "cpu", "--json")
    assert said.code == 0
    assert "has no place for 294 tensors" in said.err
    lora = Path(said.json["output"])
    verified = call("verify", lora, *pair, "--json").json
    assert (verified["key_format"], verified["unknown_keys"]) == ("kohya", [])
    assert verified["mean_energy_retained"] == pytest.approx(said.json["mean_energy_retained"], abs=1e-6)
    model, tuned = sdxl_pipeline.build(0), sdxl_pipeline.build(0)
    sdxl_pipeline.fine_tune(tuned)
    sdxl_pipeline.load_lora(model, lora)
    wanted = sdxl_pipeline.outputs(tuned)
    assert max(sdxl_pipeline.relative_errors(sdxl_pipeline.outputs(model), wanted)) < 1e-5


def test_full_with_kohya_is_refused_with_the_way_out(call: Call, tmp_path: Path) -> None:
    pair = sdxl_pipeline.save_pair(tmp_path)
    said = call("extract", *pair, "--key-format", "kohya", "--lora-type", "full", "--json")
    assert_refused(said, "format_unsuitable", names="Kohya")
    assert "Choose another type, such as standard, or another format: ComfyUI." in said.err


def test_models_without_kohya_names_are_refused_with_the_way_out(call: Call, tmp_path: Path) -> None:
    said = call("extract", *save_pair(tmp_path), "--key-format", "kohya", "--json")
    assert_refused(said, "format_unsuitable", names="Kohya")
    assert "Choose another format: ComfyUI, PEFT." in said.err
