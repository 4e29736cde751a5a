"""How many layers are worked on at once and on how many cores, when they are read, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import random_tensor, save_model
from watched_processor import Watch, pause, watched_by

from engine.cancel import CancelToken
from engine.devices.device import choose_devices
from engine.errors import EngineError, ErrorCode
from engine.events import Event, Finished, LayerDone, LayerStarted
from engine.extraction.executor import LocalExecutor
from engine.extraction.extraction import extract as run
from engine.extraction.layer_executor import ExecutorChoice, LayerExecutor, RunContext, RunInputs
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings


@pytest.fixture
def cores() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield 4
    torch.set_num_threads(before)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Twelve layers in six blocks of two; each block's second layer is the larger one."""
    shapes = {f"blocks.{i // 2}.l{i % 2}.weight": (40 + 30 * (i % 2), 64) for i in range(12)}
    base = {name: 0.1 * random_tensor(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}
    norms = ("norm.weight", "gate.weight")  # a block is known by four weights
    base |= {f"blocks.{i}.{name}": random_tensor(8, seed=i) for i in range(6) for name in norms}
    tuned = {name: tensor + 0.01 * random_tensor(*tensor.shape, seed=5) for name, tensor in base.items()}
    return save_model(tmp_path / "t.safetensors", tuned), save_model(tmp_path / "b.safetensors", base)


def extract(
    pair: tuple[Path, Path],
    folder: Path,
    executor: ExecutorChoice = LocalExecutor,
    watch: Callable[[Event], None] = lambda event: None,
    **hardware: Any,
) -> list[Event]:
    with Session(*pair) as session:
        settings = ExtractionSettings(filename_prefix="lora", bias_diff=False)
        plan = session.plan(settings, HardwareSettings(device="cpu", **hardware), folder)
        models = session.finetuned, session.original
        events = []
        for event in run(plan, *models, CancelToken(), executor=executor):
            watch(event)
            events.append(event)
        return events


@pytest.mark.parametrize(("batch_size", "most"), [(1, 1), (2, 2), (8, 4)])
def test_as_many_layers_are_worked_on_at_once_as_the_batch_and_the_cores_allow(
    batch_size: int, most: int, pair: tuple[Path, Path], tmp_path: Path, cores: int
) -> None:
    watch = Watch(pause(0.03))
    extract(pair, tmp_path, watched_by(watch), batch_size=batch_size, prefetch_ahead=4)
    assert watch.most == most
    assert watch.threads == {cores // most}
    assert torch.get_num_threads() == cores


def test_the_conservative_mode_works_on_one_layer_at_a_time(
    pair: tuple[Path, Path], tmp_path: Path, cores: int
) -> None:
    watch = Watch(pause(0.005))
    extract(pair, tmp_path, watched_by(watch), batch_size=8, vram_usage_mode="conservative")
    assert (watch.most, watch.threads) == (1, {cores})


def test_the_largest_layer_that_was_read_is_begun_first_and_the_rows_keep_the_order_of_the_plan(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    events = extract(pair, tmp_path, watched_by(Watch(pause(0.05))), batch_size=1, prefetch_ahead=10)
    begun = [event.name for event in events if isinstance(event, LayerStarted)]
    assert begun[1:3] == ["diffusion_model.blocks.0.l1.weight", "diffusion_model.blocks.1.l0.weight"] or (
        begun.index("diffusion_model.blocks.1.l1.weight") < begun.index("diffusion_model.blocks.1.l0.weight")
    )
    rows = [event.index for event in events if isinstance(event, LayerDone)]
    assert rows == list(range(12))


@pytest.mark.parametrize(("ahead", "layers"), [(0, 1), (1, 4), (3, 8)])
def test_so_many_blocks_are_read_ahead_and_no_more(
    ahead: int, layers: int, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """While the first layer is at work the reader may come as far as the setting says."""
    seen: list[int] = []
    executors: list[LayerExecutor] = []

    def first_layer() -> None:
        if not seen:
            time.sleep(0.3)
            seen.append(executors[0].sample().read_bytes)

    def choose(inputs: RunInputs, context: RunContext) -> LayerExecutor:
        executors.append(watched_by(Watch(first_layer))(inputs, context))
        return executors[0]

    extract(pair, tmp_path, choose, batch_size=1, prefetch_ahead=ahead)
    sizes = [2 * 4 * 64 * (40 + 30 * (layer % 2)) for layer in range(12)]
    assert seen == [sum(sizes[:layers])]


@pytest.mark.parametrize("batch_size", [1, 2])
def test_an_error_in_one_layer_ends_the_run_and_begins_hardly_another(
    batch_size: int, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    started: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, LayerStarted):
            started.append(event.name)

    def third_fails() -> None:
        if watch.begun == 3:
            raise RuntimeError("broken")

    watch = Watch(third_fails)
    with pytest.raises(EngineError) as caught:
        extract(pair, tmp_path / "out", watched_by(watch), note, batch_size=batch_size)
    assert caught.value.code is ErrorCode.DECOMPOSITION_FAILED
    assert caught.value.tensor in (started[2:] if batch_size == 1 else started[1:])
    assert watch.begun <= 3 * batch_size
    assert not (tmp_path / "out").exists()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("extraction", "reader", "worker"))]


def test_a_processor_without_memory_ends_with_the_layer_that_found_none(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    def fails() -> None:
        raise MemoryError

    with pytest.raises(EngineError) as caught:
        extract(pair, tmp_path / "out", watched_by(Watch(fails)))
    assert caught.value.code is ErrorCode.OUT_OF_MEMORY
    assert caught.value.tensor


def test_a_memory_budget_is_never_exceeded_by_what_the_engine_holds(pair: tuple[Path, Path], tmp_path: Path) -> None:
    events = extract(pair, tmp_path, memory_budget="300MiB", batch_size=8, blocks_in_gpu=40)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert 0 < finished.result.peak_device_bytes <= 0.75 * 300 * 2**20


def test_without_a_budget_a_processor_keeps_no_blocks_and_with_one_it_does(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    for budget, kept in ((None, False), ("2GiB", True)):
        with Session(*pair) as session:
            hardware = HardwareSettings(device="cpu", memory_budget=budget, blocks_in_gpu=40)
            plan = session.plan(ExtractionSettings(filename_prefix="lora"), hardware, tmp_path)
            list(session.extract(plan, CancelToken()))
            assert (session.resident_bytes > 0) == kept
            held = session.resident_bytes
            assert session.free_memory() == held
            assert session.resident_bytes == 0


def test_verifying_uses_what_is_resident_and_comes_to_the_same_judgement(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hardware = HardwareSettings(device="cpu", memory_budget="2GiB", blocks_in_gpu=40)
    with Session(*pair) as session:
        plan = session.plan(ExtractionSettings(filename_prefix="lora"), hardware, tmp_path)
        *_, finished = session.extract(plan, CancelToken())
        assert isinstance(finished, Finished)
        lora = finished.result.outputs[0].path
        read: list[str] = []
        monkeypatch.setattr("engine.analysis.verify.read_encoded", lambda _, view: read.append(view.source.name))
        *_, resident = session.verify(lora, CancelToken())
    monkeypatch.undo()
    with Session(*pair) as session:
        *_, fresh = session.verify(lora, CancelToken())
    assert read == []
    assert resident.mean_energy_retained == pytest.approx(fresh.mean_energy_retained, abs=1e-7)  # type: ignore[union-attr]


def test_all_means_every_accelerator_and_the_processor_where_there_is_none() -> None:
    names = [device.name for device in choose_devices(HardwareSettings(device="all"))]
    assert names == ["cpu"] or all(name.startswith(("cuda", "xpu", "mps")) for name in names)


def test_a_device_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(EngineError) as caught:
        choose_devices(HardwareSettings(device="cuda:0,cuda:77"))
    assert caught.value.code is ErrorCode.DEVICE_UNAVAILABLE
    assert "cpu" in caught.value.data["available"]


def test_every_layer_is_started_before_it_is_done(pair: tuple[Path, Path], tmp_path: Path) -> None:
    started: set[int] = set()
    for event in extract(pair, tmp_path):
        if isinstance(event, LayerStarted):
            started.add(event.index)
        elif isinstance(event, LayerDone):
            assert event.index in started
