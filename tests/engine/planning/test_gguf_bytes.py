"""What decoding, joining and rounding GGUF's blocks take is in the books."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from gguf_files import GgufModel, encoded, random_rows, save_gguf
from model_files import random_tensor, save_model
from stepped_sides import subtracted
from torch_memory import peak_bytes

from engine.checkpoints import Checkpoint, Piece, WeightView, open_checkpoint
from engine.checkpoints.encodings import gguf, gguf_decode
from engine.checkpoints.rounded import compared
from engine.checkpoints.rounding import rounding_between
from engine.checkpoints.tensors import read_encoded
from engine.decompose.method import LayerMethod
from engine.models.blocks import Block
from engine.models.pairing import PairedWeight
from engine.planning.costs import measuring_need
from engine.settings import ExtractionSettings

CHUNK = 1 << 12
CASES: dict[str, tuple[tuple[tuple[str, int, int], ...], tuple[str, ...]]] = {
    # types, rows and columns of the pieces; those that are stored the other way round
    "whole": ((("Q4_K", 256, 256),), ()),
    "turned": ((("Q6_K", 256, 512),), ("0",)),
    "joined": ((("Q5_K", 64, 256), ("Q5_K", 128, 256), ("Q5_K", 64, 256)), ()),
    "joined of several types": ((("Q8_0", 64, 256), ("IQ4_XS", 128, 256), ("Q2_K", 64, 256)), ()),
    "joined and one turned": ((("Q8_0", 64, 256), ("Q4_0", 256, 192)), ("1",)),
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("decompose.delta", "planning.costs"):
        monkeypatch.setattr(f"engine.{module}.CHUNK_BYTES", CHUNK)
    monkeypatch.setattr("engine.decompose.delta._CHUNK", CHUNK // 16)
    monkeypatch.setattr("engine.planning.costs.CASTING_BYTES", 8 * CHUNK)
    monkeypatch.setattr("engine.planning.costs.MEASURED_VALUES", CHUNK)
    for module in (gguf, gguf_decode):
        monkeypatch.setattr(module, "CHUNK_VALUES", CHUNK)


def joined(model: Checkpoint, turned: tuple[str, ...] = ()) -> WeightView:
    pieces = tuple(Piece(source, transposed=name in turned) for name, source in model.weights.items())
    return WeightView("denoiser", (sum(piece.shape[0] for piece in pieces), pieces[0].shape[1]), pieces)


@pytest.mark.parametrize("case", CASES)
def test_decoding_and_subtracting_take_what_the_books_say(case: str, tmp_path: Path) -> None:
    pieces, turned = CASES[case]
    sides = []
    for seed in (0, 50):
        made = enumerate(random_rows(kind, *shape, seed=seed + at) for at, (kind, *shape) in enumerate(pieces))
        blocks = {str(at): (pieces[at][0], data) for at, data in made}
        with open_checkpoint(save_gguf(tmp_path / f"{seed}.gguf", GgufModel(blocks=blocks))) as model:
            view = joined(model, turned)
            sides.append(read_encoded(model, view))
    weight = PairedWeight("w.weight", "matrix", "denoiser", view.shape, view, view, Block())
    stated = measuring_need(weight, LayerMethod.of(ExtractionSettings()), host=False).work
    took = peak_bytes(lambda: subtracted((sides[0], sides[1]), (sides[0].decoded(), sides[1].decoded()), at_once=CHUNK))
    assert took <= stated < 2.3 * took


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
@pytest.mark.parametrize("choice", ["auto", "off"])
def test_rounding_takes_what_the_books_say(kind: str, choice: str, tmp_path: Path) -> None:
    weights = [random_tensor(256, 192, seed=seed) for seed in (1, 2)]
    files = (
        save_gguf(tmp_path / "m.gguf", GgufModel(blocks={"0": (kind, encoded(kind, weights[0]))})),
        save_model(tmp_path / "m.safetensors", {"0": weights[1].to(torch.bfloat16)}),
    )
    with open_checkpoint(files[0]) as tuned, open_checkpoint(files[1]) as base:
        views = joined(tuned), joined(base)
        read = read_encoded(tuned, views[0]), read_encoded(base, views[1])
    rounding = rounding_between(*views)
    assert rounding is not None
    rounding = rounding.under(choice)  # type: ignore[arg-type]
    assert rounding.rounded == ("original" if choice == "auto" else None)
    weight = PairedWeight("w.weight", "matrix", "denoiser", views[1].shape, *views, Block(), rounding=rounding)

    def work() -> object:
        values = compared(read, rounding)
        assert values is not None
        return subtracted(read, values, rounding, at_once=CHUNK)

    stated = measuring_need(weight, LayerMethod.of(ExtractionSettings()), host=False).work
    took = peak_bytes(work)
    assert took <= stated < 2.1 * took
