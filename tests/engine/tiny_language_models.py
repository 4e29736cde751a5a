"""Tiny language models of transformers, as they are in memory and as its own `save_pretrained` writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from model_files import Tensors, save_model
from safetensors.torch import load_file
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GptOssConfig,
    GptOssForCausalLM,
    GraniteMoeConfig,
    GraniteMoeForCausalLM,
    Llama4ForCausalLM,
    Llama4TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from engine.checkpoints import open_checkpoint
from engine.checkpoints.tensors import read_view
from engine.decompose.delta import subtract
from engine.models.pairing import Pairing, pair

VOCABULARY, WIDTH, EXPERTS, LAYERS = 50, 16, 3, 2
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 24,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
_QWEN = {"num_experts": EXPERTS, "moe_intermediate_size": 12}

MODELS: dict[str, Callable[[], torch.nn.Module]] = {
    "mixtral": lambda: MixtralForCausalLM(MixtralConfig(**_SIZES, num_local_experts=EXPERTS)),
    "qwen2_moe": lambda: Qwen2MoeForCausalLM(Qwen2MoeConfig(**_SIZES, **_QWEN, shared_expert_intermediate_size=8)),
    "qwen3_moe": lambda: Qwen3MoeForCausalLM(Qwen3MoeConfig(**_SIZES, **_QWEN, head_dim=8)),
    "granite_moe": lambda: GraniteMoeForCausalLM(GraniteMoeConfig(**_SIZES, num_local_experts=EXPERTS)),
    "gpt_oss": lambda: GptOssForCausalLM(GptOssConfig(**_SIZES, num_local_experts=EXPERTS, head_dim=8)),
    "llama4": lambda: Llama4ForCausalLM(
        Llama4TextConfig(**_SIZES, num_local_experts=EXPERTS, intermediate_size_mlp=20, head_dim=8)
    ),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=LAYERS, n_head=2, n_positions=8, bos_token_id=0, eos_token_id=0
        )
    ),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**_SIZES)),
    "llama_tied": lambda: LlamaForCausalLM(LlamaConfig(**_SIZES, tie_word_embeddings=True)),
}


def model(key: str, seed: int = 0) -> torch.nn.Module:
    """A model with random weights, its norms and biases too."""
    torch.manual_seed(seed)
    made = MODELS[key]()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return made


def in_memory(made: torch.nn.Module) -> Tensors:
    """Its state, as programs write that do not use `save_pretrained`; tied weights as copies of their own."""
    return {name: tensor.detach().clone() for name, tensor in made.state_dict().items()}


def saved(made: Any, folder: Path) -> Tensors:
    """What its own `save_pretrained` writes."""
    made.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def files(folder: Path, tuned: Tensors, base: Tensors) -> tuple[Path, Path]:
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def paired(folder: Path, tuned: Tensors, base: Tensors) -> tuple[Pairing, dict[str, torch.Tensor]]:
    """The match of two models, and the delta of every weight."""
    paths = files(folder, tuned, base)
    with open_checkpoint(paths[0]) as left, open_checkpoint(paths[1]) as right:
        pairing = pair(left, right)
        return pairing, {
            weight.name: subtract(read_view(left, weight.finetuned), read_view(right, weight.original)).values
            for weight in pairing.weights
        }
