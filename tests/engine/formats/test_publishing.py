"""The outputs of a run take one number that is free for all of them, at once, or none is there."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.errors import EngineError, ErrorCode
from engine.formats.output_path import Target
from engine.formats.publishing import Publication, publish
from engine.formats.safetensors_writer import SafetensorsWriter

RUNS = 6


def publications(folder: Path, stems: list[str], mark: float) -> list[Publication]:
    """A file for each stem that holds the mark, sealed."""
    found = []
    for stem in stems:
        writer = SafetensorsWriter(folder, 1024)
        writer.add("mark", torch.tensor([mark]))

        def report(path: Path, size: int, names: tuple[str, ...]) -> str:
            return json.dumps([mark, path.name, size, names])

        found.append(Publication(Target(folder, stem), writer, writer.seal({}), report))
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("stems", [[["a_", "b_", "c_"]] * RUNS, [["a_", "b_"], ["b_", "c_"], ["c_", "a_"]] * 2])
def test_runs_that_publish_at_once_never_mix(tmp_path: Path, stems: list[list[str]]) -> None:
    runs = [publications(tmp_path, wanted, float(mark)) for mark, wanted in enumerate(stems)]
    barrier, written = threading.Barrier(len(runs)), {}

    def put(mark: int) -> None:
        barrier.wait()
        written[mark] = publish(runs[mark])

    threads = [threading.Thread(target=put, args=(mark,)) for mark in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == len(runs)
    for mark, placed in written.items():
        numbers = {path.name.rsplit("_", 2)[1] for path, _ in placed}
        assert len(numbers) == 1, "one number for all files of a run"
        for path, report in placed:
            assert load_file(path)["mark"].item() == mark
            size = path.stat().st_size
            assert json.loads(report.read_text()) == [mark, path.name, size, [other.name for other, _ in placed]]
    assert len(names(tmp_path)) == 2 * sum(map(len, stems)), "nothing else is left in the folder"


def test_the_number_is_free_for_every_file_and_every_report(tmp_path: Path) -> None:
    for taken in ("a_00001_.safetensors", "b_00002_.json", "a_00004_.safetensors"):
        (tmp_path / taken).touch()
    placed = publish(publications(tmp_path, ["a_", "b_"], 1.0))
    assert [path.name for path, _ in placed] == ["a_00003_.safetensors", "b_00003_.safetensors"]


def test_a_name_that_is_taken_meanwhile_moves_all_files_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = publications(tmp_path, ["a_", "b_"], 1.0)
    real = SafetensorsWriter.place

    def place(writer: SafetensorsWriter, path: Path) -> bool:
        if path.name == "b_00001_.safetensors":
            path.write_text("another program's")
        return real(writer, path)

    monkeypatch.setattr(SafetensorsWriter, "place", place)
    placed = publish(items)
    assert [path.name for path, _ in placed] == ["a_00002_.safetensors", "b_00002_.safetensors"]
    assert (tmp_path / "b_00001_.safetensors").read_text() == "another program's"
    assert "a_00001_.safetensors" not in names(tmp_path)


@pytest.mark.parametrize("fails", ["the second file", "the second report"])
def test_where_one_cannot_be_put_in_place_all_stand_under_their_temporary_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    items = publications(tmp_path, ["a_", "b_"], 1.0)
    real_place, replace = SafetensorsWriter.place, os.replace

    def place(writer: SafetensorsWriter, path: Path) -> bool:
        if fails == "the second file" and path.name.startswith("b_"):
            raise OSError(28, "No space left on device")
        return real_place(writer, path)

    def replacing(one: Path, other: Path) -> None:
        if fails == "the second report" and Path(other).name == "b_00001_.json":
            raise OSError(28, "No space left on device")
        replace(one, other)

    monkeypatch.setattr(SafetensorsWriter, "place", place)
    monkeypatch.setattr("engine.formats.publishing.os.replace", replacing)
    with pytest.raises(EngineError) as caught:
        publish(items)
    assert caught.value.code is ErrorCode.DISK_FULL
    assert names(tmp_path) == sorted(Path(str(item.output.part)).name for item in items)
    monkeypatch.undo()
    assert [path.name for path, _ in publish(items)] == ["a_00001_.safetensors", "b_00001_.safetensors"]


def test_outputs_of_one_name_are_counted_on(tmp_path: Path) -> None:
    first, second = publications(tmp_path, ["a_", "a_"], 1.0)
    further = Publication(Target(tmp_path, "a_", copy=1), second.output, second.size, second.make_report)
    placed = publish([first, further])
    assert [path.name for path, _ in placed] == ["a_00001_.safetensors", "a_00002_.safetensors"]


def test_a_folder_takes_part_in_the_number_and_its_report_lies_in_it(tmp_path: Path) -> None:
    target = Target(tmp_path, "my_lora_peft_rank_adaptive_fro_0.85_fp16_", ending="")
    assert target.path(3).name == "my_lora_peft_rank_adaptive_fro_0.85_fp16_00003_"
    assert target.report(3).parent == target.path(3)
    target.path(1).mkdir()
    assert (target.taken(1), target.taken(2)) == (True, False)
