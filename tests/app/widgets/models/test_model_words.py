"""A card and ``inspect`` say family, layout, components, container and encoding of real models in words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from model_files import matrices, save_model
from pytestqt.qtbot import QtBot
from safetensors.torch import save_file

from app.text.models import model_facts
from app.widgets.models.model_card import ModelCard
from engine.planning.inspection import inspect_model


def in_parts(folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    for number in range(1, count + 1):
        tensors = {f"{number}.{name}": tensor.to(torch.bfloat16) for name, tensor in matrices(2).items()}
        save_model(folder / f"model-{number:05}-of-{count:05}.safetensors", tensors)
    return folder


def shown(qtbot: QtBot, path: Path) -> ModelCard:
    card = ModelCard("Fine-tuned model", "hint")
    qtbot.addWidget(card)
    card.show_reading(path)
    card.show_summary(inspect_model(path))
    return card


def test_a_card_says_that_a_model_is_in_parts(qtbot: QtBot, tmp_path: Path) -> None:
    card = shown(qtbot, in_parts(tmp_path / "my-model"))
    assert card.name.text() == "my-model"
    assert "safetensors in 3 parts · bf16" in card.detail.text().replace("\u200b", "")


def test_a_card_says_that_all_parts_of_one_that_was_chosen_are_opened(qtbot: QtBot, tmp_path: Path) -> None:
    part = in_parts(tmp_path / "my-model") / "model-00002-of-00003.safetensors"
    card = shown(qtbot, part)
    words = card.detail.text().replace("\u200b", "")
    assert f"{part.name} is one of 3 numbered files" in words
    assert f"{part.name} is one of 3 numbered files" in card.toolTip()


def test_a_card_of_folders_names_their_components(qtbot: QtBot, tmp_path: Path) -> None:
    for folder in ("transformer", "vae"):
        (tmp_path / "flux" / folder).mkdir(parents=True)
        save_file(matrices(2), tmp_path / "flux" / folder / "diffusion_pytorch_model.safetensors")
    card = shown(qtbot, tmp_path / "flux")
    assert card.name.text() == "flux"
    assert "denoiser, VAE · diffusers folders, 2 files · fp32" in card.detail.text()


def test_a_plain_denoiser_in_one_file_is_said_in_few_words(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model.safetensors", matrices(2))
    assert model_facts(inspect_model(model))[1:] == ["safetensors", "fp32", f"{model.stat().st_size / 1000:.1f} kB"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_card_says_where_a_link_leads(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    model = save_model(tmp_path / "blobs" / ("3f2a" * 16), matrices(2))
    link = tmp_path / "model.safetensors"
    link.symlink_to(model)
    card = shown(qtbot, link)
    assert "link to \u2026/blobs/3f2a3f2a3f2a\u2026" in card.detail.text().replace("\u200b", "")
    assert card.toolTip().splitlines()[:2] == [str(link), f"link to {model}"]
