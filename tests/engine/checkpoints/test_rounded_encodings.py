"""Numbers rounded as an encoding stores them are those that its reference encoder stores, or are not rounded at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from encoded_weights import KINDS, Encoded, save_encoded, weight_of
from model_files import save_model

from engine.checkpoints import Checkpoint, WeightView, open_checkpoint
from engine.checkpoints.encodings import cut_to, piece_of
from engine.checkpoints.rounded import rounded_like
from engine.checkpoints.rounding import rounding_between
from engine.checkpoints.tensors import read_encoded
from engine.planning.inspection import open_model

MODULE = "model.diffusion_model.blocks.0.attn.proj"
NAME = f"{MODULE}.weight"
REPEATED = (
    "comfy float8",
    "comfy float8 e5m2",
    "comfy int8",
    "comfy int8 by rows",
    "comfy mxfp8",
    "comfy mxfp8 as uint8",
    "fp8",
    "fp8 by rows",
    "int8",
    "int8 in groups",
    "block fp8",
    "block fp8 of the config",
    "block fp8 of compressed-tensors",
    "mxfp8",
)


def view_of(model: Checkpoint, encoded: Encoded) -> WeightView:
    view = WeightView.of(model.weights[NAME], "denoiser")
    cut = cut_to(view, tuple(encoded.numbers.shape)) if encoded.padded else view
    assert cut is not None
    return cut


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", REPEATED)
def test_the_reference_encoders_numbers_are_found_again_exactly(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    weight = weight_of(KINDS[kind].shapes[0]).to(dtype)
    encoded = KINDS[kind].encode(MODULE, weight)
    with open_model(save_encoded(tmp_path / "model.safetensors", {MODULE: encoded})) as model:
        like = read_encoded(model, view_of(model, encoded))
        rows = piece_of(like.view.source, 3, 7)
        some = read_encoded(model, WeightView("denoiser", rows.shape, (rows,)))
    found = rounded_like(like, weight)
    assert torch.equal(found, like.decoded())
    assert torch.equal(rounded_like(some, weight[3:7]), found[3:7])
    assert not torch.equal(rounded_like(like, 1.05 * weight.float()), like.decoded())


@pytest.mark.parametrize("kind", REPEATED)
def test_what_is_not_finite_does_not_become_finite(kind: str, tmp_path: Path) -> None:
    weight = weight_of(KINDS[kind].shapes[0])
    encoded = KINDS[kind].encode(MODULE, weight)
    with open_model(save_encoded(tmp_path / "model.safetensors", {MODULE: encoded})) as model:
        like = read_encoded(model, view_of(model, encoded))
    weight[0, 0], weight[1, 1], weight[2, 2] = float("nan"), float("inf"), 1e38
    found = rounded_like(like, weight)
    assert torch.isfinite(found[:3, :3].diagonal()).tolist() == [False, False, True]


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_can_be_repeated_is_rounded(kind: str, tmp_path: Path) -> None:
    weight = weight_of(KINDS[kind].shapes[0])
    encoded = KINDS[kind].encode(MODULE, weight)
    plain = save_model(tmp_path / "plain.safetensors", {NAME: encoded.numbers.to(torch.bfloat16)})
    with (
        open_model(save_encoded(tmp_path / "model.safetensors", {MODULE: encoded})) as model,
        open_checkpoint(plain) as original,
    ):
        views = view_of(model, encoded), WeightView.of(original.weights[NAME], "denoiser")
        found, turned = rounding_between(*views), rounding_between(*views[::-1])
    assert found is not None
    assert turned is not None
    repeated = kind in REPEATED
    assert (found.coarser, found.under("auto").rounded) == ("finetuned", "original" if repeated else None)
    assert (turned.coarser, turned.under("auto").rounded) == ("original", None)
    assert turned.under("on").rounded == ("finetuned" if repeated else None)
