"""A tool on LoRA files that only the tests know is a command of its own, and leaves nothing half written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import comfyui_consumer
import pytest
import torch
from calls import Call, assert_refused
from comfyui_consumer import load_lora
from model_files import every_kind, save_model, save_pair
from toys.tool import Strength

from engine.cancel import CancelToken
from engine.errors import Cancelled
from engine.lora.lora_file import LoraFile
from engine.lora.tools import TOOLS


@pytest.fixture(autouse=True)
def tool() -> Iterator[Strength]:
    TOOLS.append(Strength())
    yield TOOLS[-1]  # type: ignore[misc]
    TOOLS.pop()


@pytest.fixture
def lora(extract: Call, tmp_path: Path) -> Path:
    """Factors and differences of every kind, in ComfyUI's format."""
    return Path(extract(save_pair(tmp_path), "--rank", 4, "--json").json["output"])


def added(path: Path) -> dict[str, torch.Tensor]:
    """What a LoRA adds to each weight, by ComfyUI's rule."""
    model = {f"diffusion_model.{name}": tensor for name, tensor in every_kind(seed=0).items()}
    return comfyui_consumer.changes(load_lora(path), model)


def test_it_writes_every_layer_at_the_strength_that_was_asked_for(call: Call, lora: Path, tmp_path: Path) -> None:
    answer = call("toy-strength", lora, "--strength", "-2", "--output-dir", tmp_path / "new", "--json").json
    (output,) = answer["outputs"]
    assert answer["strength"] == -2.0
    before, after = added(lora), added(Path(output))
    assert before.keys() == after.keys()
    for name, change in before.items():
        torch.testing.assert_close(after[name], -2.0 * change, rtol=1e-3, atol=0.0)
    report = json.loads(Path(output).with_suffix(".json").read_text())
    assert (report["tool"], report["key_format"]) == ("toy-strength", "comfyui")


def test_its_options_and_help_come_from_its_row(call: Call, lora: Path, tmp_path: Path) -> None:
    assert "write a LoRA at another strength" in call("--help").out
    assert "What the change is multiplied by." in call("toy-strength", "--help").out
    refused = call("toy-strength", lora, "--strength", "11")
    assert refused.code == 2
    assert "--strength" in refused.err


def test_several_files_are_taken_and_a_file_that_is_no_lora_is_refused(call: Call, lora: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    answer = call("toy-strength", lora, lora, "--output-dir", out, "--json").json
    assert len(set(answer["outputs"])) == 2
    model = save_model(tmp_path / "model.safetensors", {"a.weight": torch.ones(2, 2)})
    assert_refused(call("toy-strength", lora, model, "--output-dir", out, "--json"), "not_a_lora", names=model)
    assert len(list(out.glob("*.safetensors"))) == 2


def test_half_of_a_pair_of_factors_is_named_and_no_file_remains(call: Call, lora: Path, tmp_path: Path) -> None:
    tensors = load_lora(lora)
    key = next(name for name in tensors if name.endswith(".lora_down.weight"))
    del tensors[key]
    broken, out = save_model(tmp_path / "half.safetensors", tensors), tmp_path / "new"
    said = call("toy-strength", broken, "--output-dir", out, "--json")
    assert_refused(said, "lora_mismatch", names=broken)
    assert said.json["error"]["tensor"].startswith(key.removesuffix(".lora_down.weight"))
    assert not out.exists()


def test_a_tool_that_is_stopped_leaves_nothing(tool: Strength, lora: Path, tmp_path: Path) -> None:
    cancel, out = CancelToken(), tmp_path / "new"
    with LoraFile(lora) as file:
        events = tool.run([file], tool.options(), out, cancel)
        next(events)
        cancel.cancel()
        with pytest.raises(Cancelled):
            next(events)
    assert not out.exists()


def test_a_lora_without_alphas_is_read_at_its_rank(lora: Path, tmp_path: Path) -> None:
    tensors = {name: tensor for name, tensor in load_lora(lora).items() if not name.endswith(".alpha")}
    with LoraFile(save_model(tmp_path / "plain.safetensors", tensors)) as file:
        name = next(name for name, keys in file.layers.items() if "up" in keys)
        layer = file.read(name)
    assert float(layer.parts["alpha"]) == len(layer.parts["down"])
