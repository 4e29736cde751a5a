"""Records and resident differences serve only a run that compares the two models in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from extraction_runs import run
from rounding_pairs import plain_pair

from engine.cancel import CancelToken
from engine.events import Finished
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

F32, BF16 = torch.float32, torch.bfloat16
HARDWARE = HardwareSettings(device="cpu")


def stored_run(pair: tuple[Path, Path], folder: Path, store: DecompositionStore, **settings: Any) -> ExtractionResult:
    with Session(*pair, store) as session:
        plan = session.plan(ExtractionSettings(filename_prefix="lora", **settings), HARDWARE, folder)
        *_, last = session.extract(plan, CancelToken())
    assert isinstance(last, Finished)
    return last.result


def test_records_answer_only_runs_that_compare_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    pair, store = plain_pair(tmp_path, BF16, F32), DecompositionStore(tmp_path / "store")
    fresh = {choice: run(pair, tmp_path / f"fresh {choice}", round_original=choice) for choice in ("auto", "off")}
    reused = []
    for choice in ("auto", "off", "auto", "off", "on"):
        result = stored_run(pair, tmp_path / "out", store, round_original=choice)
        reused.append(result.layers_reused)
        if choice in fresh:
            assert [row.energy_retained for row in result.rows] == [
                row.energy_retained for row in fresh[choice].result.rows
            ]
            assert [(item.name, item.rounded_to) for item in result.left_out] == [
                (item.name, item.rounded_to) for item in fresh[choice].result.left_out
            ]
    assert reused == [0, 0, 4, 4, 4], "on and auto round alike here"


def test_records_of_the_first_version_answer_only_where_nothing_can_be_rounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dtypes, expected in (((BF16, F32), 0), ((BF16, BF16), 4)):
        folder = tmp_path / str(expected)
        folder.mkdir()
        pair, store = plain_pair(folder, *dtypes), DecompositionStore(folder / "store")
        with monkeypatch.context() as earlier:  # which wrote records without the field
            earlier.setattr("engine.models.pairing.rounding_between", lambda finetuned, original: None)
            stored_run(pair, folder / "out", store)
        for choice in ("auto", "off"):
            result = stored_run(pair, folder / f"out {choice}", store, round_original=choice)
            assert result.layers_reused == expected


def test_a_resident_difference_serves_only_a_run_that_compares_alike(tmp_path: Path) -> None:
    pair = plain_pair(tmp_path, BF16, F32)
    hardware = HardwareSettings(device="cpu", memory_budget=1 << 30, blocks_in_gpu=40)
    energies: dict[str, list[list[float]]] = {"auto": [], "off": []}
    with Session(*pair) as session:
        for choice in ("auto", "off", "auto", "off"):
            settings = ExtractionSettings(filename_prefix="lora", round_original=choice)  # type: ignore[arg-type]
            *_, last = session.extract(session.plan(settings, hardware, tmp_path / "out"), CancelToken())
            assert isinstance(last, Finished)
            assert session.resident_bytes > 0
            energies[choice].append([row.delta_energy for row in last.result.rows])
            *_, found = session.verify(last.result.outputs[0].path, CancelToken())
            assert found.mean_energy_retained == pytest.approx(  # type: ignore[union-attr]
                last.result.outputs[0].mean_energy_retained, abs=1e-6
            )
    for first, second in energies.values():
        assert first == second
    assert energies["auto"] != energies["off"]


def test_what_a_stopped_run_of_full_left_belongs_to_one_setting_where_that_decides_anything(tmp_path: Path) -> None:
    identities = {}
    for dtypes in ((BF16, F32), (BF16, BF16)):
        folder = tmp_path / str(dtypes[1])
        folder.mkdir()
        pair = plain_pair(folder, *dtypes)
        with Session(*pair) as session:
            identities[dtypes[1]] = {
                session.plan(
                    ExtractionSettings(lora_type="full", round_original=choice),  # type: ignore[arg-type]
                    HARDWARE,
                    folder,
                )
                .outputs[0]
                .identity
                for choice in ("auto", "off")
            }
    assert len(identities[F32]) == 2
    assert len(identities[BF16]) == 1
