"""Rounding as GGUF's blocks store numbers: what was only converted is unchanged, what changed is rounded alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from extraction_runs import run
from gguf_files import ENCODABLE, RANDOM_ONLY, GgufModel, block_size, encoded, random_rows, save_gguf
from llama_cpp_converter import permuted
from model_files import PREFIX, random_tensor, save_model
from torch_memory import peak_bytes

from engine.checkpoints import Checkpoint, WeightSource, WeightView, open_checkpoint
from engine.checkpoints.encodings import encoding_of, piece_of
from engine.checkpoints.encodings.gguf import CHUNK_VALUES
from engine.checkpoints.encodings.gguf_round import round_like
from engine.checkpoints.tensors import read_encoded
from engine.results import LeaveOutReason

NAME = "layers.0.weight"
DTYPES = [torch.bfloat16, torch.float16, torch.float32]


def saved(path: Path, kind: str, weight: torch.Tensor, shape: tuple[int, ...] | None = None) -> Path:
    content = GgufModel(blocks={NAME: (kind, encoded(kind, weight))})
    if shape is not None:
        content.original_shapes = {NAME: shape}
    return save_gguf(path, content)


def rounded(model: Checkpoint, source: WeightSource, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers rounded as a weight is stored, and what it stands for."""
    weight = read_encoded(model, WeightView.of(source, ""))
    return round_like(values, source, weight.parts), weight.decoded()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ENCODABLE)
