"""Nothing is lost: what a stopped, killed or finished run leaves, and what later runs make of it."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import PREFIX, matrices, random_tensor, save_model
from safetensors.torch import load_file

from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, LayerDone, Notice, NoticeCode
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore, JournalWriter, Record

HARDWARE = HardwareSettings(device="cpu", batch_size=2)
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def fixed_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    base = matrices(24)
    base |= {f"{PREFIX}blocks.{i}.norm.weight": random_tensor(64, seed=i) for i in range(4)}
    tuned = {name: tensor + 0.02 * random_tensor(*tensor.shape, seed=77) for name, tensor in base.items()}
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


@pytest.fixture
def store(tmp_path: Path) -> DecompositionStore:
    return DecompositionStore(tmp_path / "store")


def extract(
    pair: tuple[Path, Path],
    folder: Path,
    store: DecompositionStore | None,
    *,
    stop_after: int | None = None,
    hardware: HardwareSettings = HARDWARE,
    **settings: Any,
) -> tuple[ExtractionResult | None, list[Event]]:
    """One run, stopped after so many finished layers if that is given."""
    cancel, events = CancelToken(), []
    with Session(*pair, store) as session:
        plan = session.plan(ExtractionSettings(**{"filename_prefix": "lora", **settings}), hardware, folder)
        try:
            with closing(session.extract(plan, cancel)) as news:
                for event in news:
                    events.append(event)
                    done = sum(isinstance(item, LayerDone) for item in events)
                    if stop_after is not None and done >= stop_after:
                        cancel.cancel()
        except Cancelled:
            return None, events
    assert isinstance(events[-1], Finished)
    return events[-1].result, events


def finished(*arguments: Any, **named: Any) -> ExtractionResult:
    result, _ = extract(*arguments, **named)
    assert result is not None
    return result


def bytes_of(result: ExtractionResult) -> bytes:
    return result.outputs[0].path.read_bytes()


def codes(events: list[Event]) -> list[NoticeCode]:
    return [event.code for event in events if isinstance(event, Notice)]


def test_rows_have_their_block_whether_fresh_or_reused(
    pair: tuple[Path, Path], tmp_path: Path, store: DecompositionStore
) -> None:
    fresh, reused = finished(pair, tmp_path / "a", store), finished(pair, tmp_path / "b", store)
    assert (fresh.layers_reused, reused.layers_reused) == (0, reused.layers)
    expected = {f"diffusion_model.blocks.{i}.norm.weight": ("blocks", i) for i in range(4)}
    for result in (fresh, reused):
        found = {row.name: row.block for row in result.rows}
        assert {name: found[name].inner for name in expected} == expected
        assert not found["diffusion_model.layers.0.weight"].inside


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"lora_type": "adaptive_energy", "adaptive_param": 0.6, "output_dtype": "bf16"},
        {"lora_type": "full"},
        {"lora_type": "full", "output_dtype": "fp32"},
        {"clamp_max_loss": 1.0, "algorithm": "svd_lowrank"},
        {"exclude": "*layers.3*", "bias_diff": False},
        {"output_dtype": "fp8_e4m3"},
        {"output_dtype": "fp8_e4m3", "clamp_max_loss": 1.0, "lora_type": "adaptive_energy", "adaptive_param": 0.6},
    ],
    ids=str,
)
def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(
    settings: dict[str, Any], pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    expected = bytes_of(finished(pair, tmp_path / "whole", None, **settings))
    stopped, events = extract(pair, tmp_path / "out", store, stop_after=5, **settings)
    assert stopped is None
    done = sum(isinstance(event, LayerDone) for event in events)
    result, events = extract(pair, tmp_path / "out", store, **settings)
    assert result is not None
    assert result.layers_reused >= done >= 5
    assert NoticeCode.RESUMED in codes(events)
    assert bytes_of(result) == expected
    assert [path.suffix for path in sorted((tmp_path / "out").iterdir())] == [".json", ".safetensors"]


def test_a_run_that_was_stopped_twice_goes_on_from_both(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    for settings in ({}, {"lora_type": "full"}):
        expected = bytes_of(finished(pair, tmp_path / "whole", None, **settings))
        extract(pair, tmp_path / "out", store, stop_after=3, **settings)
        extract(pair, tmp_path / "out", store, stop_after=2, **settings)
        extract(pair, tmp_path / "out", store, stop_after=9, **settings)
        result = finished(pair, tmp_path / "out", store, **settings)
        assert result.layers_reused >= 9
        assert bytes_of(result) == expected


def test_a_run_that_shall_not_resume_computes_everything_anew(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    for settings in ({}, {"lora_type": "full"}):
        extract(pair, tmp_path, store, stop_after=5, **settings)
        result = finished(pair, tmp_path, store, resume=False, **settings)
        assert result.layers_reused == 0


def test_stopping_leaves_no_file_but_the_journal_and_no_thread(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    extract(pair, tmp_path / "out", store, stop_after=3)
    assert not (tmp_path / "out").exists()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("extraction", "reader", "worker"))]
    (usage,) = store.usage()
    assert (usage.unfinished, usage.in_use) == (True, False)


def test_the_same_run_again_comes_from_the_cache_and_reads_no_weight(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    first = finished(pair, tmp_path, store)
    second, events = extract(pair, tmp_path, store)
    assert second is not None
    assert NoticeCode.FROM_CACHE in codes(events)
    assert (second.layers_reused, second.read_bytes) == (second.layers, 0)
    assert bytes_of(first) == bytes_of(second)
    assert [row.energy_retained for row in first.rows] == [row.energy_retained for row in second.rows]


@pytest.mark.parametrize(
    "other",
    [
        {"rank": 3},
        {"rank": 1, "output_dtype": "bf16"},
        {"output_dtype": "fp32", "clamp_quantile": False},
        {"lora_type": "adaptive_energy", "adaptive_param": 0.2},
        {"lora_type": "adaptive_fro", "adaptive_param": 0.4, "rank": 6},
        {"clamp_max_loss": 1.0},
    ],
    ids=str,
)
def test_other_settings_come_from_the_cache_with_what_a_run_of_their_own_would_keep(
    other: dict[str, Any], pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    finished(pair, tmp_path, store, rank=12)
    cached = finished(pair, tmp_path, store, **{"rank": 12, **other})
    direct = finished(pair, tmp_path / "direct", None, **{"rank": 12, **other})
    assert cached.read_bytes == 0
    assert [row.rank for row in cached.rows] == [row.rank for row in direct.rows]
    near = 2e-2 if other.get("clamp_max_loss") else 1e-4  # where factors are clamped in any case it is a lower bound
    for mine, own in zip(cached.rows, direct.rows, strict=True):
        assert mine.energy_retained <= own.energy_retained + 1e-5  # never promises more than there is
        assert mine.energy_retained == pytest.approx(own.energy_retained, abs=near)
    one, two = load_file(cached.outputs[0].path), load_file(direct.outputs[0].path)
    assert one.keys() == two.keys()
    key = "diffusion_model.layers.2"
    products = [t[f"{key}.lora_up.weight"].float() @ t[f"{key}.lora_down.weight"].float() for t in (one, two)]
    torch.testing.assert_close(*products, atol=2e-3, rtol=1e-2)


@pytest.mark.parametrize(
    "other",
    [
        {"rank": 13},
        {"algorithm": "svd_lowrank"},
        {"seed": 5, "algorithm": "svd_lowrank"},
        {"lora_type": "full"},
        {"lora_type": "adaptive_energy", "adaptive_param": 0.999, "rank": 64},
    ],
    ids=str,
)
def test_what_the_cache_cannot_answer_is_computed(
    other: dict[str, Any], pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    finished(pair, tmp_path, store, rank=12)
    assert finished(pair, tmp_path, store, **{"rank": 12, **other}).read_bytes > 0


def test_a_fine_tune_with_the_same_header_and_size_is_another_pair(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    finished(pair, tmp_path, store)
    other = shutil.copy(pair[0], tmp_path / "other.safetensors")
    with open(other, "r+b") as stream:
        stream.seek(-8, os.SEEK_END)
        stream.write(b"\x00\x00\x80\x3f" * 2)
    assert finished((Path(other), pair[1]), tmp_path, store).layers_reused == 0


def test_damaged_records_are_computed_again_and_said_to_be_damaged(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    expected = bytes_of(finished(pair, tmp_path, store))
    (journal,) = store.folder.rglob("*.journal")
    data = bytearray(journal.read_bytes())
    for at in range(4000, len(data), 3000):
        data[at] ^= 0xFF
    journal.write_bytes(data)
    again = finished(pair, tmp_path, store)
    assert bytes_of(again) == expected
    assert again.read_bytes > 0


def test_a_part_of_full_that_was_changed_is_not_gone_on_from(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    expected = bytes_of(finished(pair, tmp_path / "whole", None, lora_type="full"))
    extract(pair, tmp_path / "out", store, stop_after=8, lora_type="full")
    (part,) = (tmp_path / "out").glob(".lora-*.part")
    with part.open("r+b") as stream:
        stream.seek(-200, os.SEEK_END)
        stream.write(b"\x01" * 50)
    again, events = extract(pair, tmp_path / "out", store, lora_type="full")
    assert again is not None
    assert NoticeCode.JOURNAL_SET_ASIDE in codes(events)
    assert bytes_of(again) == expected


def test_a_run_without_room_for_its_journal_goes_on_and_says_so(pair: tuple[Path, Path], tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    result, events = extract(pair, tmp_path, DecompositionStore(blocked / "store"))
    assert result is not None
    assert NoticeCode.JOURNAL_OFF in codes(events)


def test_the_session_tells_before_the_start_what_is_kept(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    extract(pair, tmp_path, store, stop_after=6)
    with Session(*pair, store) as session:
        kept = session.kept(session.plan(ExtractionSettings(), HARDWARE, tmp_path))
        other = session.kept(session.plan(ExtractionSettings(rank=64), HARDWARE, tmp_path))
    assert kept.unfinished
    assert 6 <= kept.layers <= kept.of == 28
    assert kept.started == "2026-09-21T14:13:20+00:00"
    assert other.layers <= 4  # the norms, which no rank concerns


def test_a_finished_run_of_a_higher_rank_takes_the_place_of_a_lower_one(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    finished(pair, tmp_path, store, rank=4)
    finished(pair, tmp_path, store, rank=12)
    assert len(list(store.folder.rglob("*.journal"))) == 1
    assert finished(pair, tmp_path, store, rank=4).read_bytes == 0


def test_a_source_that_changed_since_it_was_opened_ends_the_run_before_anything_is_used(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    with Session(*pair, store) as session:
        plan = session.plan(ExtractionSettings(), HARDWARE, tmp_path / "out")
        pair[0].touch()
        with pytest.raises(EngineError) as caught:
            list(session.extract(plan, CancelToken()))
    assert (caught.value.code, caught.value.file) == (ErrorCode.INPUT_CHANGED, str(pair[0]))


def killed_at(moment: int, arguments: list[str]) -> set[int]:
    """Run in another process, kill -9 after so many finished layers; the layers it had reported as done."""
    done: set[int] = set()
    command = [sys.executable, str(HERE / "interrupted_run.py"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environment()) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("done"):
                done.add(int(line.split()[1]))
            if len(done) >= moment:
                time.sleep(random.Random(moment).random() * 0.03)
                process.send_signal(signal.SIGKILL)
                break
        rest = process.stdout.read()
    return done | {int(line.split()[1]) for line in rest.splitlines() if line.startswith("done")}


def child_environment() -> dict[str, str]:
    root = HERE.parents[2]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root, root / "tests", root / "tests" / "engine")))}


def resumed(arguments: list[str]) -> tuple[Path, int]:
    """Run to the end in another process; the file and how many layers were kept."""
    command = [sys.executable, str(HERE / "interrupted_run.py"), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, env=child_environment(), check=True)
    words = run.stdout.splitlines()[-1].split()
    return Path(words[1]), int(words[2])


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9 there")
@pytest.mark.parametrize("kind", ["standard", "full", "several"])
def test_a_run_that_is_killed_goes_on_and_ends_with_the_same_bytes(
    kind: str, pair: tuple[Path, Path], tmp_path: Path, often: int
) -> None:
    files: dict[str, list[dict[str, Any]]] = {"several": [{"rank": 2}, {"rank": 8, "strength": 0.5}, {"rank": 4}]}
    settings = json.dumps([{"filename_prefix": "lora", **values} for values in files.get(kind, [{"lora_type": kind}])])
    models = [str(path) for path in pair]
    whole, _ = resumed([*models, str(tmp_path / "none"), str(tmp_path / "whole"), settings])
    for number in range(10 if often > 100 else 1):
        folders = [str(tmp_path / f"store{number}"), str(tmp_path / f"out{number}")]
        moment = random.Random(f"{kind}{number}").randint(1, 20)
        done = killed_at(moment, [*models, *folders, settings, "0.05"])
        assert not list(Path(folders[1]).glob("*.safetensors"))
        path, kept = resumed([*models, *folders, settings])
        assert kept >= len(done) >= moment
        assert contents(path.parent) == contents(whole.parent)
        assert not list(path.parent.glob(".*")), "no temporary file is left"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def test_a_disk_with_room_for_the_output_only_keeps_it_for_the_output(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.resume.journal.free_bytes", lambda folder: 50_000)
    result, events = extract(pair, tmp_path, store)
    assert result is not None
    assert NoticeCode.JOURNAL_OFF in codes(events)
    assert not list(store.folder.rglob("*.journal"))


def test_a_failure_at_the_very_end_of_full_costs_no_layer(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = bytes_of(finished(pair, tmp_path / "whole", None, lora_type="full"))

    def fails(*arguments: object) -> None:
        raise OSError("the drive went away")

    with monkeypatch.context() as broken:
        broken.setattr("engine.formats.safetensors_writer._place", fails)
        with pytest.raises(EngineError):
            extract(pair, tmp_path / "out", store, lora_type="full")
    result = finished(pair, tmp_path / "out", store, lora_type="full")
    assert (result.layers_reused, result.read_bytes) == (result.layers, 0)
    assert bytes_of(result) == expected


def test_two_runs_of_full_at_once_write_two_files(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    with Session(*pair, store) as one:
        plan = one.plan(ExtractionSettings(lora_type="full", filename_prefix="lora"), HARDWARE, tmp_path / "out")
        events = one.extract(plan, CancelToken())
        next(event for event in events if isinstance(event, LayerDone))
        other = finished(pair, tmp_path / "out", store, lora_type="full")
        *_, end = events
    assert isinstance(end, Finished)
    assert end.result.outputs[0].path != other.outputs[0].path
    assert bytes_of(end.result) == bytes_of(other)


def test_a_stopped_full_run_survives_other_runs_of_its_pair(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    extract(pair, tmp_path / "out", store, stop_after=6, lora_type="full")
    finished(pair, tmp_path / "out", store, rank=4)
    assert finished(pair, tmp_path / "out", store, lora_type="full").layers_reused >= 6


def test_an_error_travels_between_processes() -> None:
    error = EngineError(ErrorCode.OUT_OF_MEMORY, file="a", tensor="b", needed=3)
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.file, again.tensor, again.data) == (error.code, "a", "b", {"needed": 3})


def test_records_of_a_stopped_full_run_serve_others_without_costing_it_its_part(
    tmp_path: Path, store: DecompositionStore
) -> None:
    """An unchanged layer's record answers any run; that must not count as going on from the stopped one."""
    base = matrices(24)
    tuned = {name: tensor + 0.02 * (index > 0) for index, (name, tensor) in enumerate(base.items())}
    pair = save_model(tmp_path / "t.safetensors", tuned), save_model(tmp_path / "b.safetensors", base)
    extract(pair, tmp_path / "out", store, stop_after=6, lora_type="full")
    part = next((tmp_path / "out").glob(".lora-*.part"))
    _, events = extract(pair, tmp_path / "out", store, rank=4)
    assert NoticeCode.FROM_CACHE in codes(events)
    assert NoticeCode.RESUMED not in codes(events)
    assert part.exists()
    assert finished(pair, tmp_path / "out", store, lora_type="full").layers_reused >= 6


