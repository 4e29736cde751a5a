"""Block types of GGUF: every number as the gguf package decodes it, whole and row by row; only bytes are held."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf_files import DECODED, ENCODABLE, GgufModel, decoded, encoded, random_blocks, random_rows, save_gguf
from model_files import random_tensor
from torch_memory import peak_bytes

from engine.checkpoints import WeightView, open_checkpoint
from engine.checkpoints.encodings import encoding_of, piece_of
from engine.checkpoints.encodings.gguf import CHUNK_VALUES, GGUF_ENCODINGS
from engine.checkpoints.encodings.gguf_decode import DECODERS
from engine.checkpoints.gguf_types import GGUF_TYPES
from engine.checkpoints.tensors import decode, read_encoded, read_view

NAME = "double_blocks.0.img_attn.qkv.weight"
SHAPES = [(3, 256), (37, 768), (130, 2560), (1, 512)]


def key_of(kind: str) -> str:
    return next(encoding.key for encoding in GGUF_ENCODINGS if getattr(encoding, "kind", None) == kind)


def same(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    """To float32 rounding: each number rounded a few times in another order."""
    return found.shape == wanted.shape and torch.allclose(found, wanted, rtol=3e-7, atol=1e-10, equal_nan=True)


def test_the_table_of_types_is_that_of_the_package() -> None:
    theirs = {kind.value: (kind.name, *sizes) for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    theirs[9] = ("Q8_1", 32, 36)  # the package says 40, ggml's block_q8_1 has two float16 numbers and 32 bytes
    assert {number: (kind.name, kind.values, kind.nbytes) for number, kind in GGUF_TYPES.items()} == theirs


@pytest.mark.shows(lambda kind: [{"encoding": key_of(kind)}], container="GGUF")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", DECODED)
def test_random_blocks_are_what_the_package_decodes(kind: str, shape: tuple[int, int], tmp_path: Path) -> None:
    data = random_rows(kind, *shape, seed=1)
    with open_checkpoint(save_gguf(tmp_path / "model.gguf", GgufModel(blocks={NAME: (kind, data)}))) as model:
        (source,) = model.weights.values()
        assert (source.dtype, source.stored_dtype, source.shape) == ("F32", kind, shape)
        assert same(read_view(model, WeightView.of(source, "denoiser")), decoded(kind, data))


@pytest.mark.parametrize("kind", ENCODABLE)
def test_what_the_package_encoded_comes_back(kind: str, tmp_path: Path) -> None:
    weight = random_tensor(96, 320, seed=4)
    data = encoded(kind, weight)
    with open_checkpoint(save_gguf(tmp_path / "model.gguf", GgufModel(blocks={NAME: (kind, data)}))) as model:
        found = read_view(model, WeightView.of(model.weights[NAME], "denoiser"))
    assert same(found, decoded(kind, data))
    assert float((found - weight).norm() / weight.norm()) < 0.15


def scale_ignored(kind: str, blocks: torch.Tensor) -> torch.Tensor:
    one = blocks.clone()
    from gguf_files import SCALES

    for place in SCALES[kind]:
        one[:, place : place + 2] = torch.tensor([0, 60], dtype=torch.uint8)  # 1.0 as float16
    return DECODERS[kind](one)


def nibbles_swapped(kind: str, blocks: torch.Tensor) -> torch.Tensor:
    return DECODERS[kind](blocks >> 4 | blocks << 4)


def off_by_one_block(kind: str, blocks: torch.Tensor) -> torch.Tensor:
    return DECODERS[kind](blocks.roll(1, 0))


def halves_exchanged(kind: str, blocks: torch.Tensor) -> torch.Tensor:
    values = DECODERS[kind](blocks)
    return values.roll(values.shape[1] // 2, 1)


@pytest.mark.parametrize("twin", [scale_ignored, nibbles_swapped, off_by_one_block, halves_exchanged])
@pytest.mark.parametrize("kind", DECODED)
def test_a_wrong_twin_fails_the_same_comparison(kind: str, twin: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    blocks = random_blocks(kind, 24, seed=2)
    wanted = decoded(kind, blocks)
    assert same(DECODERS[kind](torch.from_numpy(blocks)), wanted)
    assert not same(twin(kind, torch.from_numpy(blocks)), wanted)


@pytest.mark.parametrize("kind", DECODED)
def test_rows_are_read_by_themselves(kind: str, tmp_path: Path) -> None:
    """Also where a row is no multiple of a block, as in convolutions that ComfyUI's files reshape."""
    shape = (20, 16, 3, 4)  # 192 values a row: blocks of 256 straddle rows
    data = random_rows(kind, 15, 256, seed=3)
    wanted = decoded(kind, data).reshape(shape)
    content = GgufModel(blocks={NAME: (kind, data)}, original_shapes={NAME: shape})
    with open_checkpoint(save_gguf(tmp_path / "model.gguf", content)) as model:
        source = model.weights[NAME]
        assert source.shape == shape
        for start, stop in [(0, 20), (0, 1), (1, 2), (3, 9), (7, 20), (19, 20)]:
            piece = piece_of(source, start, stop)
            assert piece.rows is None, "it reads no more than the blocks of these rows"
            assert piece.source.parts[0].nbytes <= math.ceil((stop - start) * 192 / 256 + 1) * 256 * 9
            view = WeightView("denoiser", piece.shape, (piece,))
            assert same(read_view(model, view), wanted[start:stop])
            inner = piece_of(piece.source, 0, 1)
            assert same(read_view(model, WeightView("", inner.shape, (inner,))), wanted[start : start + 1])


