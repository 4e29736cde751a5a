"""Which weights differ is decided by their values, not by how the files store them."""

from pathlib import Path

import pytest
import torch
from model_files import PREFIX, matrices, save_model

from engine.cancel import CancelToken
from engine.errors import Cancelled
from engine.session import Session
from engine.settings import ExtractionSettings

CHANGED, HALF, BROKEN, SAME = (f"{PREFIX}layers.{index}.weight" for index in range(4))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    base = {name: tensor.to(torch.float16).float() for name, tensor in matrices(4).items()}
    base[BROKEN][0, 0] = float("nan")
    tuned = dict(base) | {CHANGED: base[CHANGED].clone(), HALF: base[HALF].half()}
    tuned[CHANGED][3, 5] += 2.0**-10
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


def test_weights_differ_by_value_and_nan_from_everything(pair: tuple[Path, Path]) -> None:
    with Session(*pair) as session:
        found = dict(session.compare(session.weights(ExtractionSettings()), CancelToken()))
    differing = {weight.original.source.name for weight, differs in found.items() if differs}
    assert differing == {CHANGED, BROKEN}
    assert len(found) == 4


def test_a_comparison_can_be_stopped(pair: tuple[Path, Path]) -> None:
    cancel = CancelToken()
    with Session(*pair) as session:
        compared = session.compare(session.weights(ExtractionSettings()), cancel)
        next(compared)
        cancel.cancel()
        with pytest.raises(Cancelled):
            next(compared)
