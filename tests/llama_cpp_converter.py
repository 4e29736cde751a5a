"""Tiny Hugging Face models as llama.cpp's converter writes them: names of the gguf package, its changes of numbers.

The formulas are those of ``LlamaModel.permute`` and ``GemmaModel.modify_tensors`` of convert_hf_to_gguf.py, in numpy.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf_files import GgufModel, encoded, save_gguf
from model_files import Tensors
from safetensors.torch import load_file
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

LAYERS, HEADS, KV_HEADS, HEAD = 2, 4, 2, 16
_SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": HEADS * HEAD,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "head_dim": HEAD,
    "tie_word_embeddings": False,
}
_T5: dict[str, Any] = {"vocab_size": 96, "d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4}
_MOE: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_EXPERT = re.compile(r"(.*\.experts)\.(\d+)\.(\w+)\.weight")
_GATED = {"feed_forward_proj": "gated-gelu"}
_LLAMA = {key: value for key, value in _SIZES.items() if key != "head_dim"}


@dataclass(frozen=True)
class Kind:
    """One kind of model: its class and configuration in transformers, and what llama.cpp calls it."""

    architecture: str
    model: type[PreTrainedModel]
    config: Any


KINDS = {
    "llama": Kind("llama", LlamaForCausalLM, LlamaConfig(**_LLAMA, attention_bias=True)),
    "qwen2": Kind("qwen2", Qwen2ForCausalLM, Qwen2Config(**_LLAMA)),
    "qwen3": Kind("qwen3", Qwen3ForCausalLM, Qwen3Config(**_SIZES)),
    "gemma": Kind("gemma", GemmaForCausalLM, GemmaConfig(**_SIZES | {"tie_word_embeddings": True})),
    "gemma2": Kind("gemma2", Gemma2ForCausalLM, Gemma2Config(**_SIZES | {"tie_word_embeddings": True})),
    "gemma3": Kind("gemma3", Gemma3ForCausalLM, Gemma3TextConfig(**_SIZES | {"tie_word_embeddings": True})),
    "mixtral": Kind("llama", MixtralForCausalLM, MixtralConfig(**_SIZES, num_local_experts=4)),
    "qwen3moe": Kind("qwen3moe", Qwen3MoeForCausalLM, Qwen3MoeConfig(**_SIZES, **_MOE)),
    "t5": Kind("t5encoder", T5EncoderModel, T5Config(**_T5, **_GATED)),
    "t5 of 2019": Kind("t5encoder", T5EncoderModel, T5Config(**_T5)),
    "umt5": Kind("t5encoder", UMT5EncoderModel, UMT5Config(**_T5, **_GATED)),
}


def tiny_state(kind: str, seed: int) -> Tensors:
    """The weights of a tiny model as transformers saves them, all at random, norms and biases too."""
    with torch.random.fork_rng(), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(seed)
        KINDS[kind].model(KINDS[kind].config).save_pretrained(folder)
        state = load_file(Path(folder) / "model.safetensors")
        return {name: 0.1 * torch.randn(tensor.shape) for name, tensor in sorted(state.items())}


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of q or k in llama.cpp's order."""
    return (
        weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)
    )


def converted(kind: str, state: Tensors, block_type: str = "") -> GgufModel:
    """What the converter would write of a state dict: matrices in a block type, or all in float32."""
    row = KINDS[kind]
    architecture = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == row.architecture)
    names = gguf.get_tensor_name_map(architecture, LAYERS)
    heads = {"attention.head_count": HEADS, "attention.head_count_kv": KV_HEADS}
    metadata = {f"{row.architecture}.{key}": value for key, value in heads.items()}
    result = GgufModel(architecture=row.architecture, metadata=metadata)
    for name, tensor in _stacked(state).items():
        module, _, parameter = name.rpartition(".")
        data = tensor.numpy()
        if row.architecture == "llama" and module.endswith((".q_proj", ".k_proj")):
            data = permuted(data, HEADS if module.endswith(".q_proj") else KV_HEADS)
        if row.architecture.startswith("gemma") and name.endswith("norm.weight"):
            data = data + np.float32(1)
        theirs = f"{names.get_name(module)}.{parameter}"
        values = torch.from_numpy(np.ascontiguousarray(data))
        if block_type and values.dim() > 1 and not values.shape[1] % 32:
            result.blocks[theirs] = (block_type, encoded(block_type, values))
        else:
            result.tensors[theirs] = values
    return result


def _stacked(state: Tensors) -> Tensors:
    """The same with the matrices of a layer's experts in one tensor."""
    experts: dict[str, dict[int, torch.Tensor]] = {}
    for name, tensor in state.items():
        if match := _EXPERT.fullmatch(name):
            experts.setdefault(f"{match[1]}.{match[3]}.weight", {})[int(match[2])] = tensor
    rest = {name: tensor for name, tensor in state.items() if not _EXPERT.fullmatch(name)}
    return rest | {name: torch.stack([parts[at] for at in range(len(parts))]) for name, parts in experts.items()}


def save_converted(path: Path, kind: str, state: Tensors, block_type: str = "") -> Path:
    """The file of it."""
    return save_gguf(path, converted(kind, state, block_type))
