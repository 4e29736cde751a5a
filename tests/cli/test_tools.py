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
from engine.errors import Cancelled, EngineError
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


BROKEN: dict[str, tuple[dict[str, torch.Tensor], str, str]] = {
    "a factor of one dimension": ({"lora_up.weight": torch.ones(4)}, "lora_up.weight", "malformed"),
    "a factor without dimensions": ({"lora_down.weight": torch.tensor(4.0)}, "lora_down.weight", "malformed"),
    "an alpha of three numbers": ({"alpha": torch.ones(3)}, "alpha", "malformed"),
    "factors that do not fit": ({"lora_up.weight": torch.ones(6, 3)}, "lora_up.weight", "half"),
    "a core of Tucker's": ({"lora_mid.weight": torch.ones(4, 4, 3, 3)}, "lora_mid.weight", "unknown_part"),
    "the magnitudes of DoRA": ({"dora_scale": torch.ones(6)}, "dora_scale", "unknown_part"),
    "two forms": ({"diff": torch.ones(6, 5)}, "diff", "two_forms"),
}


@pytest.mark.parametrize(("parts", "named", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_layer_that_is_no_plain_change_is_refused_by_the_name_of_its_tensor(
    parts: dict[str, torch.Tensor], named: str, reason: str, call: Call, tmp_path: Path
) -> None:
    sound = {"lora_up.weight": torch.ones(6, 4), "lora_down.weight": torch.ones(4, 5), "alpha": torch.tensor(4.0)}
    tensors = {f"diffusion_model.a.{part}": tensor for part, tensor in (sound | parts).items()}
    broken = save_model(tmp_path / "broken.safetensors", tensors)
    with LoraFile(broken) as file, pytest.raises(EngineError) as caught:
        file.read("diffusion_model.a")
    assert caught.value.data["reason"] == reason
    said = call("toy-strength", broken, "--output-dir", tmp_path / "new", "--json")
    assert_refused(said, "lora_mismatch", names=broken)
    assert said.json["error"]["tensor"] == f"diffusion_model.a.{named}"
    assert not (tmp_path / "new").exists()


def test_a_lora_without_alphas_is_written_with_them(call: Call, lora: Path, tmp_path: Path) -> None:
    tensors = {name: tensor for name, tensor in load_lora(lora).items() if not name.endswith(".alpha")}
    plain = save_model(tmp_path / "plain.safetensors", tensors)
    answer = call("toy-strength", plain, "--strength", "3", "--output-dir", tmp_path / "new", "--json").json
    output = Path(answer["outputs"][0])
    assert set(load_lora(output)) == set(load_lora(lora))
    before, after = added(lora), added(output)
    for name, change in before.items():
        torch.testing.assert_close(after[name], 3.0 * change, rtol=1e-3, atol=0.0)


def test_weights_that_are_set_as_a_whole_and_unknown_tensors_are_passed_on(
    call: Call, lora: Path, tmp_path: Path
) -> None:
    others = {"diffusion_model.new.set_weight": torch.rand(3, 3), "something.else": torch.arange(5)}
    full = save_model(tmp_path / "full.safetensors", load_lora(lora) | others)
    with LoraFile(full) as file:
        assert (file.whole, file.unknown) == (("diffusion_model.new.set_weight",), ("something.else",))
    answer = call("toy-strength", full, "--output-dir", tmp_path / "new", "--json").json
    after = load_lora(Path(answer["outputs"][0]))
    assert set(after) == set(load_lora(full))
    assert all(torch.equal(after[key], tensor) for key, tensor in others.items())


@pytest.mark.parametrize("says", [True, False], ids=["its metadata", "its prefixes"])
def test_a_kohya_file_is_known_and_written_as_one_by(says: bool, call: Call, tmp_path: Path) -> None:
    tensors = {
        f"lora_unet_blocks_{index}_q.{part}": tensor
        for index in range(2)
        for part, tensor in {
            "lora_up.weight": torch.ones(6, 4), "lora_down.weight": torch.ones(4, 5), "alpha": torch.tensor(4.0)
        }.items()
    }  # fmt: skip
    metadata = {"lora_extractor.settings": json.dumps({"key_format": "kohya"})} if says else None
    kohya = save_model(tmp_path / "kohya.safetensors", tensors, metadata)
    with LoraFile(kohya) as file:
        assert file.format.key == "kohya"
    output = Path(call("toy-strength", kohya, "--output-dir", tmp_path / "new", "--json").json["outputs"][0])
    assert json.loads(output.with_suffix(".json").read_text())["key_format"] == "kohya"
    after = load_lora(output)
    assert set(after) == set(tensors)
    assert float(after["lora_unet_blocks_1_q.alpha"]) == 2.0


def test_a_file_that_two_formats_know_is_of_the_one_that_it_names(tmp_path: Path) -> None:
    tensors = {"lora_unet_a.lora_up.weight": torch.ones(6, 4), "lora_unet_a.lora_down.weight": torch.ones(4, 5)}
    metadata = {"lora_extractor.settings": json.dumps({"key_format": "comfyui"})}
    with LoraFile(save_model(tmp_path / "comfyui.safetensors", tensors, metadata)) as file:
        assert file.format.key == "comfyui"


def test_a_model_with_a_parameter_called_alpha_is_no_lora(call: Call, tmp_path: Path) -> None:
    tensors = {"blocks.0.q.weight": torch.ones(4, 4), "blocks.0.snake.alpha": torch.ones(4)}
    model = save_model(tmp_path / "model.safetensors", tensors)
    assert_refused(call("toy-strength", model, "--json"), "not_a_lora", names=model)
