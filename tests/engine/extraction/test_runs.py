"""How a run behaves: its events, cancelling and closing it, the names it takes, the memory it needs."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path

import psutil
import pytest
import torch
from extraction_runs import run
from model_files import PREFIX, matrices, random_tensor, save_model, save_pair
from safetensors import safe_open
from safetensors.torch import load_file
from watched_processor import Watch, watched_by

from engine.cancel import CancelToken
from engine.checkpoints import open_checkpoint
from engine.decompose.truncated_svd import truncated_svd
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Finished, LayerDone, LayerSkipped, LayerStarted, MemorySample, Planned, Progress
from engine.extraction.extraction import extract
from engine.formats.safetensors_writer import SafetensorsWriter
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

SETTINGS = ExtractionSettings(filename_prefix="deep/lora")
HARDWARE = HardwareSettings(device="cpu", batch_size=1)


def half_changed(folder: Path, count: int = 6) -> tuple[Path, Path]:
    base = matrices(count)
    tuned = {name: tensor + 0.1 * (index % 2) for index, (name, tensor) in enumerate(base.items())}
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def test_a_run_begins_with_planned_and_ends_with_finished(tmp_path: Path) -> None:
    events = [event for event in run(save_pair(tmp_path), tmp_path).events if not isinstance(event, MemorySample)]
    kinds = [type(event) for event in events if not isinstance(event, Progress)]
    assert (kinds[0], kinds[-1]) == (Planned, Finished)
    assert Counter(kinds)[Planned] == Counter(kinds)[Finished] == 1


def test_every_planned_layer_is_started_and_then_either_done_or_skipped(tmp_path: Path) -> None:
    events = run(half_changed(tmp_path), tmp_path).events
    planned = next(event for event in events if isinstance(event, Planned))
    started = [event.index for event in events if isinstance(event, LayerStarted)]
    ended = [event.index for event in events if isinstance(event, (LayerDone, LayerSkipped))]
    assert sorted(started) == ended == list(range(planned.layers))
    assert sum(isinstance(event, LayerDone) for event in events) == 3


def test_progress_never_goes_back_and_ends_complete(tmp_path: Path) -> None:
    progress = [event for event in run(half_changed(tmp_path), tmp_path).events if isinstance(event, Progress)]
    shares = [event.share for event in progress]
    assert shares == sorted(shares)
    assert (progress[-1].share, progress[-1].layers_done) == (pytest.approx(1.0), 6)


def test_the_planned_name_and_size_hold(tmp_path: Path) -> None:
    ran = run(save_pair(tmp_path), tmp_path)
    planned = next(event for event in ran.events if isinstance(event, Planned))
    assert planned.output_name == ran.lora.name
    assert ran.lora.stat().st_size <= planned.output_bytes


@pytest.mark.parametrize("stop_after", [1, 3])
def test_cancelling_leaves_no_file_and_no_folder(stop_after: int, tmp_path: Path) -> None:
    cancel = CancelToken()

    def cancelling() -> None:
        if watch.done == stop_after:
            cancel.cancel()

    watch = Watch(after=cancelling)
    with Session(*save_pair(tmp_path)) as session:
        plan = session.plan(SETTINGS, HARDWARE, tmp_path / "out")
        with pytest.raises(Cancelled):
            list(extract(plan, session.finetuned, session.original, cancel, executor=watched_by(watch)))
    assert (watch.begun, watch.done) == (stop_after, stop_after)
    assert not (tmp_path / "out").exists()


def test_cancelling_before_the_start_does_no_layer(tmp_path: Path) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with Session(*save_pair(tmp_path)) as session:
        events = session.extract(session.plan(SETTINGS, HARDWARE, tmp_path / "out"), cancel)
        seen = []
        with pytest.raises(Cancelled):
            seen.extend(events)
    assert not any(isinstance(event, LayerStarted) for event in seen)


def test_closing_the_generator_stops_its_thread_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing = threading.Event()

    class Stop(CancelToken):
        def cancel(self) -> None:
            super().cancel()
            closing.set()

    def until_closed() -> None:
        assert closing.wait(60)

    watch = Watch(until_closed)
    monkeypatch.setattr("engine.extraction.extraction.CancelToken", Stop)
    with Session(*save_pair(tmp_path)) as session:
        plan, models = session.plan(SETTINGS, HARDWARE, tmp_path / "out"), (session.finetuned, session.original)
        events = extract(plan, *models, CancelToken(), executor=watched_by(watch))
        next(event for event in events if isinstance(event, LayerStarted))
        events.close()
    assert watch.begun == 1
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("extraction", "reader", "worker"))]
    assert not (tmp_path / "out").exists()


def test_a_source_that_changes_during_the_run_is_an_error(tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    with Session(*pair) as session:
        plan = session.plan(SETTINGS, HARDWARE, tmp_path / "out")
        pair[1].touch()
        with pytest.raises(EngineError) as caught:
            list(session.extract(plan, CancelToken()))
    assert (caught.value.code, caught.value.file) == (ErrorCode.INPUT_CHANGED, str(pair[1]))
    assert not (tmp_path / "out").exists()


def test_a_failing_decomposition_names_the_layer_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object, **named: object) -> None:
        raise RuntimeError("the solver gave up")

    monkeypatch.setattr("engine.layer.truncated_svd", fails)
    with pytest.raises(EngineError) as caught:
        run(half_changed(tmp_path), tmp_path / "out")
    assert (caught.value.code, caught.value.tensor) == (
        ErrorCode.DECOMPOSITION_FAILED,
        "diffusion_model.layers.1.weight",
    )
    assert not (tmp_path / "out").exists()


def test_an_output_name_that_appears_during_the_run_is_not_overwritten(tmp_path: Path) -> None:
    with Session(*save_pair(tmp_path)) as session:
        plan = session.plan(SETTINGS, HARDWARE, tmp_path)
        plan.folder.mkdir()
        taken = plan.folder / plan.output_name
        taken.write_text("somebody else's")
        *_, finished = session.extract(plan, CancelToken())
    assert isinstance(finished, Finished)
    assert taken.read_text() == "somebody else's"
    assert finished.result.outputs[0].path.name.endswith("_00002_.safetensors")


def test_writers_that_publish_at_once_never_take_one_name(tmp_path: Path) -> None:
    writers = [SafetensorsWriter(tmp_path, 4096) for _ in range(8)]
    barrier, paths = threading.Barrier(len(writers)), []

    def publish(index: int, writer: SafetensorsWriter) -> None:
        writer.add("which", torch.tensor([float(index)]))
        barrier.wait()
        paths.append((index, *writer.publish("lora_", {}, lambda path, size: json.dumps([index, path.name, size]))))

    threads = [threading.Thread(target=publish, args=pair) for pair in enumerate(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for _, path, _ in paths) == [f"lora_{n:05}_.safetensors" for n in range(1, 9)]
    for index, path, report in paths:
        assert load_file(path)["which"].item() == index
        assert json.loads(report.read_text()) == [index, path.name, path.stat().st_size]
    assert len(list(tmp_path.iterdir())) == 16


def test_the_safetensors_library_reads_every_tensor_of_an_output(tmp_path: Path) -> None:
    ran = run(save_pair(tmp_path), tmp_path, rank=3, output_dtype="bf16")
    with safe_open(ran.lora, framework="pt") as file:
        shapes = {name: tuple(file.get_tensor(name).shape) for name in file.keys()}  # noqa: SIM118
    assert shapes["diffusion_model.blocks.1.conv3d.lora_down.weight"] == (3, 3, 2, 2, 2)
    assert shapes["diffusion_model.temperature.diff"] == ()


def test_every_tensor_of_an_output_is_aligned_to_its_dtype(tmp_path: Path) -> None:
    raw = run(save_pair(tmp_path), tmp_path, rank=3).lora.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__")
    sizes = {"F16": 2, "BF16": 2, "F32": 4}
    assert all((8 + length + entry["data_offsets"][0]) % sizes[entry["dtype"]] == 0 for entry in header.values())


def test_opening_a_huge_model_reads_its_header_and_costs_no_memory(tmp_path: Path) -> None:
    elements = 1 << 31
    header = {"big.weight": {"dtype": "F32", "shape": [1 << 16, 1 << 15], "data_offsets": [0, 4 * elements]}}
    text = json.dumps(header).encode()
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + 4 * elements)
    process = psutil.Process()
    before = process.memory_info().rss
    with open_checkpoint(path) as checkpoint:
        checkpoint.fingerprint()
    assert process.memory_info().rss - before < 20e6


def test_the_layers_own_seed_reaches_the_randomised_solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def recording(*arguments: object, **named: object) -> object:
        seeds.append(named["seed"])  # type: ignore[arg-type]
        return truncated_svd(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("engine.layer.truncated_svd", recording)
    run(half_changed(tmp_path), tmp_path, seed=3)
    assert len(set(seeds)) == len(seeds) == 3


def test_a_change_larger_than_half_of_the_weights_is_remarked_on(tmp_path: Path) -> None:
    base = matrices(20)
    tuned = {name: random_tensor(*tensor.shape, seed=500 + i) for i, (name, tensor) in enumerate(base.items())}
    pair = save_model(tmp_path / "t.safetensors", tuned), save_model(tmp_path / "b.safetensors", base)
    codes = [getattr(event, "code", None) for event in run(pair, tmp_path).events]
    assert codes.count("large_change") == 1


def test_a_rank_limit_that_cut_layers_short_is_remarked_on(tmp_path: Path) -> None:
    ran = run(save_pair(tmp_path), tmp_path, lora_type="adaptive_energy", adaptive_param=0.99, rank=1)
    notice = next(event for event in ran.events if getattr(event, "code", None) == "layers_capped")
    assert notice.data["layers"] == sum(row.rank == 1 for row in ran.result.rows)


def test_the_names_of_a_pair_may_come_from_two_prefixes(tmp_path: Path) -> None:
    base = matrices(3)
    pair = (
        save_model(tmp_path / "t.safetensors", {n.removeprefix(PREFIX): t + 0.1 for n, t in base.items()}),
        save_model(tmp_path / "b.safetensors", base),
    )
    assert run(pair, tmp_path).result.layers == 3


def test_a_layers_energy_does_not_depend_on_how_many_are_worked_on_at_once(tmp_path: Path) -> None:
    shapes = [(300, 320), (64, 64), (320, 300), (300, 300), (40, 400)] * 2
    base = {f"layers.{i}.weight": 0.05 * random_tensor(*shape, seed=i) for i, shape in enumerate(shapes)}
    tuned = {name: tensor + 0.01 * random_tensor(*tensor.shape, seed=7) for name, tensor in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    energies = []
    for batch_size in (1, 2, 8):
        with Session(*pair) as session:
            hardware = HardwareSettings(device="cpu", batch_size=batch_size)
            events = list(session.extract(session.plan(SETTINGS, hardware, tmp_path / "out"), CancelToken()))
        finished = events[-1]
        assert isinstance(finished, Finished)
        energies.append([row.energy_retained for row in finished.result.rows])
        assert [row.name for row in finished.result.rows] == [f"diffusion_model.{name}" for name in sorted(base)]
    assert energies[1] == pytest.approx(energies[0], abs=1e-6)
    assert energies[2] == pytest.approx(energies[0], abs=1e-6)
