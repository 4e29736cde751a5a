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


def test_figures_of_rounding_are_columns_and_empty_where_there_are_none(tmp_path: Path) -> None:
    first, second = rows()
    known = replace(first, noise=NoiseFigures(0.1 + 0.2, 0.4, 2 / 3, (0.5, 0.75), 1 / 7, 0.7))
    alone = replace(first, noise=NoiseFigures(0.95, 1.0, None, None, None, 0.0))
    file = tmp_path / "layers.csv"
    write_layers(file, [known, alone, second])
    with file.open(newline="", encoding="utf-8") as stream:
        found = list(csv.DictReader(stream))
    figures = ["noise_share", "noise_share_both_sides", "real_energy_retained", "real_energy_retained_low"]
    figures += ["real_energy_retained_high", "real_energy_retained_both_sides"]
    assert [float(found[0][name]) for name in figures] == [0.1 + 0.2, 0.4, 2 / 3, 0.5, 0.75, 1 / 7]
    assert [found[1][name] for name in figures] == ["0.95", "1.0", "", "", "", ""]
    assert [found[2][name] for name in figures] == [""] * 6
    assert [row["all_noise"] for row in found] == ["false", "true", ""]


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