def test_what_was_only_converted_is_what_is_stored(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    weight = random_tensor(300, 2048, seed=1, scale=0.02).to(dtype)
    weight[5], weight[6, :32], weight[7, 3] = 0.0, 1e-7, 9.0
    with open_checkpoint(saved(tmp_path / "m.gguf", kind, weight)) as model:
        source = model.weights[NAME]
        found, wanted = rounded(model, source, weight)
        assert torch.equal(found, wanted)
        assert not torch.equal(found, weight.float()), "it was rounded"
        for start, stop in [(0, 1), (3, 70), (299, 300)]:
            piece = piece_of(source, start, stop).source
            assert torch.equal(*rounded(model, piece, weight[start:stop]))


@pytest.mark.parametrize("kind", ENCODABLE)
def test_rows_that_are_no_whole_blocks_are_rounded_the_same_way(kind: str, tmp_path: Path) -> None:
    weight = random_tensor(32, 5, 3, 3, seed=2).bfloat16()  # 45 values a row
    shape = tuple(weight.shape)
    with open_checkpoint(saved(tmp_path / "m.gguf", kind, weight.reshape(-1, 32), shape)) as model:
        source = model.weights[NAME]
        whole, wanted = rounded(model, source, weight)
        assert torch.equal(whole, wanted)
        changed = weight + 0.3 * random_tensor(*shape, seed=3)
        whole = rounded(model, source, changed)[0]
        for start, stop in [(0, 1), (1, 5), (7, 32)]:
            part = rounded(model, piece_of(source, start, stop).source, changed[start:stop])[0]
            assert torch.equal(part, whole[start:stop])


@pytest.mark.parametrize("kind", ENCODABLE)
def test_what_changed_gets_the_nearest_number_of_its_block(kind: str, tmp_path: Path) -> None:
    """In float64 with the stored scales; a number that lies between two may have either."""
    weight = random_tensor(64, 256, seed=4)
    other = weight + 0.05 * random_tensor(64, 256, seed=5)
    data = encoded(kind, weight).reshape(-1, block_size(kind)[1])
    scale = data[:, :2].copy().view(np.float16).astype(np.float64)
    least = data[:, 2:4].copy().view(np.float16).astype(np.float64) if kind.endswith("_1") else 0.0
    low, high = {"Q8_0": (-127, 127), "Q4_0": (-8, 7), "Q5_0": (-16, 15), "Q4_1": (0, 15), "Q5_1": (0, 31)}[kind]
    exact = (other.double().numpy().reshape(-1, 32) - least) / scale
    nearest = np.clip(exact, low, high)
    with open_checkpoint(saved(tmp_path / "m.gguf", kind, weight)) as model:
        found = rounded(model, model.weights[NAME], other)[0].double().numpy().reshape(-1, 32)
    codes = (found - least) / scale
    assert np.abs(codes - np.rint(codes)).max() < 1e-3, "numbers that a block can hold"
    off = np.abs(nearest - codes)
    assert off.max() < 0.6
    assert np.mean(off > 0.5001) < 0.02
    assert np.abs(np.rint(nearest) - np.rint(codes)).max() <= 1
    assert np.mean(np.rint(nearest) != np.rint(codes)) < 0.02


def test_a_weight_that_is_not_this_one_is_not_taken_for_it(tmp_path: Path) -> None:
    """The twins: another scale, the next block, a small change."""
    weight = random_tensor(64, 256, seed=6)
    with open_checkpoint(saved(tmp_path / "m.gguf", "Q8_0", weight)) as model:
        for other in (1.02 * weight, weight.roll(32, 1), weight + 0.01 * random_tensor(64, 256, seed=7)):
            assert not torch.equal(*rounded(model, model.weights[NAME], other))


@pytest.mark.parametrize("kind", ENCODABLE)
def test_finite_numbers_stay_finite_and_others_do_not_become_so(kind: str, tmp_path: Path) -> None:
    weight = random_tensor(4, 64, seed=8)
    values = weight.clone()
    values[0, 0], values[1, 1], values[2, 2], values[3, 3] = torch.nan, torch.inf, -torch.inf, 3e38
    with open_checkpoint(saved(tmp_path / "m.gguf", kind, weight)) as model:
        found = rounded(model, model.weights[NAME], values)[0]
    assert torch.equal(torch.isfinite(found), torch.isfinite(values))


def test_rows_in_the_order_of_llama_cpp_are_rounded_where_they_belong(tmp_path: Path) -> None:
    weight = random_tensor(48, 64, seed=9).bfloat16()
    stored = torch.from_numpy(permuted(weight.float().numpy(), 4).copy())
    metadata = {"llama.attention.head_count": 4}
    name, plain = "blk.0.attn_q.weight", "blk.1.attn_q.weight"
    content = GgufModel({plain: stored.half()}, {name: ("Q8_0", encoded("Q8_0", stored))}, "llama", metadata)
    with open_checkpoint(save_gguf(tmp_path / "m.gguf", content)) as model:
        for one in (name, plain):
            source = model.weights[one]
            assert torch.equal(*rounded(model, source, weight))
            assert torch.equal(*rounded(model, piece_of(source, 5, 31).source, weight[5:31]))
            assert not torch.equal(*rounded(model, source, stored))


def test_what_cannot_be_repeated_is_not_rounded(tmp_path: Path) -> None:
    content = GgufModel(blocks={kind: (kind, random_rows(kind, 2, 256, seed=1)) for kind in RANDOM_ONLY})
    with open_checkpoint(save_gguf(tmp_path / "m.gguf", content)) as model:
        assert {encoding_of(source).rounding for source in model.weights.values()} == {None}


@pytest.mark.parametrize("kind", ENCODABLE)
def test_rounding_takes_the_memory_that_is_stated(kind: str, tmp_path: Path) -> None:
    weight = random_tensor(2 * CHUNK_VALUES // 512 + 9, 512, seed=1).half()
    with open_checkpoint(saved(tmp_path / "m.gguf", kind, weight)) as model:
        source = model.weights[NAME]
        parts = read_encoded(model, WeightView.of(source, "")).parts
        stated = source.value_bytes + encoding_of(source).rounding_bytes(source)
        took = peak_bytes(lambda: round_like(weight, source, parts))
        assert took <= stated < 1.5 * took


def test_a_layer_that_was_only_converted_is_left_out_of_a_run(tmp_path: Path) -> None:
    base = {f"layers.{number}.weight": random_tensor(48, 64, seed=number).bfloat16() for number in range(4)}
    changed = random_tensor(48, 2, seed=8) @ random_tensor(2, 64, seed=9)
    tuned = dict(base)
    tuned["layers.2.weight"] = base["layers.2.weight"] + 0.3 * changed
    blocks = {name: ("Q8_0", encoded("Q8_0", tensor)) for name, tensor in tuned.items()}
    pair = (
        save_gguf(tmp_path / "tuned.gguf", GgufModel(blocks=blocks)),
        save_model(tmp_path / "base.safetensors", {PREFIX + name: tensor for name, tensor in base.items()}),
    )
    done = run(pair, tmp_path / "out", rank=4)
    assert done.result.layers == 1
    unchanged = {f"diffusion_model.layers.{number}.weight": LeaveOutReason.UNCHANGED.value for number in (0, 1, 3)}
    assert done.left_out == unchanged
