"""What decoding takes is in the books: joined and turned pieces, of plain and of encoded numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from model_files import Tensors, random_tensor, save_model
from torch_memory import peak_bytes

from engine.checkpoints import Checkpoint, Piece, WeightView, open_checkpoint
from engine.checkpoints.tensors import read_encoded
from engine.decompose.delta import subtract
from engine.decompose.method import LayerMethod
from engine.models.blocks import Block
from engine.models.pairing import PairedWeight
from engine.planning.costs import measuring_need
from engine.settings import ExtractionSettings

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
    tensors, turned = CASES[case]
    with open_checkpoint(save_model(tmp_path / "model.safetensors", tensors)) as model:
        view = joined(model, turned)
        weight = PairedWeight("w.weight", "matrix", "denoiser", view.shape, view, view, Block())
        base = read_encoded(model, view)
    tuned = base.mapped(lambda part: part.clone() if part.numel() < 3 else (0.5 * part.float()).to(part.dtype))

    def work() -> object:
        values = tuned.decoded(), base.decoded()
        return subtract(*values)

    stated = measuring_need(weight, LayerMethod.of(ExtractionSettings()), host=False).work
    took = peak_bytes(work)
    assert took <= stated
    assert stated < 2.1 * took, "the books do not ask for far more either"
