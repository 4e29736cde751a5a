"""What decoding takes is in the books: joined and turned pieces, of plain and of encoded numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from model_files import Tensors, random_tensor, save_model
from stepped_sides import subtracted
from torch_memory import peak_bytes

from engine.checkpoints import Checkpoint, Piece, WeightView, open_checkpoint
from engine.checkpoints.rounded import compared
from engine.checkpoints.rounding import rounding_between
from engine.checkpoints.tensors import read_encoded
from engine.decompose.method import LayerMethod
from engine.models.blocks import Block
from engine.models.pairing import PairedWeight
from engine.planning.costs import measuring_need
from engine.settings import ExtractionSettings, RoundOriginal

CHUNK = 1 << 12
HALF = torch.float16


def scaled(rows: int, columns: int) -> Tensors:
    weight = random_tensor(rows, columns, seed=3).to(torch.float8_e4m3fn)
    return {"scaled_fp8": torch.zeros(2).to(weight.dtype), "a.weight": weight, "a.scale_weight": torch.ones(())}


def plain(*shapes: tuple[int, int], dtypes: tuple[torch.dtype, ...] = (HALF, HALF, HALF)) -> Tensors:
    sizes = zip("abc", shapes, dtypes, strict=False)
    return {f"{name}.weight": random_tensor(*shape, seed=1).to(dtype) for name, shape, dtype in sizes}


CASES: dict[str, tuple[Tensors, tuple[str, ...]]] = {
    "turned": (plain((192, 256)), ("a.weight",)),
    "joined of three": (plain((64, 192), (128, 192), (64, 192)), ()),
    "joined of two dtypes": (plain((64, 192), (192, 192), dtypes=(HALF, torch.float32)), ()),
    "joined and one turned": (plain((64, 192), (192, 192)), ("b.weight",)),
    "scaled fp8": (scaled(256, 192), ()),
    "scaled fp8, turned": (scaled(192, 256), ("a.weight",)),
    "scaled fp8 joined with plain rows": (scaled(128, 192) | {"b.weight": random_tensor(128, 192, seed=2).half()}, ()),
}


def joined(model: Checkpoint, turned: tuple[str, ...]) -> WeightView:
    pieces = tuple(Piece(source, transposed=name in turned) for name, source in model.weights.items())
    return WeightView("denoiser", (sum(piece.shape[0] for piece in pieces), pieces[0].shape[1]), pieces)


@pytest.mark.parametrize("case", CASES)
def test_decoding_and_subtracting_take_what_the_books_say(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("decompose.delta", "planning.costs"):
        monkeypatch.setattr(f"engine.{module}.CHUNK_BYTES", CHUNK)
    monkeypatch.setattr("engine.decompose.delta._CHUNK", CHUNK // 16)
    monkeypatch.setattr("engine.planning.costs.MEASURED_VALUES", CHUNK // 4)
    tensors, turned = CASES[case]
    with open_checkpoint(save_model(tmp_path / "model.safetensors", tensors)) as model:
        view = joined(model, turned)
        weight = PairedWeight("w.weight", "matrix", "denoiser", view.shape, view, view, Block())
        base = read_encoded(model, view)
    tuned = base.mapped(lambda part: part.clone() if part.numel() < 3 else (0.5 * part.float()).to(part.dtype))

    def work() -> object:
        return subtracted((tuned, base), (tuned.decoded(), base.decoded()), at_once=CHUNK // 4)

    stated = measuring_need(weight, LayerMethod.of(ExtractionSettings()), host=False).work
    took = peak_bytes(work)
    assert took <= stated
    assert stated < 2.1 * took, "the books do not ask for far more either"


F32, BF16, FP8 = torch.float32, torch.bfloat16, torch.float8_e4m3fn
ROUNDED: dict[str, tuple[Tensors, Tensors, RoundOriginal]] = {
    "to bf16": (plain((256, 192), dtypes=(BF16,)), plain((256, 192), dtypes=(F32,)), "auto"),
    "to fp8": (plain((256, 192), dtypes=(FP8,)), plain((256, 192), dtypes=(BF16,)), "auto"),
    "to scaled fp8": (scaled(256, 192), plain((256, 192), dtypes=(BF16,)), "auto"),
    "like several pieces": (
        scaled(128, 192) | {"b.weight": random_tensor(128, 192, seed=2).half()},
        plain((256, 192), dtypes=(F32,)),
        "auto",
    ),
    "the fine-tuned side": (plain((256, 192), dtypes=(BF16,)), scaled(256, 192), "on"),
    "only compared with a dtype": (plain((256, 192), dtypes=(FP8,)), plain((256, 192), dtypes=(BF16,)), "off"),
    "only compared with scaled fp8": (scaled(256, 192), plain((256, 192), dtypes=(BF16,)), "off"),
}


@pytest.mark.parametrize("case", ROUNDED)
def test_rounding_takes_what_the_books_say(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("decompose.delta", "planning.costs"):
        monkeypatch.setattr(f"engine.{module}.CHUNK_BYTES", CHUNK)
    monkeypatch.setattr("engine.decompose.delta._CHUNK", CHUNK // 16)
    monkeypatch.setattr("engine.planning.costs.MEASURED_VALUES", CHUNK // 4)
    monkeypatch.setattr("engine.checkpoints.encodings.raw_round._IN_CACHE", CHUNK // 16)
    monkeypatch.setattr("engine.checkpoints.encodings.scaled_fp8_round._BLOCK", 192)
    for module in ("planning.costs", "checkpoints.encodings.raw", "checkpoints.encodings.scaled_fp8"):
        monkeypatch.setattr(f"engine.{module}.CASTING_BYTES", 8 * CHUNK)
    *sides, choice = ROUNDED[case]
    paths = [save_model(tmp_path / f"{number}.safetensors", tensors) for number, tensors in enumerate(sides)]
    with open_checkpoint(paths[0]) as tuned, open_checkpoint(paths[1]) as base:
        views = joined(tuned, ()), joined(base, ())
        found = rounding_between(*views)
        assert found is not None
        weight = PairedWeight(
            "w.weight", "matrix", "denoiser", views[1].shape, *views, Block(), rounding=found.under(choice)
        )
        read = read_encoded(tuned, views[0]), read_encoded(base, views[1])
    changed = read[0].mapped(lambda part: part.clone() if part.numel() < 3 else (0.5 * part.float()).to(part.dtype))

    def work() -> object:
        values = compared((changed, read[1]), weight.rounding)
        assert values is not None
        return subtracted((changed, read[1]), values, weight.rounding, at_once=CHUNK // 4)

    stated = measuring_need(weight, LayerMethod.of(ExtractionSettings()), host=False).work
    took = peak_bytes(work)
    assert took <= stated
    assert stated < 2.1 * took, "the books do not ask for far more either"
