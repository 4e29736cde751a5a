"""Encoded weights and a container of the tests in the window, with the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import comfyui_consumer
import pytest
from extraction_runs import EXACT
from gguf_models import gguf_pair
from model_files import PREFIX, random_tensor
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot
from scaled_models import scaled_pair
from toys.container import TOY_CONTAINER, save_toy

from app.look.theme import Theme
from app.storage.session import SessionStore
from app.window.main_window import MainWindow
from app.work.controller import State
from app.work.engine_port import LocalEngine
from engine.checkpoints.containers import CONTAINERS
from engine.settings import ExtractionSettings


@pytest.fixture
def real_window(qtbot: QtBot, theme: Theme) -> Iterator[MainWindow]:
    window = MainWindow(SessionStore(), engine=LocalEngine(), theme=theme)
    qtbot.addWidget(window)
    window.show()
    window.frame.hardware.show_values({"device": "cpu"})
    yield window
    assert window.close()


def extracted(window: MainWindow, qtbot: QtBot, pair: tuple[Path, Path], home: Path) -> Path:
    """Choose a pair and press Extract; returns the LoRA."""
    window.set_models(*pair)
    qtbot.waitUntil(lambda: window.controller.state is State.READY)
    window.extract()
    qtbot.waitUntil(lambda: window.controller.state is State.DONE and not window.controller.busy)
    (lora,) = (home / "output").rglob("*.safetensors")
    return lora


def test_scaled_fp8_is_named_on_its_card_and_extracted(
    real_window: MainWindow, qtbot: QtBot, home: Path, tmp_path: Path
) -> None:
    files = scaled_pair(tmp_path)
    real_window.frame.options.show_settings(ExtractionSettings(**{**EXACT, "rank": 128, "round_original": "off"}))
    lora = extracted(real_window, qtbot, files.files, home)
    models = real_window.frame.models
    assert "scaled fp8 (ComfyUI)" in models.finetuned.detail.text()
    assert "scaled" not in models.original.detail.text()
    found = comfyui_consumer.changes(comfyui_consumer.load_lora(lora), files.base)
    for name, tensor in files.tuned.items():
        change = tensor.double() - files.base[name].double()
        assert float((found[name] - change).norm() / change.norm()) < 2e-6, name


def test_a_gguf_file_is_named_on_its_card_and_extracted(
    real_window: MainWindow, qtbot: QtBot, home: Path, tmp_path: Path
) -> None:
    pair = gguf_pair(tmp_path)
    real_window.frame.options.show_settings(ExtractionSettings(**{**EXACT, "rank": 128, "round_original": "off"}))
    lora = extracted(real_window, qtbot, pair.files, home)
    text = real_window.frame.models.finetuned.detail.text()
    assert "GGUF" in text
    assert "GGUF Q4_K" in text
    assert "GGUF" not in real_window.frame.models.original.detail.text()
    found = comfyui_consumer.load_lora(lora)
    base = {f"diffusion_model.{name}": tensor for name, tensor in pair.base.items()}
    changes = comfyui_consumer.changes(found, base)
    for name, tensor in pair.tuned.items():
        change = tensor.double() - pair.base[name].double()
        assert float((changes[f"diffusion_model.{name}"] - change).norm() / change.norm()) < 2e-6, name


def test_a_container_of_the_tests_can_be_chosen_dropped_and_extracted(
    real_window: MainWindow, qtbot: QtBot, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = {f"{PREFIX}layers.{number}.weight": random_tensor(24, 16, seed=number) for number in range(3)}
    tuned = {name: tensor + 0.1 * random_tensor(24, 16, seed=9) for name, tensor in base.items()}
    CONTAINERS.append(TOY_CONTAINER)
    try:
        pair = save_toy(tmp_path / "tuned.toy", tuned), save_toy(tmp_path / "base.toy", base)
        offered: list[str] = []

        def choose(*arguments: object) -> tuple[str, str]:
            offered.append(str(arguments[-1]))
            return str(pair[0]), ""

        monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
        real_window.frame.models.finetuned.ask_for_file()
        assert "*.toy" in offered[0]
        real_window.files.take([pair[1]])
        assert extracted(real_window, qtbot, pair, home).stat().st_size > 0
    finally:
        CONTAINERS.remove(TOY_CONTAINER)
