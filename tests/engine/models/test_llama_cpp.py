"""llama.cpp's names and numbers of language models: held against the gguf package and transformers' own loader."""

from __future__ import annotations

import re
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf_files import GgufModel, decoded, random_rows, save_gguf
from llama_cpp_converter import HEADS, KINDS, KV_HEADS, converted, permuted, save_converted, tiny_state
from model_files import random_tensor, save_model
from torch_memory import peak_bytes
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from engine.checkpoints import Checkpoint, Piece, WeightView, open_checkpoint
from engine.checkpoints.encodings import encoding_of, piece_of
from engine.checkpoints.tensors import decode, read_encoded, read_view
from engine.errors import EngineError, ErrorCode
from engine.models.layouts.llama_cpp import ARCHITECTURES, T5, T5_UNGATED
from engine.models.names import name_tensors
from engine.models.pairing import pair

UNMAPPED = {
    "rope_freqs",  # made by the converter, in no Hugging Face file
    "blk.1.attn_rot_embd",
    "dec.blk.1.cross_attn_rel_b",  # in no T5 that has weights
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_name_is_the_one_that_the_package_converts(architecture: str) -> None:
    layout = ARCHITECTURES[architecture]
    key = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    table = gguf.get_tensor_name_map(key, 2)
    for tensor in gguf.MODEL_TENSORS[key]:
        stored = gguf.TENSOR_NAMES[tensor].format(bid=1)
        for one in (T5, T5_UNGATED) if layout is T5 else (layout,):
            (canonical,) = one.canonical_names(f"{stored}.weight")
            if stored in UNMAPPED:
                continue
            assert canonical != f"{stored}.weight", stored
            assert table.get_name(canonical.removesuffix(".weight")) == stored
            assert one.stored_names(canonical) == (f"{stored}.weight",)


def numbers(model: Checkpoint) -> dict[str, torch.Tensor]:
    """All weights of a model by the names of its Hugging Face original."""
    named = name_tensors(model)
    assert not named.left_out
    start = re.compile(r"^(diffusion_model|text_encoders\.[^.]+\.transformer)\.")
    return {start.sub("", name): read_view(model, view) for name, view in named.views.items()}


@pytest.mark.shows(
    lambda kind: [{"layout": ARCHITECTURES[KINDS[kind].architecture].key}], container="GGUF", encoding="gguf_plain"
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_converted_model_has_the_names_and_numbers_of_its_original(kind: str, tmp_path: Path) -> None:
    state = tiny_state(kind, seed=1)
    path = save_converted(tmp_path / "model.gguf", kind, state)
    with open_checkpoint(path) as model, open_checkpoint(save_model(tmp_path / "m.safetensors", state)) as original:
        pairing = pair(model, original)
        assert not pairing.left_out
        assert len(pairing.weights) == len(state)
        for weight in pairing.weights:
            ours, theirs = read_view(model, weight.finetuned), read_view(original, weight.original)
            assert torch.allclose(ours, theirs, rtol=0, atol=2e-7), weight.name


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gemma2", "gemma3", "t5", "umt5"])
def test_transformers_reads_the_same_out_of_the_file(kind: str, tmp_path: Path) -> None:
    row = KINDS[kind]
    path = save_converted(tmp_path / "model.gguf", kind, tiny_state(kind, seed=2), "Q8_0")
    theirs = load_gguf_checkpoint(path, return_tensors=True, model_to_load=row.model(row.config))["tensors"]
    with open_checkpoint(path) as model:
        ours = numbers(model)
    common = theirs.keys() & ours.keys()
    assert len(common) >= len(ours) - 1, ours.keys() - theirs.keys()  # tied embeddings have another name there
    for name in common:
        assert torch.allclose(ours[name], theirs[name].float(), rtol=3e-7, atol=2e-7), name


def test_without_undoing_the_order_or_the_shift_the_numbers_would_be_wrong(tmp_path: Path) -> None:
    """The twins, so that the tests above are known to see it."""
    llama, gemma = tiny_state("llama", seed=3), tiny_state("gemma2", seed=3)
    q, norm = "model.layers.0.self_attn.q_proj.weight", "model.layers.0.input_layernorm.weight"
    stored = converted("llama", llama).tensors["blk.0.attn_q.weight"]
    assert not torch.allclose(stored, llama[q], atol=0.1)
    assert torch.equal(stored.sort(0).values, llama[q].sort(0).values), "the same rows in another order"
    assert not torch.allclose(converted("gemma2", gemma).tensors["blk.0.attn_norm.weight"], gemma[norm], atol=0.1)


@pytest.mark.parametrize("kind", ["Q4_K", "Q6_K", "Q8_0", "F16", "F32", "BF16"])
@pytest.mark.parametrize("part", ["q", "k"])
def test_rows_of_heads_are_read_by_themselves(kind: str, part: str, tmp_path: Path) -> None:
    heads, rows, columns = (HEADS, 48, 512) if part == "q" else (KV_HEADS, 24, 512)
    name = f"blk.3.attn_{part}.weight"
    metadata = {"llama.attention.head_count": HEADS, "llama.attention.head_count_kv": KV_HEADS}
    content = GgufModel(architecture="llama", metadata=metadata)
    if kind.startswith(("F", "B")):
        plain = random_tensor(rows, columns, seed=4).to({"F16": torch.half, "BF16": torch.bfloat16}.get(kind))
        content.tensors[name], stored = plain, plain.float()
    else:
        data = random_rows(kind, rows, columns, seed=4)
        content.blocks[name], stored = (kind, data), decoded(kind, data)
    order = permuted(np.arange(rows), heads)  # of the original's rows, as they are stored
    wanted = torch.empty_like(stored)
    wanted[torch.from_numpy(order)] = stored
    with open_checkpoint(save_gguf(tmp_path / "m.gguf", content)) as model:
        source = model.weights[name]
        whole = read_encoded(model, WeightView.of(source, ""))
        assert torch.allclose(whole.decoded(), wanted, rtol=3e-7, atol=1e-9)
        assert whole.nbytes == model.stored[name].nbytes, "what is held stays as it is stored"
        for start, stop in [(0, 1), (5, 9), (1, rows), (rows - 3, rows), (11, 13)]:
            piece = piece_of(source, start, stop)
            assert piece.rows is None
            view = WeightView("", piece.shape, (piece,))
            assert torch.allclose(read_view(model, view), wanted[start:stop], rtol=3e-7, atol=1e-9)
            inner = piece_of(piece.source, 0, 1)
            assert torch.allclose(read_view(model, WeightView("", inner.shape, (inner,))), wanted[start : start + 1])
        encoding, parts = encoding_of(source), whole.parts
        stated = encoding.decoded_bytes(source) + encoding.scratch_bytes(source)
        assert peak_bytes(lambda: decode(source, parts)) <= stated


def test_a_header_without_a_number_of_heads_is_refused_with_the_tensor(tmp_path: Path) -> None:
    name = "blk.0.attn_k.weight"
    for metadata in ({}, {"llama.attention.head_count": 3}, {"llama.attention.head_count": 0}):
        content = GgufModel({name: random_tensor(8, 4, seed=1)}, architecture="llama", metadata=metadata)
        with open_checkpoint(save_gguf(tmp_path / "m.gguf", content)) as model, pytest.raises(EngineError) as caught:
            _ = model.weights
        assert (caught.value.code, caught.value.tensor) == (ErrorCode.HEADER_INVALID, name)


def test_every_layer_may_have_heads_of_its_own(tmp_path: Path) -> None:
    stored = random_tensor(12, 4, seed=1)
    metadata = {"llama.attention.head_count": [1, 3]}
    content = GgufModel({"blk.1.attn_q.weight": stored}, architecture="llama", metadata=metadata)
    with open_checkpoint(save_gguf(tmp_path / "m.gguf", content)) as model:
        found = read_view(model, WeightView("", (12, 4), (Piece(model.weights["blk.1.attn_q.weight"]),)))
    assert torch.equal(torch.from_numpy(permuted(found.numpy(), 3)), stored)


def test_files_of_other_architectures_keep_their_names_and_numbers(tmp_path: Path) -> None:
    tensors = {"blk.0.attn_q.weight": random_tensor(8, 8, seed=1), "blk.0.attn_norm.weight": torch.ones(8)}
    with open_checkpoint(save_gguf(tmp_path / "m.gguf", GgufModel(tensors, architecture="glm4"))) as model:
        views = name_tensors(model).views
        assert set(views) == {f"diffusion_model.{name}" for name in tensors}
        for name, tensor in tensors.items():
            assert torch.equal(read_view(model, views[f"diffusion_model.{name}"]), tensor)


def test_a_safetensors_file_that_calls_itself_llama_is_not_turned(tmp_path: Path) -> None:
    tensors = {"blk.0.attn_q.weight": random_tensor(8, 8, seed=1)}
    metadata = {"general.architecture": "llama", "llama.attention.head_count": "2"}
    with open_checkpoint(save_model(tmp_path / "m.safetensors", tensors, metadata)) as model:
        (view,) = name_tensors(model).views.values()
        assert torch.equal(read_view(model, view), tensors["blk.0.attn_q.weight"])
