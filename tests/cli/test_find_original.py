"""``lora-extractor find-original``: its answer as JSON and in words, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from calls import ROOT, Call, assert_refused
from model_families import changed, fresh, merged, save, save_scaled, stored

from app.cli import main as cli
from app.cli.find_original import find_original as real_search
from app.storage.decompositions import open_samples

BASES = [changed(fresh(0), number, 0.04) for number in (1, 2)]
KEYS = ["path", "relative_distance", "matched", "coefficient"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, base in enumerate(BASES):
        save(tmp_path / "models" / "below" / f"base{number}.safetensors", base)
    return tmp_path / "models"


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    return save(tmp_path / "tuned.safetensors", changed(stored(BASES[1]), 5, 0.01))


def test_it_answers_with_the_documented_json(call: Call, folder: Path, tuned: Path) -> None:
    (folder / "broken.safetensors").touch()
    said = call("find-original", tuned, folder, "--json")
    assert said.code == 0
    answer = said.json
    assert list(answer)[1:6] == ["best", "margin", "candidates", "merge", "skipped"]
    assert answer["best"] == str(folder / "below" / "base1.safetensors")
    assert [list(one)[:4] for one in answer["candidates"]] == [KEYS, KEYS]
    nearest, other = answer["candidates"]
    assert nearest["path"] == answer["best"]
    assert nearest["relative_distance"] == pytest.approx(0.01, rel=0.05)
    assert answer["margin"] == pytest.approx(other["relative_distance"] - nearest["relative_distance"])
    assert (nearest["matched"], nearest["coefficient"], answer["merge"]) == (14, None, None)
    assert [(Path(item["path"]).name, item["reason"]) for item in answer["skipped"]] == [
        ("broken.safetensors", "file_empty")
    ]


def test_a_merge_has_coefficients_and_intervals(call: Call, folder: Path, tmp_path: Path) -> None:
    model = save(tmp_path / "merge.safetensors", merged((0.25, stored(BASES[0])), (0.75, stored(BASES[1]))))
    said = call("find-original", model, folder, "--json")
    answer = said.json
    assert answer["merge"]["explained"] > 0.99
    shares = {Path(one["path"]).name: one["coefficient"] for one in answer["candidates"]}
    assert shares == {
        "base0.safetensors": pytest.approx(0.25, abs=0.01),
        "base1.safetensors": pytest.approx(0.75, abs=0.01),
    }
    assert all(low <= one["coefficient"] <= high for one in answer["candidates"] for low, high in [one["interval"]])
    assert "It is a merge of base1.safetensors (0.75) and base0.safetensors (0.25)." in said.err


def test_a_person_reads_the_answer_on_stdout_and_what_was_skipped_on_stderr(
    call: Call, folder: Path, tuned: Path
) -> None:
    (folder / "gone.safetensors").symlink_to("nowhere.safetensors")
    said = call("find-original", tuned, folder)
    assert said.out.startswith("base1.safetensors is the nearest: 1.0")
    assert "The next, base0.safetensors, is " in said.out
    assert f"Skipped {folder / 'gone.safetensors'}: The link leads nowhere." in said.err


def test_nothing_near_is_an_answer_and_no_failure(call: Call, folder: Path, tmp_path: Path) -> None:
    model = save(tmp_path / "strange.safetensors", fresh(9))
    said = call("find-original", model, folder)
    assert said.code == 0
    assert said.out.startswith("None of these is its original.")
    answer = call("find-original", model, folder, "--json").json
    assert (answer["best"], answer["margin"], answer["merge"]) == (None, None, None)
    assert [one["related"] for one in answer["candidates"]] == [False, False]


def test_folders_without_any_model_of_the_kind_are_an_answer_too(call: Call, tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = call("find-original", tuned, tmp_path / "empty")
    assert (said.code, said.out) == (0, "No model in these folders can be its original.\n")


def test_the_model_itself_is_said_and_left_out(call: Call, folder: Path) -> None:
    model = folder / "below" / "base0.safetensors"
    save_scaled(folder / "fp8.safetensors", stored(BASES[0]))
    said = call("find-original", model, folder)
    assert "base0.safetensors is the model itself and was left out." in said.out
    assert "fp8.safetensors is the model in another form, but for rounding, and was left out." in said.out


def test_a_model_or_a_folder_that_is_not_there_is_refused(call: Call, folder: Path, tuned: Path) -> None:
    assert_refused(call("find-original", folder / "none.safetensors", folder, "--json"), "file_missing", names="none")
    assert_refused(call("find-original", tuned, folder / "none", "--json"), "file_missing", names="none")


def test_what_it_keeps_is_shown_and_cleared_with_the_cache(call: Call, folder: Path, tuned: Path) -> None:
    call("find-original", tuned, folder)
    size = open_samples().size_bytes
    assert size > 0
    assert call("cache", "show", "--json").json["size_bytes"] == size
    assert call("find-original", tuned, folder, "--json").json["from_index"] == 2
    assert call("cache", "clear", "--json").json == {"freed_bytes": size, "size_bytes": 0}
    assert call("find-original", tuned, folder, "--json").json["from_index"] == 0


def test_where_the_cache_may_hold_nothing_no_samples_are_kept(call: Call, folder: Path, tuned: Path) -> None:
    call("cache", "limit", "0")
    assert call("find-original", tuned, folder, "--json").json["best"]
    assert open_samples().size_bytes == 0


def test_the_help_has_an_example(call: Call) -> None:
    said = call("find-original", "--help")
    assert "lora-extractor find-original my-finetune.safetensors ~/models/checkpoints" in said.out


def test_a_search_that_the_index_answers_loads_no_torch(call: Call, folder: Path, tuned: Path) -> None:
    call("find-original", tuned, folder)
    code = "import sys; from app.cli.main import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "find-original", str(tuned), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert answer.stdout.splitlines()[-1] == "False"


def test_ctrl_c_ends_it_cleanly_and_the_next_search_goes_on(
    call: Call, folder: Path, tuned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> object:
        for event in real_search(*arguments):  # type: ignore[arg-type]
            yield event
            if getattr(event, "done", 0) == 1:
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr("app.cli.find_original.find_original", interrupted)
        said = call("find-original", tuned, folder, "--json")
    assert said.code == cli.CANCELLED
    assert said.json["error"]["code"] == "cancelled"
    assert "the same command goes on from there" in said.err
    assert "Traceback" not in said.err
    assert call("find-original", tuned, folder, "--json").json["from_index"] == 1
