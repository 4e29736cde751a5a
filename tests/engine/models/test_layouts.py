"""Layouts are read in both directions, and split and join weights as their rows say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model_files import Tensors, random_tensor, save_model

from engine.checkpoints import open_checkpoint
from engine.checkpoints.tensors import read_view
from engine.models.families import FAMILIES
from engine.models.layouts import LAYOUTS, OPEN_CLIP, Fuse, Layout, Rename, Swap
from engine.models.layouts.layout import Share

QKV = Layout(
    "toy",
    "toy",
    "the tests",
    (
        Fuse(tuple(f"b.{{n}}.to_{part}.{{rest}}" for part in "qkv"), ("blocks.{n}.qkv.{rest}",)),
        Fuse(("b.{n}.fused",), ("blocks.{n}.one", "blocks.{n}.two")),
        Rename("b.{n}.turned.weight", "blocks.{n}.turned.weight", transposed=True),
        Rename("b.{n}.pointed.{rest}", "blocks.{n}.pointed.{rest}", kernel=2),
        Swap("b.{n}.last.{rest}", "blocks.{n}.last.{rest}", unless="b.{n}.more.weight"),
        Rename("b.{n}.{rest}", "blocks.{n}.{rest}"),
    ),
)


def read(path: Path, tensors: Tensors, layout: Layout = QKV) -> Tensors:
    with open_checkpoint(save_model(path / "model.safetensors", tensors)) as model:
        return {name: read_view(model, view) for name, view in layout.views(model.weights, "denoiser")}


def test_split_weights_are_joined_in_the_order_of_the_row_whatever_their_sizes(tmp_path: Path) -> None:
    parts = {
        f"b.3.to_{part}.weight": random_tensor(rows, 5, seed=rows) for part, rows in (("v", 2), ("q", 6), ("k", 3))
    }
    found = read(tmp_path, parts)
    assert list(found) == ["blocks.3.qkv.weight"]
    assert torch.equal(found["blocks.3.qkv.weight"], torch.cat([parts[f"b.3.to_{part}.weight"] for part in "qkv"]))


def test_parts_of_two_dtypes_are_joined_in_float32(tmp_path: Path) -> None:
    dtypes = {"q": torch.float32, "k": torch.half, "v": torch.half}
    parts = {f"b.0.to_{part}.bias": random_tensor(4, seed=1).to(dtype) for part, dtype in dtypes.items()}
    joined = read(tmp_path, parts)["blocks.0.qkv.bias"]
    assert torch.equal(joined, torch.cat([parts[f"b.0.to_{part}.bias"].float() for part in "qkv"]))


@pytest.mark.parametrize("missing", "qkv")
def test_what_lacks_a_part_or_differs_in_width_is_not_joined(missing: str, tmp_path: Path) -> None:
    parts = {f"b.0.to_{part}.weight": random_tensor(4, 5, seed=1) for part in "qkv"}
    one = f"b.0.to_{missing}.weight"
    narrow = parts | {one: random_tensor(4, 6, seed=1)}
    named = {name.replace("b.0", "blocks.0"): tensor for name, tensor in narrow.items()}
    assert {name: tensor.shape for name, tensor in read(tmp_path, narrow).items()} == {
        name: tensor.shape for name, tensor in named.items()
    }
    del parts[one]
    assert sorted(read(tmp_path, parts)) == sorted(name.replace("b.0", "blocks.0") for name in parts)


def test_a_fused_weight_is_split_into_equal_rows_that_alone_are_read(tmp_path: Path) -> None:
    fused = random_tensor(6, 4, seed=0)
    found = read(tmp_path, {"b.1.fused": fused})
    assert torch.equal(torch.cat([found["blocks.1.one"], found["blocks.1.two"]]), fused)
    with open_checkpoint(tmp_path / "model.safetensors") as model:
        views = dict(QKV.views(model.weights, "denoiser"))
    assert [view.stored_bytes for view in views.values()] == [48, 48]


def test_a_fused_weight_that_cannot_be_divided_keeps_its_name(tmp_path: Path) -> None:
    assert list(read(tmp_path, {"b.1.fused": random_tensor(5, 4, seed=0)})) == ["blocks.1.fused"]


def test_a_turned_matrix_is_turned_and_a_vector_of_that_name_is_not(tmp_path: Path) -> None:
    matrix, vector = random_tensor(3, 5, seed=0), random_tensor(3, seed=1)
    found = read(tmp_path, {"b.0.turned.weight": matrix, "b.1.turned.weight": vector})
    assert torch.equal(found["blocks.0.turned.weight"], matrix.T)
    assert torch.equal(found["blocks.1.turned.weight"], vector)


def test_names_that_no_row_knows_stay_as_they_are(tmp_path: Path) -> None:
    assert list(read(tmp_path, {"else.weight": torch.ones(2, 2)})) == ["else.weight"]
    assert QKV.canonical_names("else.weight") == QKV.stored_names("else.weight") == ("else.weight",)


@pytest.mark.parametrize("parts", ["qk", "v", "q", "kv"])
def test_a_bias_that_only_some_parts_have_keeps_its_name_and_the_weights_are_joined(parts: str, tmp_path: Path) -> None:
    weights = {f"b.0.to_{part}.weight": random_tensor(4, 5, seed=1) for part in "qkv"}
    biases = {f"b.0.to_{part}.bias": random_tensor(4, seed=2) for part in parts}
    found = read(tmp_path, weights | biases)
    assert sorted(found) == ["blocks.0.qkv.weight", *(f"blocks.0.to_{part}.bias" for part in sorted(parts))]


def test_the_halves_of_a_swapped_weight_change_places(tmp_path: Path) -> None:
    weight, bias = random_tensor(6, 4, seed=0), random_tensor(6, seed=1)
    found = read(tmp_path, {"b.0.last.weight": weight, "b.0.last.bias": bias})
    assert torch.equal(found["blocks.0.last.weight"], torch.cat([weight[3:], weight[:3]]))
    assert torch.equal(found["blocks.0.last.bias"], torch.cat([bias[3:], bias[:3]]))


def test_a_weight_whose_block_goes_on_is_not_swapped(tmp_path: Path) -> None:
    last, more = random_tensor(6, 4, seed=0), random_tensor(2, 2, seed=1)
    found = read(tmp_path, {"b.0.last.weight": last, "b.0.more.weight": more, "b.1.last.weight": last.clone()})
    assert torch.equal(found["blocks.0.last.weight"], last)
    assert torch.equal(found["blocks.1.last.weight"], torch.cat([last[3:], last[:3]]))


def test_a_weight_without_halves_is_not_swapped(tmp_path: Path) -> None:
    odd, single = random_tensor(5, 4, seed=0), torch.tensor(2.0)
    found = read(tmp_path, {"b.0.last.weight": odd, "b.1.last.weight": single})
    assert torch.equal(found["blocks.0.last.weight"], odd)
    assert torch.equal(found["blocks.1.last.weight"], single)


def test_a_matrix_is_a_convolution_of_one_point_where_its_original_has_one(tmp_path: Path) -> None:
    matrix, vector, whole = random_tensor(3, 5, seed=0), random_tensor(3, seed=1), random_tensor(3, 5, 1, 1, seed=2)
    found = read(tmp_path, {"b.0.pointed.weight": matrix, "b.0.pointed.bias": vector, "b.1.pointed.weight": whole})
    assert torch.equal(found["blocks.0.pointed.weight"], matrix[:, :, None, None])
    assert torch.equal(found["blocks.0.pointed.bias"], vector)
    assert torch.equal(found["blocks.1.pointed.weight"], whole)


OPEN_CLIP_NAMES = st.sampled_from(
    ["ln_1.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_proj.bias", "attn.out_proj.weight", "attn.in_proj_weight",
     "attn.in_proj_bias"]
)  # fmt: skip


@given(block=st.integers(0, 99), inner=OPEN_CLIP_NAMES)
def test_open_clips_names_come_back_from_their_canonical_names(block: int, inner: str) -> None:
    stored = f"transformer.resblocks.{block}.{inner}"
    names = OPEN_CLIP.canonical_names(stored)
    assert len(names) == (3 if "in_proj" in inner else 1)
    assert all(OPEN_CLIP.stored_names(name) == (stored,) for name in names)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_layout_says_where_its_names_come_from(layout: Layout) -> None:
    assert layout.title
    assert layout.source
    assert not layout.family or layout.family in {family.key for family in FAMILIES}


def test_a_fused_weight_of_no_rows_is_split_into_empty_ones(tmp_path: Path) -> None:
    found = read(tmp_path, {"b.1.fused": torch.ones(0, 4), "b.2.weight": torch.ones(2, 2)})
    assert [tuple(found[name].shape) for name in ("blocks.1.one", "blocks.1.two")] == [(0, 4), (0, 4)]


def test_the_rows_of_a_joined_weight_are_told_by_its_shape_or_by_the_sizes_in_a_file() -> None:
    names = [f"b.0.to_{part}.weight" for part in "qkv"]
    name = "blocks.0.qkv.weight"
    equal = [(0, 4), (4, 8), (8, 12)]
    assert QKV.shares(name, (12, 5), ()) == tuple(map(Share, names, equal))
    assert [share.rows for share in QKV.shares(name, (12, 5), (), (6, 3, 3))] == [(0, 6), (6, 9), (9, 12)]
    assert QKV.shares(name, (13, 5), ()) == QKV.shares(name, (12, 5), (), (6, 3, 2)) == ()


def test_square_parts_have_as_many_rows_as_columns_and_the_others_share_the_rest() -> None:
    row = Fuse(("q", "k", "v"), ("qkv",), square=1)
    layout = Layout("toy", "toy", "the tests", (row,))
    assert [share.rows for share in layout.shares("qkv", (8, 4), ())] == [(0, 4), (4, 6), (6, 8)]
    assert layout.shares("qkv", (9, 4), ()) == layout.shares("qkv", (4, 4), ()) == layout.shares("qkv", (8,), ()) == ()


def test_a_part_of_what_the_layout_stores_as_one_has_no_place_of_its_own() -> None:
    assert QKV.shares("blocks.1.two", (3, 4), ()) == ()


def test_swapped_and_turned_weights_are_said_to_be_so_unless_their_block_goes_on() -> None:
    assert QKV.shares("blocks.0.last.weight", (6, 4), ()) == (Share("b.0.last.weight", swapped=True),)
    assert QKV.shares("blocks.0.last.weight", (6, 4), ("b.0.more.weight",)) == (Share("b.0.last.weight"),)
    assert QKV.shares("blocks.0.turned.weight", (6, 4), ()) == (Share("b.0.turned.weight", transposed=True),)
    assert QKV.shares("else.weight", (6, 4), ()) == (Share("else.weight"),)
    assert [QKV.knows(name) for name in ("blocks.0.last.weight", "else.weight")] == [True, False]
