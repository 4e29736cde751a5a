"""``--for`` writes what a program loads, several at once a file each; Forge's names are read from a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import Call, assert_refused
from comfyui_consumer import load_lora
from loaders import key_maps, state_names
from model_files import Tensors, random_tensor, save_model
from safetensors import safe_open

from engine.formats.programs import PROGRAMS

DENOISER, CLIP = "model.diffusion_model.", "cond_stage_model.transformer."
LAYERS = 5  # with two norms of two parameters each: more than Forge lets pass


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORA_EXTRACTOR_HOME", str(tmp_path / "home"))


def stable_diffusion() -> Tensors:
    """The fewest weights by which Stable Diffusion 1.x is known, and a text encoder of a few layers."""
    shapes: dict[str, tuple[int, ...]] = {
        DENOISER + "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight": (32, 32),
        DENOISER + "input_blocks.1.1.norm.weight": (32,),
        DENOISER + "time_embed.0.weight": (32, 16),
        DENOISER + "time_embed.0.bias": (32,),
        CLIP + "text_model.embeddings.token_embedding.weight": (100, 32),
    }
    for number in range(LAYERS):
        layer = f"{CLIP}text_model.encoder.layers.{number}."
        for norm in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{layer}{norm}.weight": (32,), f"{layer}{norm}.bias": (32,)}
        for module, (rows, columns) in {"mlp.fc1": (64, 32), "mlp.fc2": (32, 64), "self_attn.q_proj": (32, 32)}.items():
            shapes |= {f"{layer}{module}.weight": (rows, columns), f"{layer}{module}.bias": (rows,)}
    return {name: random_tensor(*shape, seed=at) for at, (name, shape) in enumerate(shapes.items())}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    base = stable_diffusion()
    tuned = {
        name: tensor + 0.05 * random_tensor(*tensor.shape, seed=500 + at)
        for at, (name, tensor) in enumerate(base.items())
    }
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


def state() -> state_names.State:
    weights = stable_diffusion()
    encoder = {name.removeprefix(CLIP): tensor for name, tensor in weights.items() if name.startswith(CLIP)}
    inner = {name.removeprefix(DENOISER): tensor for name, tensor in weights.items() if name.startswith(DENOISER)}
    return state_names.denoiser("sd1", inner) | state_names.clip_encoder("clip_l", encoder)


def extract(call: Call, pair: tuple[Path, Path], folder: Path, *options: str) -> list[dict[str, object]]:
    said = call("extract", *pair, *options, "--output-dir", folder, "--device", "cpu", "--json")
    assert said.code == 0, said.err
    outputs = said.json["outputs"]
    assert isinstance(outputs, list)
    return outputs


@pytest.mark.shows(lambda: [{"family": "sd1", "program": program} for program in ("forge", "comfyui")])
def test_a_trained_text_encoder_is_read_whole_by_the_program_it_is_for(
    call: Call, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    forge, comfyui = extract(call, pair, tmp_path / "out", "--for", "forge", "--for", "comfyui")
    assert (forge["program"], comfyui["program"]) == ("forge", "comfyui")
    files = {str(output["program"]): load_lora(Path(str(output["path"]))) for output in (forge, comfyui)}
    model = state()
    read = key_maps.read(files["forge"], model, key_maps.forge_keys(model), key_maps.FORGE_PARTS)
    assert read.unknown == set()
    assert any(name.startswith("clip_l") for name in read.added)
    assert key_maps.read(files["comfyui"], model, key_maps.comfyui_keys(model)).unknown == set()
    assert key_maps.read(files["comfyui"], model, key_maps.comfyui_keys(model)).added.keys() == model.keys()
    assert float(str(forge["mean_energy_retained"])) < float(str(comfyui["mean_energy_retained"]))
    other = key_maps.read(files["comfyui"], model, key_maps.forge_keys(model), key_maps.FORGE_PARTS)
    assert key_maps.refused_by_forge(other), "what ComfyUI reads beyond Forge is what Forge refuses a file for"


def test_what_is_left_out_for_a_program_is_said_before_the_start(
    call: Call, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    said = call("extract", *pair, "--for", "forge", "--output-dir", tmp_path / "out", "--device", "cpu")
    start, _, _ = said.err.partition("Wrote ")
    assert "Left out: 21 tensors." in start
    assert "the program that it is for does not load it (Forge)" in start
    assert "Forge does not load 21 tensors of this, such as" in start


def test_programs_and_formats_are_a_file_each(call: Call, pair: tuple[Path, Path], tmp_path: Path) -> None:
    options = ("--for", "forge", "--key-format", "kohya", "--for", "a1111", "--for", "forge")
    outputs = extract(call, pair, tmp_path / "out", *options)
    assert [(output["program"], output["key_format"]) for output in outputs] == [
        ("forge", "comfyui"), ("a1111", "kohya"), (None, "kohya"),
    ]  # fmt: skip
    assert len({output["path"] for output in outputs}) == 3
    report = json.loads(Path(str(outputs[0]["report"])).read_text())
    assert (report["program"], report["settings"]["program"]) == ("forge", "forge")
    with safe_open(str(outputs[2]["path"]), "pt") as file:
        assert "program" not in file.metadata()["lora_extractor.settings"]


def test_export_writes_for_another_program_what_the_cache_holds(
    call: Call, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    extract(call, pair, tmp_path / "out")
    (shown,) = call("cache", "show", "--json").json["pairs"]
    said = call("export", shown["fingerprint"], "--for", "forge", "--output-dir", tmp_path / "again", "--json")
    assert said.code == 0, said.err
    assert said.json["outputs"][0]["program"] == "forge"
    model = state()
    lora = load_lora(Path(said.json["output"]))
    assert key_maps.read(lora, model, key_maps.forge_keys(model), key_maps.FORGE_PARTS).unknown == set()


def test_a_program_that_there_is_not_is_refused_with_the_list(call: Call, pair: tuple[Path, Path]) -> None:
    said = call("extract", *pair, "--for", "fooocus")
    assert said.code == 2
    assert "argument --for: invalid choice: 'fooocus'" in said.err
    assert all(program.key in said.err for program in PROGRAMS)


def test_models_that_a_program_does_not_load_are_refused_with_the_way_out(call: Call, pair: tuple[Path, Path]) -> None:
    said = call("extract", *pair, "--for", "vllm", "--json")
    assert_refused(said, "program_unsuitable", names="vLLM")
    assert "Choose another program: ComfyUI, Forge, A1111, InvokeAI" in said.err


def test_inspect_names_the_programs_that_load_loras_of_a_model_and_verify_the_one_a_lora_is_for(
    call: Call, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    inspected = call("inspect", *pair, "--json")
    assert inspected.json["programs"][:4] == ["comfyui", "forge", "a1111", "invokeai"]
    assert "A LoRA of it can be for ComfyUI, Forge, A1111, InvokeAI" in inspected.err
    assert "vllm" not in call("inspect", pair[0], "--json").json["programs"]
    (forge,) = extract(call, pair, tmp_path / "out", "--for", "forge")
    described = call("inspect", str(forge["path"]), "--json")
    assert (described.json["format"], described.json["program"]) == ("comfyui", "forge")
    assert "a LoRA in the format of ComfyUI \u00b7 for Forge" in described.err
    verified = call("verify", str(forge["path"]), *pair, "--json")
    assert (verified.json["program"], verified.json["unknown_keys"]) == ("forge", [])
    assert verified.json["mean_energy_retained"] == pytest.approx(forge["mean_energy_retained"], abs=1e-6)
    assert "Its format is ComfyUI's, for Forge." in verified.err
