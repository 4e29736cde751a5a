"""An output that is a folder, from the command line: written, named in the JSON, inspected and judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import Call, assert_refused
from model_files import save_pair

SETTINGS = ("--rank", 2, "--device", "cpu", "--json")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORA_EXTRACTOR_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("inside", ["", "adapter_model.safetensors"])
def test_a_folder_is_written_inspected_and_verified(call: Call, tmp_path: Path, inside: str) -> None:
    pair = save_pair(tmp_path)
    made = call("extract", *pair, "--key-format", "peft", "--output-dir", tmp_path / "out", *SETTINGS).json
    folder = Path(made["output"])
    assert folder.is_dir()
    assert Path(made["report"]).parent == folder
    files = (folder / "adapter_config.json", folder / "adapter_model.safetensors")
    assert made["size_bytes"] == sum(file.stat().st_size for file in files)
    seen = call("inspect", folder / inside, "--json")
    assert (seen.json["format"], seen.json["ranks"]) == ("peft", {"2": seen.json["layers"]})
    assert "a LoRA in the format of PEFT" in seen.err
    judged = call("verify", folder / inside, *pair, "--json").json
    assert (judged["key_format"], judged["unknown_keys"]) == ("peft", [])
    assert judged["mean_energy_retained"] == pytest.approx(made["mean_energy_retained"], abs=1e-6)


def test_any_lora_is_inspected_but_never_taken_for_a_model(call: Call, tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    made = call("extract", *pair, "--output-dir", tmp_path / "out", *SETTINGS).json
    seen = call("inspect", made["output"], "--json").json
    assert (seen["format"], list(seen["ranks"])) == ("comfyui", ["2"])
    assert_refused(call("extract", made["output"], pair[1], "--json"), "not_a_model", names=Path(made["output"]).name)


def test_full_differences_have_no_place_in_a_folder(call: Call, tmp_path: Path) -> None:
    said = call("extract", *save_pair(tmp_path), "--key-format", "peft", "--lora-type", "full", "--json")
    assert_refused(said, "format_unsuitable", names="PEFT")


def test_a_folder_with_whole_weights_needs_the_models_and_says_so(call: Call, tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    assert call("extract", *pair, "--output-dir", tmp_path / "out", *SETTINGS).code == 0
    fingerprint = call("cache", "show", "--json").json["pairs"][0]["fingerprint"]
    peft = ("--key-format", "peft", "--output-dir", tmp_path / "two", *SETTINGS)
    assert call("export", fingerprint, *peft, "--no-bias-diff").code == 0
    pair[0].unlink()
    assert_refused(call("export", fingerprint, *peft), "file_missing", names=pair[0])
    assert len([*(tmp_path / "two" / "loras").iterdir()]) == 1
