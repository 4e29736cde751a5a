"""Our adapters beside mergekit's, and held against what vLLM asks of an adapter."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import peft_consumer as consumer
import pytest
import torch
from extraction_runs import run
from safetensors.torch import load_file
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=16)),
}

# vLLM, vllm/lora/peft_helper.py (commit 0214369): the fields of adapter_config.json that it reads, those that it
# refuses other values of, and the scale of every layer; no `rank_pattern` and no `alpha_pattern`. vllm/config/lora.py:
# `max_lora_rank` is at most 512. vllm/lora/utils.py, parse_fine_tuned_lora_name: what a key begins and ends with.
VLLM_READS = ("r", "lora_alpha", "target_modules", "bias", "modules_to_save", "use_rslora", "use_dora")
VLLM_REFUSES = {"modules_to_save": (None, []), "use_dora": (None, False), "bias": (None, "none")}
VLLM_LARGEST_RANK = 512
VLLM_START, VLLM_ENDINGS = "base_model.model.", (".lora_A.weight", ".lora_B.weight")
# vllm/model_executor/models/llama.py, qwen2.py, qwen3.py (packed_modules_mapping) and the linear layers beside them.
VLLM_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def saved_pair(key: str, folder: Path) -> tuple[Path, Path, dict[str, torch.Tensor]]:
    """A pair, and the change of every weight."""
    torch.manual_seed(0)
    base: Any = MODELS[key]()
    tuned = consumer.fine_tuned(base)
    changes = {name: tuned.state_dict()[name] - value for name, value in base.state_dict().items()}
    return consumer.saved(tuned, folder / "tuned"), consumer.saved(base, folder / "base"), changes


def square_errors(adapter: dict[str, torch.Tensor], changes: dict[str, torch.Tensor]) -> dict[str, float]:
    """|change - lora_B @ lora_A|^2 of each module, in float64."""
    modules = [key.removesuffix(".lora_A.weight") for key in adapter if key.endswith(".lora_A.weight")]
    products = {
        module: adapter[f"{module}.lora_B.weight"].double() @ adapter[f"{module}.lora_A.weight"].double()
        for module in modules
    }
    wanted = {module: changes[f"{module.removeprefix(VLLM_START)}.weight"].double() for module in modules}
    return {module: float((wanted[module] - product).square().sum()) for module, product in products.items()}


@pytest.mark.parametrize("key", ["llama", "qwen2"])
@pytest.mark.parametrize("rank", [2, 8])
def test_our_product_is_as_near_to_the_change_as_that_of_mergekit(tmp_path: Path, key: str, rank: int) -> None:
    """The installed mergekit extracts from the same pair; of each of its modules ours has no larger error."""
    extractor = pytest.importorskip("mergekit.scripts.extract_lora", reason="the extra benchmark is not installed")
    tuned, base, changes = saved_pair(key, tmp_path)
    arguments = ["--model", str(tuned), "--base-model", str(base), "--out-path", str(tmp_path / "theirs")]
    extractor.main([*arguments, "--max-rank", str(rank)], standalone_mode=False)
    settings = {"output_dtype": "fp32", "clamp_quantile": False, "key_format": "peft"}
    ours = run((tuned, base), tmp_path, rank=rank, **settings).lora
    files = (folder / "adapter_model.safetensors" for folder in (ours, tmp_path / "theirs"))
    mine, theirs = (square_errors(load_file(file), changes) for file in files)
    assert len(theirs) == 14
    assert all(math.sqrt(mine[module]) <= 1.00001 * math.sqrt(theirs[module]) for module in theirs)


@pytest.mark.shows(family="llama", program="vllm")
@pytest.mark.parametrize("key", MODELS)
@pytest.mark.parametrize("lora_type", ["standard", "adaptive_energy"])
def test_what_is_written_for_vllm_is_what_vllm_takes(tmp_path: Path, key: str, lora_type: str) -> None:
    tuned, base, changes = saved_pair(key, tmp_path)
    settings: dict[str, Any] = {"rank": 16, "lora_type": lora_type, "adaptive_param": 0.9}
    lora = run((tuned, base), tmp_path, key_format="peft", program="vllm", output_dtype="fp32", **settings).lora
    config = json.loads((lora / "adapter_config.json").read_text())
    read = {field: config.get(field) for field in VLLM_READS}
    assert read["r"] <= VLLM_LARGEST_RANK
    assert all(read[field] in values for field, values in VLLM_REFUSES.items())
    assert all(path.rpartition(".")[2] in VLLM_MODULES for path in read["target_modules"])
    tensors = load_file(lora / "adapter_model.safetensors")
    assert all(name.startswith(VLLM_START) and name.endswith(VLLM_ENDINGS) for name in tensors)
    assert all(tensor.shape[0] <= read["r"] for name, tensor in tensors.items() if ".lora_A." in name)
    scale = read["lora_alpha"] / read["r"]
    errors = square_errors({name: tensor * math.sqrt(scale) for name, tensor in tensors.items()}, changes)
    wholes = {module: float(changes[f"{module.removeprefix(VLLM_START)}.weight"].square().sum()) for module in errors}
    assert len(errors) == 14
    assert all(error <= 0.15 * wholes[module] for module, error in errors.items()), "one scale is right for every layer"
