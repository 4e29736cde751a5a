"""Models whose weights are encoded, or that lie in a container of their own, on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import comfyui_consumer
import pytest
import torch
from calls import Call, assert_refused
from extraction_runs import EXACT
from model_files import PREFIX, random_tensor
from scaled_models import scaled_pair
from toys.container import TOY_CONTAINER, save_toy

from engine.checkpoints.containers import CONTAINERS

FULL = ("--rank", EXACT["rank"], "--output-dtype", "fp32", "--no-clamp-quantile", "--round-original", "off", "--json")


def test_scaled_fp8_is_inspected_extracted_and_verified(call: Call, extract: Call, tmp_path: Path) -> None:
    files = scaled_pair(tmp_path)
    matrices = sum(tensor.dim() == 2 for tensor in files.tuned.values())
    assert f"{matrices} in scaled fp8 (ComfyUI)" in call("inspect", files.files[0]).err
    answer = extract(files.files, *FULL).json
    (output,) = answer["outputs"]
    found = comfyui_consumer.changes(comfyui_consumer.load_lora(Path(output["path"])), files.base)
    for name, tensor in files.tuned.items():
        change = tensor.double() - files.base[name].double()
        assert float((found[name] - change).norm() / change.norm()) < 2e-6, name
    report = json.loads(Path(output["path"]).with_suffix(".json").read_text())
    assert report["finetuned_model"]["encodings"]["scaled_fp8"] == matrices
    assert "encodings" not in report["original_model"]
    judged = call("verify", output["path"], *files.files, "--json").json
    assert judged["mean_energy_retained"] > 1 - 1e-9


@pytest.fixture
def toy_pair(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    CONTAINERS.append(TOY_CONTAINER)
    base = {f"{PREFIX}layers.{number}.weight": random_tensor(24, 16, seed=number) for number in range(4)}
    tuned = {name: tensor + 0.1 * random_tensor(24, 16, seed=9) for name, tensor in base.items()}
    yield save_toy(tmp_path / "tuned.toy", tuned, 3), save_toy(tmp_path / "base.toy", base, 2)
    CONTAINERS.remove(TOY_CONTAINER)


def test_a_container_of_the_tests_is_inspected_and_extracted(
    toy_pair: tuple[Path, Path], call: Call, extract: Call, tmp_path: Path
) -> None:
    summary = call("inspect", toy_pair[0], "--json").json
    size = sum(path.stat().st_size for path in (toy_pair[0], *tmp_path.glob("tuned.*.bin")))
    assert (summary["container"], summary["tensors"], summary["size_bytes"]) == ("toy", 4, size)
    answer = extract(toy_pair, "--rank", 4, "--json").json
    assert answer["layers"] == 4
    assert extract(toy_pair, "--rank", 4, "--json").json["layers_kept"] == 4


def test_a_folder_with_one_model_in_that_container_is_the_model(
    toy_pair: tuple[Path, Path], call: Call, tmp_path: Path
) -> None:
    toy_pair[1].unlink()
    assert call("inspect", tmp_path, "--json").json["path"] == str(toy_pair[0])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_change_in_any_of_its_files_makes_it_another_model(
    toy_pair: tuple[Path, Path], extract: Call, tmp_path: Path, number: int
) -> None:
    extract(toy_pair, "--rank", 4)
    part = tmp_path / f"tuned.{number}.bin"
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    assert extract(toy_pair, "--rank", 4, "--json").json["layers_kept"] == 0


def test_a_file_that_is_cut_off_is_named_with_its_tensor(
    toy_pair: tuple[Path, Path], extract: Call, tmp_path: Path
) -> None:
    part = tmp_path / "tuned.2.bin"
    part.write_bytes(part.read_bytes()[:-100])
    assert_refused(extract(toy_pair, "--json"), "input_changed", names=part)


def test_the_same_files_under_two_names_are_the_same_model(
    toy_pair: tuple[Path, Path], extract: Call, tmp_path: Path
) -> None:
    link = tmp_path / "link.toy"
    link.symlink_to(toy_pair[0])
    assert_refused(extract((toy_pair[0], link), "--json"), "same_file", names=toy_pair[0])


def test_a_broken_number_is_blamed_on_the_one_file_it_lies_in(extract: Call, tmp_path: Path) -> None:
    CONTAINERS.append(TOY_CONTAINER)
    base = {f"{PREFIX}layers.{number}.weight": random_tensor(24, 16, seed=number) for number in range(4)}
    tuned = {name: tensor + 0.1 for name, tensor in base.items()}
    tuned[f"{PREFIX}layers.2.weight"][3, 4] = torch.nan
    pair = save_toy(tmp_path / "tuned.toy", tuned, 3), save_toy(tmp_path / "base.toy", base, 2)
    try:
        assert_refused(extract(pair, "--json"), "non_finite", names=tmp_path / "tuned.2.bin")
    finally:
        CONTAINERS.remove(TOY_CONTAINER)