def test_a_damaged_record_is_repaired_for_good(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    finished(pair, tmp_path, store)
    (journal,) = store.folder.rglob("*.journal")
    data = bytearray(journal.read_bytes())
    data[-100] ^= 0xFF  # in the arrays of the last record
    journal.write_bytes(data)
    _, events = extract(pair, tmp_path, store)
    assert NoticeCode.RECORD_DAMAGED in codes(events)
    again, events = extract(pair, tmp_path, store)
    assert again is not None
    assert NoticeCode.RECORD_DAMAGED not in codes(events)
    assert again.read_bytes == 0


def test_a_run_at_work_is_not_called_stopped(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    with Session(*pair, store) as one:
        plan = one.plan(ExtractionSettings(filename_prefix="lora"), HARDWARE, tmp_path / "out")
        events = one.extract(plan, CancelToken())
        next(event for event in events if isinstance(event, LayerDone))
        with Session(*pair, store) as other:
            assert not other.kept(plan).unfinished
        list(events)


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9 there")
def test_what_a_killed_run_left_beside_the_output_goes_when_it_is_gone_on_from(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = json.dumps([{"filename_prefix": "l"}])
    arguments = [*map(str, pair), str(tmp_path / "store"), str(tmp_path / "out"), settings]
    killed_at(4, [*arguments, "0.05"])
    assert list((tmp_path / "out").glob(".lora-*.part"))
    resumed(arguments)
    assert not list((tmp_path / "out").glob(".lora-*.part"))


def test_how_a_run_was_asked_to_resume_or_report_changes_no_byte(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    expected = bytes_of(finished(pair, tmp_path, None))
    detailed = HARDWARE.model_copy(update={"debug_mode": True})
    assert bytes_of(finished(pair, tmp_path, store, resume=False, hardware=detailed)) == expected


def test_figures_that_only_the_models_could_give_are_said_to_be_bounds(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    finished(pair, tmp_path, store, rank=12)
    result, events = extract(pair, tmp_path, store, rank=6, clamp_max_loss=1.0)
    assert result is not None
    assert NoticeCode.ENERGY_BOUNDS in codes(events)
    assert NoticeCode.ENERGY_BOUNDS not in codes(extract(pair, tmp_path, store, rank=12)[1])


def test_what_was_only_measured_hides_no_nan_from_a_run_that_wants_it(tmp_path: Path) -> None:
    base = {f"{PREFIX}a.weight": random_tensor(8, 6, seed=0), f"{PREFIX}a.bias": random_tensor(8, seed=1)}
    tuned = {name: tensor + 0.1 for name, tensor in base.items()}
    tuned[f"{PREFIX}a.bias"][3] = torch.nan
    files = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    hardware, store = HardwareSettings(device="cpu"), DecompositionStore(tmp_path / "store")
    with Session(*files, store) as session:
        without = session.plan(ExtractionSettings(rank=4, bias_diff=False), hardware, tmp_path / "out")
        list(session.extract(without, CancelToken()))
        wanted = session.plan(ExtractionSettings(rank=4), hardware, tmp_path / "out")
        with pytest.raises(EngineError) as caught:
            list(session.extract(wanted, CancelToken()))
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.NON_FINITE, "diffusion_model.a.bias")


def test_a_journal_that_takes_no_record_leaves_the_output_alone(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: JournalWriter, record: Record) -> None:
        raise EngineError(ErrorCode.DISK_FULL, file=self.path, reason="no space left")

    monkeypatch.setattr(JournalWriter, "append", full)
    result, events = extract(pair, tmp_path / "out", store)
    assert NoticeCode.JOURNAL_OFF in codes(events)
    assert result is not None
    assert bytes_of(result) == bytes_of(finished(pair, tmp_path / "without", None))
