"""The window offers the formats that have a row, and writes and verifies Kohya's files, which diffusers loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sdxl_pipeline
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot
from safetensors import safe_open
from toys import format as toy_format

from app.look.theme import Theme
from app.storage.job_queue import QueueStore, new_job
from app.storage.session import SessionState, SessionStore
from app.window.main_window import MainWindow
from app.work.controller import State
from app.work.engine_port import LocalEngine
from app.work.requests import Extracted, Verified
from engine.formats.registry import FORMATS
from engine.results import ExtractionResult
from engine.settings import ExtractionSettings, HardwareSettings

FULL_RANK = ExtractionSettings(rank=4096, output_dtype="fp32", clamp_quantile=False)


def combo_of(window: MainWindow) -> QComboBox:
    combo = window.frame.options.form.editor("key_format").findChild(QComboBox)
    assert isinstance(combo, QComboBox)
    return combo


def offered(combo: QComboBox) -> list[tuple[str, str]]:
    return [(combo.itemData(index), combo.itemText(index)) for index in range(combo.count())]


def test_a_format_that_has_a_row_is_offered_and_comes_back_at_the_next_start(
    make_window: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_format.register(monkeypatch)
    window = make_window()
    combo = combo_of(window)
    assert offered(combo) == [*((row.key, row.title) for row in FORMATS), ("toy", "Toy")]
    combo.setCurrentIndex(combo.count() - 1)
    settings = window.frame.options.settings()
    assert settings is not None
    assert settings.key_format == "toy"
    saved = SessionState(extraction=settings.model_dump(mode="json"))
    assert saved.extraction_settings().key_format == "toy"


def test_a_session_with_a_format_that_has_no_row_falls_back_to_the_default_for_it_alone() -> None:
    saved = SessionState(extraction={"key_format": "of_tomorrow", "rank": 64})
    assert saved.extraction_settings() == ExtractionSettings(rank=64)


def test_a_queue_keeps_a_job_whose_format_it_does_not_know(home: Path) -> None:
    job = new_job(Path("a"), Path("b"), ExtractionSettings(key_format="of_tomorrow"), HardwareSettings(), Path("out"))
    QueueStore().save((job,))
    assert QueueStore().load() == (job,)


def done(window: MainWindow) -> bool:
    return window.controller.state is State.DONE and not window.controller.busy


def test_a_kohya_file_of_the_window_is_verified_there_and_loaded_by_diffusers(
    qtbot: QtBot, theme: Theme, tmp_path: Path
) -> None:
    window = MainWindow(SessionStore(), engine=LocalEngine(), theme=theme)
    qtbot.addWidget(window)
    window.show()
    window.frame.hardware.show_values({"device": "cpu"})
    window.frame.options.show_settings(FULL_RANK)
    combo_of(window).setCurrentIndex(1)
    results: list[ExtractionResult] = []
    verified: list[Any] = []
    window.controller.run_event.connect(lambda event: isinstance(event, Extracted) and results.append(event.result))
    window.controller.verify_event.connect(
        lambda event: isinstance(event, Verified) and verified.append(event.verification)
    )
    window.set_models(*sdxl_pipeline.save_pair(tmp_path))
    qtbot.waitUntil(lambda: window.controller.state is State.READY)
    window.extract()
    qtbot.waitUntil(lambda: bool(results) and done(window))
    lora = results[0].outputs[0].path
    assert "_kohya_rank_4096_" in lora.name
    assert "The format of Kohya has no place for 294 tensors" in window.frame.run.log.as_text()
    window.verify_control.verify(lora)
    qtbot.waitUntil(lambda: bool(verified) and not window.controller.busy)
    assert verified[0].key_format == "kohya"
    assert verified[0].mean_energy_retained == pytest.approx(1.0, abs=1e-9)
    assert "Format: Kohya." in window.frame.run.log.as_text()
    with safe_open(lora, framework="pt") as file:
        assert json.loads(file.metadata()["lora_extractor.settings"])["key_format"] == "kohya"
    model, tuned = sdxl_pipeline.build(0), sdxl_pipeline.build(0)
    sdxl_pipeline.fine_tune(tuned)
    sdxl_pipeline.load_lora(model, lora)
    wanted = sdxl_pipeline.outputs(tuned)
    assert max(sdxl_pipeline.relative_errors(sdxl_pipeline.outputs(model), wanted)) < 1e-5
    assert window.close()
