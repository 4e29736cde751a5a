import csv
import os
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import layer_result

from app.text.layer_csv import write_layers
from engine.errors import EngineError, ErrorCode
from engine.results import LayerResult, NoiseFigures


def rows() -> list[LayerResult]:
    first = replace(layer_result("diffusion_model.a.weight", 0.1 + 0.2), relative_change=1 / 3, delta_energy=1e-300)
    second = replace(layer_result('odd, "quoted"\nname', 1.0, rank=None), shape=(7,), singular_values=(), capped=True)
    return [first, second]


def test_numbers_come_back_to_the_last_digit(tmp_path: Path) -> None:
    file = tmp_path / "layers.csv"
    write_layers(file, rows())
    with file.open(newline="", encoding="utf-8") as stream:
        first, second = csv.DictReader(stream)
    assert float(first["energy_retained"]) == 0.1 + 0.2
    assert float(first["relative_change"]) == 1 / 3
    assert float(first["delta_energy"]) == 1e-300
    assert (first["shape"], first["rank"], first["capped"]) == ("3072x3072", "8", "false")
    assert second["name"] == 'odd, "quoted"\nname'
    assert (second["shape"], second["rank"], second["capped"]) == ("7", "", "true")
    assert float(first["compute_seconds"]) == 0.1


def test_noise_is_empty_where_it_was_not_measured_and_the_real_share_where_all_is_noise(tmp_path: Path) -> None:
    file = tmp_path / "layers.csv"
    row = layer_result("a.weight", 0.8)
    measured = NoiseFigures(0.2, 0.4, 0.99, (0.98, 1.0), 0.97, 1.0)
    noisy = NoiseFigures(1.0, 1.0, None, None, None, 0.0)
    write_layers(file, [row, replace(row, noise=measured), replace(row, noise=noisy)])
    with file.open(newline="", encoding="utf-8") as stream:
        cells = [(line["noise_share"], line["real_energy_retained"]) for line in csv.DictReader(stream)]
    assert cells == [("", ""), ("0.2", "0.99"), ("1.0", "")]


def test_an_older_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "layers.csv"
    file.write_text("older")
    write_layers(file, rows()[:1])
    assert file.read_text().startswith("name,")
    assert [path.name for path in tmp_path.iterdir()] == ["layers.csv"]


def test_where_writing_fails_the_older_file_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "layers.csv"
    file.write_text("older")

    def refuse(*_paths: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(EngineError) as caught:
        write_layers(file, rows())
    assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE
    assert file.read_text() == "older"
    assert [path.name for path in tmp_path.iterdir()] == ["layers.csv"]


def test_a_missing_folder_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        write_layers(tmp_path / "gone" / "layers.csv", rows())
    assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE
