from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from safetensors import safe_open
from safetensors.numpy import save_file
from window_steps import note_results

from app.look.theme import Theme
from app.storage.session import SessionStore
from app.window.main_window import MainWindow
from app.work.controller import State
from app.work.engine_port import LocalEngine
from engine.results import ExtractionResult

NAMES = [f"diffusion_model.blocks.{block}.attn.{part}.weight" for block in range(3) for part in ("qkv", "proj")]


@pytest.fixture
def real_pair(tmp_path: Path) -> tuple[Path, Path]:
    random = np.random.default_rng(0)
    base = {name: random.normal(size=(48, 32)).astype(np.float32) for name in NAMES}
    change = {name: random.normal(size=(48, 2)) @ random.normal(size=(2, 32)) for name in NAMES}
    tuned = {name: base[name] + 0.01 * change[name].astype(np.float32) for name in NAMES}
    paths = tmp_path / "tuned.safetensors", tmp_path / "base.safetensors"
    save_file(tuned, paths[0])
    save_file(base, paths[1])
    return paths


def ready_window(qtbot: QtBot, theme: Theme, pair: tuple[Path, Path]) -> MainWindow:
    """The window with the real engine and a pair that is planned."""
    window = MainWindow(SessionStore(), engine=LocalEngine(), theme=theme)
    qtbot.addWidget(window)
    window.show()
    window.frame.hardware.show_values({"device": "cpu"})
    window.set_models(*pair)
    qtbot.waitUntil(lambda: window.controller.state is State.READY)
    return window


def test_a_lora_is_extracted_through_the_window(
    qtbot: QtBot, theme: Theme, real_pair: tuple[Path, Path], home: Path
) -> None:
    window = ready_window(qtbot, theme, real_pair)
    assert window.frame.models.pair.headline.text() == "6 layers will be extracted"
    window.extract()
    qtbot.waitUntil(lambda: window.controller.state is State.DONE and not window.controller.busy)
    written = list((home / "output").rglob("*.safetensors"))
    assert len(written) == 1
    assert written[0].name in window.frame.bar.headline.text()
    with safe_open(written[0], "np") as lora:
        keys = list(lora.keys())
        assert len([key for key in keys if "lora_up" in key or "lora_down" in key]) == 12
    assert window.frame.run.layers.table.shown() == 6
    assert window.close()


def test_a_second_extraction_comes_from_the_cache_and_starting_over_does_not(
    qtbot: QtBot, theme: Theme, real_pair: tuple[Path, Path]
) -> None:
    window = ready_window(qtbot, theme, real_pair)
    assert "at hand" not in window.frame.bar.detail.text()
    for number in (1, 2):
        results: list[ExtractionResult] = []
        note_results(window, results)
        window.extract()
        qtbot.waitUntil(lambda found=results: bool(found) and not window.controller.busy)  # type: ignore[misc]
        qtbot.waitUntil(window.frame.bar.extract.isEnabled)
        assert results[0].layers_reused == (0 if number == 1 else 6)
    assert "All 6 layers come from the cache" in window.frame.run.log.as_text()
    window.plan_control.replan()
    qtbot.waitUntil(lambda: window.controller.state is State.READY)
    assert "all layers are at hand" in window.frame.bar.detail.text()
    note_results(window, results)
    assert window.controller.extract(resume=False)
    qtbot.waitUntil(lambda: not window.controller.busy)
    assert results[-1].layers_reused == 0
    assert window.close()


def test_folders_with_models_in_parts_are_extracted_from_and_remembered(
    qtbot: QtBot, theme: Theme, real_pair: tuple[Path, Path], home: Path
) -> None:
    folders = []
    for path in real_pair:
        folder = path.with_suffix("")
        folder.mkdir()
        with safe_open(path, "np") as model:
            for number, names in enumerate((NAMES[:4], NAMES[4:]), 1):
                tensors = {name: model.get_tensor(name) for name in names}
                save_file(tensors, folder / f"model-{number:05}-of-00002.safetensors")
        folders.append(folder)
    window = ready_window(qtbot, theme, (folders[0], folders[1]))
    models = window.frame.models
    assert (models.finetuned.name.text(), models.original.name.text()) == ("tuned", "base")
    assert "safetensors in 2 parts" in models.finetuned.detail.text()
    assert models.pair.headline.text() == "6 layers will be extracted"
    for number in (1, 2):
        results: list[ExtractionResult] = []
        note_results(window, results)
        window.extract()
        qtbot.waitUntil(lambda found=results: bool(found) and not window.controller.busy)  # type: ignore[misc]
        qtbot.waitUntil(window.frame.bar.extract.isEnabled)
        assert results[0].layers_reused == (0 if number == 1 else 6)
    assert window.close()
    session = SessionStore().load()
    assert str(folders[0]) in str(session)
    again = MainWindow(SessionStore(), engine=LocalEngine(), theme=theme)
    qtbot.addWidget(again)
    again.show()
    qtbot.waitUntil(lambda: again.controller.state is State.READY)
    assert again.frame.models.models() == (folders[0], folders[1])
    assert again.close()
