"""An adapter is read back as what was written, ours and one that PEFT saved itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft_consumer as consumer
import pytest
import torch
from extraction_runs import EXACT, run, verified
from peft import LoraConfig, get_peft_model
from tiny_language_models import model

from engine.checkpoints.tensors import read_stored, read_view
from engine.formats.peft import Peft
from engine.formats.peft_reading import open_lora
from engine.models.pairing import Pairing
from engine.session import Session

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")
KEYS = ("llama", "gpt2", "qwen2_moe", "mixtral", "gpt_oss", "llama4", "granite_moe")


def changes(pairing: Pairing, lora: Path) -> dict[str, torch.Tensor]:
    """What an adapter adds to each weight, by canonical name: alpha / rank * up @ down."""
    row, found = Peft().for_pair(pairing), {}
    with open_lora(lora) as file:
        for weight in pairing.weights:
            for place in row.places(pairing.family, weight.name, weight.kind, weight.shape, factors=True):
                if place.keys["up"] not in file.stored:
                    continue
                parts = {part: read_stored(file, file.stored[key]) for part, key in place.keys.items()}
                up, down = parts["up"], parts["down"]
                up, down = (down.T, up.T) if place.transposed else (up, down)
                found[weight.name] = float(parts["alpha"]) / len(down) * up @ down
    return found


@pytest.mark.parametrize("key", KEYS)
def test_every_matrix_is_read_back_from_the_folder(tmp_path: Path, key: str) -> None:
    base: Any = model(key)
    paths = consumer.saved(consumer.fine_tuned(base), tmp_path / "tuned"), consumer.saved(base, tmp_path / "base")
    lora = run(paths, tmp_path, key_format="peft", **EXACT).lora
    with Session(*paths) as session:
        matrices = {weight.name for weight in session.pairing.weights if weight.kind == "matrix"}
        deltas = dict(delta_of(session, name) for name in matrices)
        found = changes(session.pairing, lora)
    whole = matrices - found.keys()
    assert all(name.endswith("wte.weight") for name in whole), "GPT-2's shared embeddings alone are there as they are"
    for name, change in found.items():
        assert torch.allclose(change, deltas[name], atol=1e-5), name


def delta_of(session: Session, name: str) -> tuple[str, torch.Tensor]:
    weight = next(weight for weight in session.pairing.weights if weight.name == name)
    return name, read_view(session.finetuned, weight.finetuned) - read_view(session.original, weight.original)


@pytest.mark.parametrize("given", ["folder", "file"])
def test_an_adapter_of_peft_itself_is_read_with_its_scales(tmp_path: Path, given: str) -> None:
    base: Any = model("llama")
    torch.manual_seed(3)
    config = LoraConfig(
        r=4,
        lora_alpha=12,
        use_rslora=True,
        init_lora_weights=False,
        target_modules=["q_proj", "down_proj"],
        rank_pattern={"layers.1.self_attn.q_proj": 2},
        alpha_pattern={"down_proj": 5},
    )
    own = get_peft_model(base, config)
    own.save_pretrained(tmp_path / "own")
    wanted = {
        f"diffusion_model.{name}.weight": module.get_delta_weight("default").detach()
        for name, module in own.base_model.model.named_modules()
        if hasattr(module, "get_delta_weight")
    }
    plain: Any = model("llama")
    paths = consumer.saved(consumer.fine_tuned(plain), tmp_path / "tuned"), consumer.saved(plain, tmp_path / "base")
    lora = tmp_path / "own" / ("" if given == "folder" else "adapter_model.safetensors")
    with Session(*paths) as session:
        found = changes(session.pairing, lora)
    assert found.keys() == wanted.keys()
    assert all(torch.allclose(found[name], change, atol=1e-6) for name, change in wanted.items())


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("given", ["folder", "file"])
def test_verify_finds_in_the_folder_what_the_run_says_of_it(tmp_path: Path, key: str, given: str) -> None:
    base: Any = model(key)
    paths = consumer.saved(consumer.fine_tuned(base), tmp_path / "tuned"), consumer.saved(base, tmp_path / "base")
    made = run(paths, tmp_path, key_format="peft", rank=3)
    output = made.result.outputs[0]
    lora = output.path / ("" if given == "folder" else "adapter_model.safetensors")
    found = verified(paths, lora)
    assert found.key_format == "peft"
    assert found.unknown_keys == ()
    assert found.mean_energy_retained == pytest.approx(output.mean_energy_retained, abs=1e-6)
    assert {item.name for item in found.left_out} == {
        item.name for item in made.result.left_out if item.reason.value == "not_in_format"
    }


def test_the_strength_counts_for_weights_that_are_there_whole_too(tmp_path: Path) -> None:
    base: Any = model("gpt2")
    tuned = consumer.fine_tuned(base)
    paths = consumer.saved(tuned, tmp_path / "tuned"), consumer.saved(base, tmp_path / "base")
    lora = run(paths, tmp_path, key_format="peft", strength=0.5, **EXACT).lora
    halfway = type(base)(base.config)
    halfway.load_state_dict({name: (value + tuned.state_dict()[name]) / 2 for name, value in base.state_dict().items()})
    loaded = consumer.loaded(type(base), tmp_path / "base", lora)
    assert consumer.error(consumer.logits(loaded), consumer.logits(halfway)) < 1e-4
    found = verified(paths, lora)
    assert (found.strength, found.mean_energy_retained) == (0.5, pytest.approx(1.0, abs=1e-6))