@pytest.mark.parametrize("size", [CHUNK_VALUES // 512, 2 * CHUNK_VALUES // 512 + 3], ids=["one chunk", "several"])
@pytest.mark.parametrize("kind", DECODED)
def test_decoding_takes_the_memory_that_is_stated(kind: str, size: int, tmp_path: Path) -> None:
    data = random_rows(kind, size, 512, seed=5)
    content = GgufModel(blocks={NAME: (kind, data)}, original_shapes={NAME: (2 * size, 256)})
    with open_checkpoint(save_gguf(tmp_path / "model.gguf", content)) as model:
        for source in (model.weights[NAME], piece_of(model.weights[NAME], 1, size).source):
            parts = read_encoded(model, WeightView.of(source, "")).parts
            encoding = encoding_of(source)
            stated = encoding.decoded_bytes(source) + encoding.scratch_bytes(source)
            took = peak_bytes(lambda source=source, parts=parts: decode(source, parts))
            assert took <= stated < 1.1 * took


def test_what_is_read_stays_encoded(tmp_path: Path) -> None:
    data = random_rows("Q4_K", 64, 1024, seed=6)
    with open_checkpoint(save_gguf(tmp_path / "model.gguf", GgufModel(blocks={NAME: ("Q4_K", data)}))) as model:
        encoded_weight = read_encoded(model, WeightView.of(model.weights[NAME], "denoiser"))
    assert encoded_weight.nbytes == data.nbytes == 64 * 1024 * 144 // 256
    (part,) = encoded_weight.parts
    before = part.clone()
    encoded_weight.decoded()
    assert torch.equal(part, before), "decoding does not change what was read"


def test_a_scale_that_is_not_finite_is_found(tmp_path: Path) -> None:
    data = random_rows("Q8_0", 4, 64, seed=7)
    data[2, 34:36] = np.array([np.inf], np.float16).view(np.uint8)
    with open_checkpoint(save_gguf(tmp_path / "model.gguf", GgufModel(blocks={NAME: ("Q8_0", data)}))) as model:
        part = read_encoded(model, WeightView.of(model.weights[NAME], "denoiser")).broken_part()
    assert part is not None
    assert part.name == NAME


def test_parameters_of_a_source_do_not_outlive_its_rows(tmp_path: Path) -> None:
    """Rows of a tensor that was made of rows count from its own first one."""
    data = random_rows("Q6_K", 6, 256, seed=8)
    content = GgufModel(blocks={NAME: ("Q6_K", data)}, original_shapes={NAME: (16, 96)})
    with open_checkpoint(save_gguf(tmp_path / "model.gguf", content)) as model:
        source = model.weights[NAME]
        once = piece_of(source, 5, 7).source
        twice = piece_of(piece_of(source, 3, 12).source, 2, 4).source
        assert replace(once) == twice
        assert once.parameters == twice.parameters
