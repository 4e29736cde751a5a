"""Verifying judges an adapter of PEFT, its folder or the weights in it: what the run said of it is what is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft_consumer as consumer
import pytest
import torch
from extraction_runs import run, verified
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from tiny_language_models import model

from app.text.verification import agrees, claimed_quality


@pytest.mark.parametrize("key", ["llama", "llama_tied", "gpt2", "qwen2_moe", "gpt_oss"])
def test_what_the_run_says_is_kept_is_kept_by_the_folder(key: str, tmp_path: Path) -> None:
    base: Any = model(key)
    paths = consumer.saved(consumer.fine_tuned(base), tmp_path / "tuned"), consumer.saved(base, tmp_path / "base")
    ran = run(paths, tmp_path, key_format="peft", rank=3)
    found = verified(paths, ran.lora)
    assert (found.key_format, found.unknown_keys) == ("peft", ())
    assert found.mean_energy_retained == pytest.approx(ran.result.outputs[0].mean_energy_retained, abs=1e-5)
    assert agrees(found, claimed_quality(ran.lora))
    assert verified(paths, ran.lora / "adapter_model.safetensors").mean_energy_retained == found.mean_energy_retained


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")
def test_an_adapter_that_peft_saved_is_measured_at_its_scales(tmp_path: Path) -> None:
    torch.manual_seed(3)
    base: Any = model("llama")
    pair = consumer.saved(consumer.fine_tuned(base), tmp_path / "tuned"), consumer.saved(base, tmp_path / "base")
    config = LoraConfig(
        r=4, lora_alpha=12, use_rslora=True, init_lora_weights=False, target_modules=["q_proj", "down_proj"],
        rank_pattern={"layers.1.self_attn.q_proj": 2}, alpha_pattern={"down_proj": 5},
    )  # fmt: skip
    own = get_peft_model(base, config)
    own.save_pretrained(tmp_path / "own")
    wanted = {
        f"{name}.weight": module.get_delta_weight("default").detach().double()
        for name, module in own.base_model.model.named_modules()
        if hasattr(module, "get_delta_weight")
    }
    tuned, original = (load_file(path / "model.safetensors") for path in pair)
    deltas = {name: tuned[name].double() - original[name].double() for name in original}
    lost = sum(float((delta - wanted.get(name, 0.0)).square().sum()) for name, delta in deltas.items())
    kept = 1.0 - lost / sum(float(delta.square().sum()) for delta in deltas.values())
    found = verified(pair, tmp_path / "own")
    assert found.mean_energy_retained == pytest.approx(kept, abs=1e-6)
    assert found.unknown_keys == ()
