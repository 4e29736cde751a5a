"""Pairs of models of which a side, or both, is a GGUF file, and the same numbers in float32."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from gguf_files import GgufModel, decoded, encoded, random_rows, save_gguf
from llama_cpp_converter import permuted
from model_files import Tensors, random_tensor, save_model

LAYERS: dict[str, tuple[str, tuple[int, ...]]] = {
    "layers.0.long.weight": ("Q8_0", (2048, 64)),
    "layers.1.wide.weight": ("Q4_K", (48, 768)),
    "layers.2.conv.weight": ("Q6_K", (64, 16, 3, 3)),  # 144 values a row: rows are no whole blocks
    "layers.3.square.weight": ("Q5_0", (128, 128)),
    "layers.4.norm.weight": ("F32", (48,)),
}
ATTENTION = "model.layers.0.self_attn.q_proj.weight"
ATTENTION_SHAPE, ATTENTION_HEADS = (2048, 64), 16  # long enough to be gone over in pieces whatever the budget
ENCODED = {"Q8_0", "Q5_0"}  # the package can encode these


@dataclass(frozen=True)
class GgufPair:
    """Fine-tuned and original in their files, and both as safetensors files in float32."""

    files: tuple[Path, Path]
    plain: tuple[Path, Path]
    tuned: Tensors
    base: Tensors


def native_side(seed: int) -> tuple[GgufModel, Tensors]:
    """A model with a layer of each form, and its numbers as the package decodes them."""
    model, numbers = GgufModel(), Tensors()
    for number, (name, (kind, shape)) in enumerate(LAYERS.items()):
        if kind == "F32":
            model.tensors[name] = numbers[name] = random_tensor(*shape, seed=seed + number)
            continue
        if kind in ENCODED:
            data = encoded(kind, 0.1 * random_tensor(*shape, seed=seed + number))
        else:
            data = random_rows(kind, int(np.prod(shape)) // 256, 256, seed + number)
            model.original_shapes = {**model.original_shapes, name: shape}
        model.blocks[name] = kind, data
        numbers[name] = decoded(kind, data).reshape(shape)
    return model, numbers


def _llama(seed: int) -> tuple[GgufModel, Tensors]:
    """One layer of attention of a Llama: its rows are in llama.cpp's order in the file."""
    data = random_rows("Q8_0", *ATTENTION_SHAPE, seed=seed)
    stored, numbers = decoded("Q8_0", data), torch.empty(ATTENTION_SHAPE)
    numbers[torch.from_numpy(permuted(np.arange(len(stored)), ATTENTION_HEADS))] = stored
    norm = random_tensor(64, seed=seed + 1)
    metadata = {"llama.attention.head_count": ATTENTION_HEADS}
    blocks = {"blk.0.attn_q.weight": ("Q8_0", data)}
    model = GgufModel({"blk.0.attn_norm.weight": norm}, blocks, "llama", metadata)
    return model, {ATTENTION: numbers, "model.layers.0.input_layernorm.weight": norm}


def gguf_pair(folder: Path, *, both: bool = False, llama: bool = False) -> GgufPair:
    """A fine-tune in a GGUF file, and its original in fp32 safetensors, or in a GGUF file too."""
    make = _llama if llama else native_side
    model, tuned = make(seed=1)
    other, base = make(seed=101)
    if not both:
        base = {name: tensor + 0.1 * random_tensor(*tensor.shape, seed=7) for name, tensor in tuned.items()}
    plain = save_model(folder / "plain-tuned.safetensors", tuned), save_model(folder / "plain-base.safetensors", base)
    original = save_gguf(folder / "base.gguf", other) if both else plain[1]
    return GgufPair((save_gguf(folder / "tuned.gguf", model), original), plain, tuned, base)
