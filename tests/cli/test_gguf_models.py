"""GGUF files on the command line: inspected, extracted against safetensors, verified, split ones, and refused ones."""

from __future__ import annotations

import json
from pathlib import Path

import comfyui_consumer
import pytest
import torch
from calls import Call, assert_refused
from extraction_runs import EXACT
from gguf_files import GgufModel, decoded, encoded, random_rows, save_gguf
from llama_cpp_converter import save_converted, tiny_state
from model_files import PREFIX, Tensors, random_tensor, save_model
from native_models import NATIVE_MODELS, state_of

FULL = ("--rank", EXACT["rank"], "--output-dtype", "fp32", "--no-clamp-quantile", "--round-original", "off", "--json")
OURS = "diffusion_model."


def gguf_flux(path: Path, state: Tensors, kind: str) -> tuple[Path, Tensors]:
    """A tiny Flux as ComfyUI's GGUF files are: no prefix, matrices in blocks where their rows are whole ones."""
    model, numbers = GgufModel(architecture="flux"), Tensors()
    for name, tensor in state.items():
        if tensor.dim() == 2 and tensor.shape[1] % 32 == 0:
            data = encoded(kind, tensor)
            model.blocks[name], numbers[OURS + name] = (kind, data), decoded(kind, data)
        else:
            model.tensors[name] = tensor.half()
            numbers[OURS + name] = tensor.half().float()
    return save_gguf(path, model), numbers


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_a_gguf_flux_against_safetensors_is_inspected_extracted_and_verified(
    kind: str, call: Call, extract: Call, tmp_path: Path
) -> None:
    flux = NATIVE_MODELS["flux"]
    original, step = state_of("flux", seed=0), state_of("flux", seed=1)
    state = flux.native({name: tensor + 0.5 * step[name] for name, tensor in original.items()})
    tuned, numbers = gguf_flux(tmp_path / "tuned.gguf", state, kind)
    halves = {name: tensor.half() for name, tensor in flux.native(original).items()}
    base = save_model(tmp_path / "base.safetensors", {PREFIX + name: tensor for name, tensor in halves.items()})
    originals = {OURS + name: tensor.float() for name, tensor in halves.items()}

    encoded_layers = sum(tensor.dim() == 2 and tensor.shape[1] % 32 == 0 for tensor in state.values())
    assert encoded_layers > 3
    summary = call("inspect", tuned, "--json").json
    assert (summary["container"], summary["family"], summary["tensors"]) == ("GGUF", "flux", len(state))
    assert f"{encoded_layers} in GGUF {kind}" in call("inspect", tuned).err
    answer = extract((tuned, base), *FULL).json
    (output,) = answer["outputs"]
    found = comfyui_consumer.changes(comfyui_consumer.load_lora(Path(output["path"])), originals)
    for name, tensor in numbers.items():
        change = tensor.double() - originals[name].double()
        assert float((found[name] - change).norm() / change.norm()) < 2e-6, name
    report = json.loads(Path(output["path"]).with_suffix(".json").read_text())
    assert report["finetuned_model"]["encodings"][f"gguf_{kind.lower()}"] == encoded_layers
    judged = call("verify", output["path"], tuned, base, "--json").json
    assert judged["mean_energy_retained"] > 1 - 1e-9


def test_a_change_of_low_rank_is_found_in_a_gguf_file_of_the_k_types(extract: Call, tmp_path: Path) -> None:
    """The original differs from what the blocks stand for by rank 3: rank 3 keeps all of it."""
    kinds = "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"
    model, base = GgufModel(architecture="wan"), Tensors()
    for number, kind in enumerate(kinds):
        data = random_rows(kind, 96, 256, seed=number)
        name = f"layers.{number}.weight"
        model.blocks[name] = kind, data
        change = random_tensor(96, 3, seed=number) @ random_tensor(3, 256, seed=number + 50)
        base[PREFIX + name] = decoded(kind, data) + 0.05 * change
    pair = save_gguf(tmp_path / "tuned.gguf", model), save_model(tmp_path / "base.safetensors", base)
    answer = extract(pair, "--rank", 3, "--output-dtype", "fp32", "--no-clamp-quantile", "--json").json
    assert answer["layers"] == len(kinds)
    assert answer["mean_energy_retained"] > 1 - 1e-6


@pytest.mark.parametrize("kind", ["llama", "gemma2", "t5"])
def test_a_converted_language_model_pairs_with_its_hugging_face_original(
    kind: str, extract: Call, tmp_path: Path
) -> None:
    """The only change is that of one weight; all others are the same numbers under other names, in another order."""
    state = tiny_state(kind, seed=1)
    target = next(name for name in state if name.endswith(("q_proj.weight", "SelfAttention.q.weight")))
    tuned = dict(state)
    tuned[target] = state[target] + random_tensor(64, 2, seed=1) @ random_tensor(2, 64, seed=2)
    pair = (
        save_converted(tmp_path / "tuned.gguf", kind, tuned),
        save_model(tmp_path / "base.safetensors", state),
    )
    options = ("--rank", 2, "--output-dtype", "fp32", "--no-clamp-quantile", "--min-change", "1e-5", "--json")
    extract(pair, "--components", "denoiser,text_encoders", *options)
    (report,) = (tmp_path / "out").rglob("*.json")
    layers = json.loads(report.read_text())["layers"]
    (layer,) = [row for row in layers if row["delta_energy"] > 1e-3]
    assert layer["name"].endswith(target)
    assert layer["energy_retained"] > 1 - 1e-6


def split(folder: Path) -> list[Path]:
    tensors = {f"{PREFIX}layers.{number}.weight": random_tensor(24, 32, seed=number) for number in range(4)}
    save_gguf(folder / "tuned.gguf", GgufModel(tensors), split_max_tensors=2)
    save_model(folder.parent / "base.safetensors", {name: tensor + 0.1 for name, tensor in tensors.items()})
    return sorted(folder.glob("tuned-*.gguf"))


def test_a_split_model_is_opened_whole_by_any_part_and_by_its_folder(call: Call, extract: Call, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    parts = split(tmp_path / "model")
    for chosen in (*parts, tmp_path / "model"):
        summary = call("inspect", chosen, "--json").json
        assert (summary["tensors"], summary["container"]) == (4, "GGUF")
    assert f"{parts[1].name} is one of 2 files of a model" in call("inspect", parts[1]).err
    assert extract((parts[1], tmp_path / "base.safetensors"), "--rank", 4, "--json").json["layers"] == 4


def test_a_split_model_with_a_missing_part_is_refused_with_its_name(extract: Call, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    parts = split(tmp_path / "model")
    parts[0].unlink()
    assert_refused(extract((parts[1], tmp_path / "base.safetensors"), "--json"), "shard_missing", names=parts[0])


def test_a_type_that_is_not_decoded_is_described_and_refused_with_what_to_do(
    call: Call, extract: Call, tmp_path: Path
) -> None:
    name = f"{PREFIX}layers.0.weight"
    path = save_gguf(tmp_path / "a.gguf", GgufModel(blocks={name: ("IQ3_S", random_rows("IQ3_S", 4, 256, seed=1))}))
    base = save_model(tmp_path / "b.safetensors", {name: torch.zeros(4, 256)})
    assert "GGUF IQ3_S" in call("inspect", path).err
    said = extract((path, base), "--json")
    assert_refused(said, "quantised", names=path)
    assert "GGUF IQ3_S" in said.json["error"]["message"]
    assert name in said.json["error"]["message"]
    assert "Q2_K to Q6_K" in said.json["error"]["remedy"]
