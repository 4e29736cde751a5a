"""Every encoding on the command line: the LoRA is that of the decoded difference, however the other side is stored."""

from __future__ import annotations

import json
from pathlib import Path

import comfyui_consumer
import pytest
import torch
from calls import Call
from encoded_weights import KINDS, Encoded, save_encoded, weight_of
from extraction_runs import EXACT
from model_files import Tensors, save_model

FULL = ("--rank", EXACT["rank"], "--output-dtype", "fp32", "--no-clamp-quantile", "--round-original", "off", "--json")
SHAPE = (130, 192)
LAYERS = ("blocks.0.attn.proj", "blocks.1.attn.proj")
PREFIX, OURS = "model.diffusion_model.", "diffusion_model."


def encoded_file(path: Path, kind: str, seed: int) -> tuple[Path, dict[str, Encoded]]:
    path.parent.mkdir(exist_ok=True)
    weights = {
        PREFIX + layer: KINDS[kind].encode(PREFIX + layer, weight_of(SHAPE, seed + index))
        for index, layer in enumerate(LAYERS)
    }
    others = {f"{PREFIX}blocks.0.norm.weight": torch.ones(8) + seed}
    return save_encoded(path, weights, in_header=seed == 7, others=others), weights


def plain_file(path: Path, seed: int) -> tuple[Path, dict[str, torch.Tensor]]:
    path.parent.mkdir(exist_ok=True)
    weights = {PREFIX + layer: weight_of(SHAPE, seed + index) for index, layer in enumerate(LAYERS)}
    tensors = {f"{name}.weight": weight for name, weight in weights.items()}
    return save_model(path, tensors | {f"{PREFIX}blocks.0.norm.weight": torch.ones(8)}), weights


def changes(answer: dict[str, object]) -> Tensors:
    (output,) = answer["outputs"]  # type: ignore[misc]
    model = {f"{OURS}{layer}.weight": torch.empty(SHAPE) for layer in LAYERS}
    model |= {f"{OURS}blocks.0.norm.weight": torch.empty(8)}
    return comfyui_consumer.changes(comfyui_consumer.load_lora(Path(output["path"])), model)  # type: ignore[index]


def worst(found: Tensors, tuned: Tensors, base: Tensors) -> float:
    errors = []
    for layer in LAYERS:
        change = tuned[PREFIX + layer].double() - base[PREFIX + layer].double()
        errors.append(float((found[f"{OURS}{layer}.weight"] - change).norm() / change.norm()))
    return max(errors)


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoded_fine_tune_against_a_plain_original(kind: str, extract: Call, tmp_path: Path) -> None:
    tuned, weights = encoded_file(tmp_path / "tuned" / "model.safetensors", kind, seed=7)
    base, numbers = plain_file(tmp_path / "base" / "model.safetensors", seed=70)
    answer = extract((tuned, base), *FULL).json
    assert worst(changes(answer), {name: weight.numbers for name, weight in weights.items()}, numbers) < 2e-6
    report = json.loads(Path(answer["outputs"][0]["path"]).with_suffix(".json").read_text())
    assert report["finetuned_model"]["encodings"][KINDS[kind].key] == len(LAYERS)


PAIRS = list(zip(KINDS, [*list(KINDS)[7:], *list(KINDS)[:7]], strict=True))


@pytest.mark.parametrize(("tuned_kind", "base_kind"), PAIRS)
def test_encoded_models_of_two_kinds(tuned_kind: str, base_kind: str, extract: Call, tmp_path: Path) -> None:
    tuned, theirs = encoded_file(tmp_path / "tuned" / "model.safetensors", tuned_kind, seed=1)
    base, ours = encoded_file(tmp_path / "base" / "model.safetensors", base_kind, seed=10)
    found = changes(extract((tuned, base), *FULL).json)
    sides = ({name: weight.numbers for name, weight in side.items()} for side in (theirs, ours))
    assert worst(found, *sides) < 2e-6
