"""The demo pair is real: a LoRA of it, well under full rank, does what the fine-tune does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PySide6.QtGui import QImage
from safetensors import safe_open
from safetensors.torch import load_file

from app.cli import main as cli
from engine.cancel import CancelToken
from engine.events import Finished
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from resources.demo.comparison import apply_lora, compare
from resources.demo.digits_dit import FINETUNED_FILE, ORIGINAL_FILE

MIB = 1024 * 1024


def extract(folder: Path, **settings: object) -> Path:
    wanted = ExtractionSettings.model_validate({"filename_prefix": "demo", **settings})
    with Session(FINETUNED_FILE, ORIGINAL_FILE) as session:
        events = list(session.extract(session.plan(wanted, HardwareSettings(), folder), CancelToken()))
    assert isinstance(events[-1], Finished)
    return events[-1].result.outputs[0].path


def test_original_and_lora_recover_at_least_90_percent_of_the_loss_gap_at_an_eighth_of_the_rank(tmp_path: Path) -> None:
    comparison = compare(extract(tmp_path, rank=16), rows=1)
    assert comparison.original.loss > 2 * comparison.finetuned.loss
    assert comparison.recovered >= 0.9


def test_original_and_lora_at_full_rank_are_the_finetuned_model(tmp_path: Path) -> None:
    lora = extract(tmp_path, rank=4096, output_dtype="fp32", clamp_quantile=False)
    applied = apply_lora(load_file(ORIGINAL_FILE), load_file(lora))
    for name, expected in load_file(FINETUNED_FILE).items():
        assert torch.allclose(applied[name], expected.float(), rtol=1e-5, atol=1e-6), name


def test_every_kind_of_weight_is_in_the_demo_pair() -> None:
    with Session(FINETUNED_FILE, ORIGINAL_FILE) as session:
        kinds = {weight.kind for weight in session.weights(ExtractionSettings())}
    assert kinds == {"matrix", "conv", "bias", "norm", "parameter"}


def test_the_pair_is_small_enough_to_ship() -> None:
    assert FINETUNED_FILE.stat().st_size + ORIGINAL_FILE.stat().st_size <= 10 * MIB


@pytest.mark.usefixtures("qapp")  # the picture would else make an application that no window can use after it
def test_demo_in_the_terminal_ends_with_the_lora_the_picture_and_the_three_losses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--terminal", "--json", "--output-dir", str(tmp_path)]) == 0
    answer = json.loads(capsys.readouterr().out)
    with safe_open(answer["output"], "pt") as lora:
        assert lora.keys()
    assert QImage(answer["picture"]).width() > 400
    assert set(answer["losses"]) == {"Original", "Fine-tuned", "Original + LoRA"}
    assert answer["recovered"] >= 0.9
