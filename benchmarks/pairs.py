"""Deterministic model pairs with the layer shapes of real models and deltas like real fine-tunes.

A real full fine-tune decays slowly: s_i ~ i^-0.45 exp(-i / 0.3 n) and a floor, with some outlier rows and columns.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

LAYER_NORMS = ("layers.0.input_layernorm", "layers.0.post_attention_layernorm")
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    # A stated subset of each model's layers: one block of every kind, and the convolutions of a U-Net.
    "sdxl": {
        "input_blocks.4.1.transformer_blocks.0.attn1.to_q": (640, 640),
        "input_blocks.4.1.transformer_blocks.0.attn2.to_k": (640, 2048),
        "input_blocks.4.1.transformer_blocks.0.ff.net.0.proj": (5120, 640),
        "input_blocks.4.1.transformer_blocks.0.ff.net.2": (640, 2560),
        "middle_block.1.transformer_blocks.0.attn1.to_q": (1280, 1280),
        "middle_block.1.transformer_blocks.0.attn1.to_k": (1280, 1280),
        "middle_block.1.transformer_blocks.0.attn1.to_v": (1280, 1280),
        "middle_block.1.transformer_blocks.0.attn1.to_out.0": (1280, 1280),
        "middle_block.1.transformer_blocks.0.attn2.to_q": (1280, 1280),
        "middle_block.1.transformer_blocks.0.attn2.to_k": (1280, 2048),
        "middle_block.1.transformer_blocks.0.attn2.to_v": (1280, 2048),
        "middle_block.1.transformer_blocks.0.attn2.to_out.0": (1280, 1280),
        "middle_block.1.transformer_blocks.0.ff.net.0.proj": (10240, 1280),
        "middle_block.1.transformer_blocks.0.ff.net.2": (1280, 5120),
        "input_blocks.5.0.in_layers.2": (640, 640, 3, 3),
    },
    "flux": {
        "double_blocks.0.img_attn.proj": (3072, 3072),
        "double_blocks.0.img_attn.qkv": (9216, 3072),
        "double_blocks.0.txt_attn.proj": (3072, 3072),
        "double_blocks.0.txt_attn.qkv": (9216, 3072),
    },
    "wan": {"blocks.0.self_attn.q": (5120, 5120), "blocks.0.ffn.0": (13824, 5120)},
    "llm": {  # a whole layer of an 8B model, and what its container must have
        "model.embed_tokens": (256, 4096),
        "model.layers.0.self_attn.q_proj": (4096, 4096),
        "model.layers.0.self_attn.k_proj": (1024, 4096),
        "model.layers.0.self_attn.v_proj": (1024, 4096),
        "model.layers.0.self_attn.o_proj": (4096, 4096),
        "model.layers.0.mlp.gate_proj": (14336, 4096),
        "model.layers.0.mlp.up_proj": (14336, 4096),
        "model.layers.0.mlp.down_proj": (4096, 14336),
        "lm_head": (256, 4096),
    },
}
NORMS = {"llm": {f"model.{name}": 4096 for name in ("norm", *LAYER_NORMS)}}
UNCHANGED = ("model.embed_tokens", "lm_head")
PREFIXES = {"llm": ""}


def realistic(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """A delta with the spectrum of a real full fine-tune, (out, in) float32, and two outlier rows and columns."""
    side = min(shape)
    index = torch.arange(1, side + 1, dtype=torch.float64)
    values = (index**-0.45 * torch.exp(-index / (0.3 * side)) + 0.02).to(torch.float32)
    left = torch.linalg.qr(torch.randn(shape[0], side, generator=generator))[0]
    right = torch.linalg.qr(torch.randn(shape[1], side, generator=generator))[0]
    delta: Tensor = (left * values) @ right.T
    delta[:2] *= 4.0
    delta[:, :2] *= 4.0
    return delta


def flat(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Noise without any structure, (out, in) float32."""
    return torch.randn(shape, generator=generator) / math.sqrt(shape[1])


def low_rank(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """A change of rank 32, as of a merged LoRA, under nothing but the rounding of both models, (out, in) float32."""
    left = torch.randn(shape[0], 32, generator=generator) / math.sqrt(shape[0])
    right = torch.randn(32, shape[1], generator=generator) / math.sqrt(shape[1])
    return left * torch.linspace(2.0, 0.5, 32) @ right


DELTAS = {"realistic": realistic, "flat": flat, "low-rank": low_rank}


def write_pair(model: str, spectrum: str, folder: Path) -> tuple[Path, Path]:
    """Write the fine-tuned model and the original in bf16; returns their paths. The same on every call."""
    tuned_path, base_path = (
        folder / f"{model}-{spectrum}-tuned.safetensors",
        folder / f"{model}-{spectrum}-base.safetensors",
    )
    generator = torch.Generator().manual_seed(0)
    tuned, base = {}, {}
    prefix = PREFIXES.get(model, "model.diffusion_model.")
    for name, shape in SHAPES[model].items():
        flat_shape = shape[0], math.prod(shape[1:])
        weight = torch.randn(flat_shape, generator=generator) / math.sqrt(flat_shape[1])
        delta = 0.0 * weight if name in UNCHANGED else 0.05 * DELTAS[spectrum](flat_shape, generator)
        base[f"{prefix}{name}.weight"] = weight.to(torch.bfloat16).reshape(shape)
        tuned[f"{prefix}{name}.weight"] = (weight + delta).to(torch.bfloat16).reshape(shape)
    for name, size in NORMS.get(model, {}).items():
        base[f"{prefix}{name}.weight"] = torch.ones(size, dtype=torch.bfloat16)
        tuned[f"{prefix}{name}.weight"] = torch.ones(size, dtype=torch.bfloat16)
    save_file(tuned, tuned_path, metadata={"format": "pt"})
    save_file(base, base_path, metadata={"format": "pt"})
    return tuned_path, base_path
