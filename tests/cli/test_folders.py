"""Folders on the command line: as models, and as an output that is refused before any work is done."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from calls import Call, assert_refused
from model_files import PREFIX, matrices, save_model
from safetensors import safe_open


def folders(at: Path) -> tuple[Path, Path]:
    """Two folders with a model in each."""
    for index, name in enumerate(("tuned", "base")):
        (at / name).mkdir()
        save_model(at / name / "model.safetensors", matrices(2, seed=50 * index))
    return at / "tuned", at / "base"


def test_two_folders_are_extracted_from_as_their_files_are(extract: Call, tmp_path: Path) -> None:
    pair = folders(tmp_path)
    of_folders = extract(pair, "--json", "--no-resume")
    assert of_folders.code == 0, of_folders.err
    of_files = extract((pair[0] / "model.safetensors", pair[1] / "model.safetensors"), "--json", "--no-resume")
    mean = of_files.json["mean_energy_retained"]
    assert of_folders.json["mean_energy_retained"] == mean
    one, other = (Path(said.json["output"]) for said in (of_folders, of_files))
    with safe_open(one, "pt") as first, safe_open(other, "pt") as second:
        assert set(first.keys()) == set(second.keys()) != set()
        assert all(torch.equal(first.get_tensor(name), second.get_tensor(name)) for name in set(first.keys()))


@pytest.mark.parametrize("form", ["shards", "one shard", "diffusers", "pickle"])
def test_a_pair_in_any_container_gives_the_lora_of_its_files(form: str, extract: Call, tmp_path: Path) -> None:
    pair = folders(tmp_path)
    expected = extract((pair[0] / "model.safetensors", pair[1] / "model.safetensors"), "--json", "--no-resume")
    chosen = tuple(in_form(form, tmp_path / f"{form}-{side.name}", seed=50 * index) for index, side in enumerate(pair))
    found = extract(chosen, "--json", "--no-resume")
    assert found.code == 0, found.err
    assert found.json["mean_energy_retained"] == expected.json["mean_energy_retained"]
    with safe_open(expected.json["output"], "pt") as first, safe_open(found.json["output"], "pt") as second:
        assert set(first.keys()) == set(second.keys()) != set()
        assert all(torch.equal(first.get_tensor(name), second.get_tensor(name)) for name in set(first.keys()))


def in_form(form: str, at: Path, seed: int) -> Path:
    """The model of `folders` in another container: what is to be chosen."""
    tensors = matrices(2, seed=seed)
    at.mkdir()
    if form == "pickle":
        torch.save({"state_dict": tensors, "epoch": 1}, at / "model.ckpt")
        return at / "model.ckpt"
    if form == "diffusers":
        (at / "transformer").mkdir()
        plain = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
        save_model(at / "transformer" / "diffusion_pytorch_model.safetensors", plain)
        return at
    for number, (name, tensor) in enumerate(tensors.items(), 1):
        save_model(at / f"model-{number:05}-of-00002.safetensors", {name: tensor})
    return at if form == "shards" else at / "model-00002-of-00002.safetensors"


def test_inspecting_a_folder_tells_the_file_in_it(call: Call, tmp_path: Path) -> None:
    tuned, _ = folders(tmp_path)
    assert call("inspect", tuned, "--json").json["path"] == str(tuned / "model.safetensors")


def test_a_folder_with_several_models_names_them_and_what_to_do(call: Call, tmp_path: Path) -> None:
    tuned, _ = folders(tmp_path)
    for number in range(6):
        save_model(tuned / f"v{number}.safetensors", matrices(1))
    said = call("inspect", tuned, "--json")
    assert_refused(said, "is_directory", names=tuned)
    names = "model.safetensors, v0.safetensors, v1.safetensors, v2.safetensors and 3 more"
    assert names in said.json["error"]["message"]
    assert said.json["error"]["remedy"] == "Choose one of these files."


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that even root cannot write to")
def test_an_unusable_output_is_refused_before_the_models_are_read(extract: Call, call: Call, tmp_path: Path) -> None:
    said = call("extract", *folders(tmp_path), "--output-dir", "/proc/x", "--device", "cpu", "--json")
    assert_refused(said, "output_unwritable", names="/proc/x/loras")
    assert "/proc does not take new folders" in said.json["error"]["message"]
    assert "layer" not in said.err, "no work was begun"


@pytest.mark.parametrize("prefix", [" ", "   "])
def test_a_blank_name_is_said_to_be_blank(prefix: str, call: Call, tmp_path: Path) -> None:
    options = ("--output-dir", tmp_path, "--filename-prefix", prefix, "--json")
    said = call("extract", *folders(tmp_path), *options)
    assert_refused(said, "output_escapes", names="The file name is blank.")


def test_sizes_of_a_file_that_is_cut_off_can_be_read(call: Call, tmp_path: Path) -> None:
    path = save_model(tmp_path / "model.safetensors", matrices(3, shape=(1000, 700)))
    whole = path.stat().st_size
    with path.open("r+b") as stream:
        stream.truncate(178_832)
    message = call("inspect", path, "--json").json["error"]["message"]
    assert message == f"{path} is cut off: it has 179 kB of at least 8.4 MB."
    with path.open("r+b") as stream:
        stream.truncate(whole - 1)
    message = call("inspect", path, "--json").json["error"]["message"]
    assert message == f"{path} is cut off: it has {whole - 1:,} bytes of at least {whole:,} bytes."
