"""How many layers are worked on at once and on how many cores, when they are read, and how it ends."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import random_tensor, save_model

from engine.cancel import CancelToken
from engine.devices.device import choose_devices
from engine.errors import EngineError, ErrorCode
from engine.events import Event, Finished, LayerDone, LayerStarted
from engine.extraction.stages import LayerReader, LayerStages, Worked
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings


class Watched:
    """Stands between lane and work, and notes who works with how many neighbours and threads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> None:
        self.begun: list[str] = []
        self.running: set[str] = set()
        self.most = 0
        self.threads: set[int] = set()
        lock, real = threading.Lock(), LayerStages.do

        def watched(*arguments: Any, **named: Any) -> Worked:
            name = arguments[1].weight.name
            with lock:
                self.begun.append(name)
                self.running.add(name)
                self.most = max(self.most, len(self.running))
                self.threads.add(torch.get_num_threads())
            time.sleep(seconds)
            try:
                return real(*arguments, **named)
            finally:
                with lock:
                    self.running.remove(name)

        monkeypatch.setattr(LayerStages, "do", watched)


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


def extract(pair: tuple[Path, Path], folder: Path, **hardware: Any) -> list[Event]:
    with Session(*pair) as session:
        settings = ExtractionSettings(filename_prefix="lora", bias_diff=False)
        plan = session.plan(settings, HardwareSettings(device="cpu", **hardware), folder)
        return list(session.extract(plan, CancelToken()))


@pytest.mark.parametrize(("batch_size", "most"), [(1, 1), (2, 2), (8, 4)])
def test_as_many_layers_are_worked_on_at_once_as_the_batch_and_the_cores_allow(
    batch_size: int, most: int, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    watched = Watched(monkeypatch, 0.03)
    extract(pair, tmp_path, batch_size=batch_size, prefetch_ahead=4)
    assert watched.most == most
    assert watched.threads == {cores // most}
    assert torch.get_num_threads() == cores


def test_the_conservative_mode_works_on_one_layer_at_a_time(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    watched = Watched(monkeypatch, 0.005)
    extract(pair, tmp_path, batch_size=8, vram_usage_mode="conservative")
    assert (watched.most, watched.threads) == (1, {cores})


def test_the_largest_layer_at_hand_is_begun_first_and_the_rows_keep_the_order_of_the_plan(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch, 0.05)
    events = extract(pair, tmp_path, batch_size=1, prefetch_ahead=10)
    assert watched.begun[1:3] == ["diffusion_model.blocks.0.l1.weight", "diffusion_model.blocks.1.l0.weight"] or (
        watched.begun.index("diffusion_model.blocks.1.l1.weight")
        < watched.begun.index("diffusion_model.blocks.1.l0.weight")
    )
    rows = [event.index for event in events if isinstance(event, LayerDone)]
    assert rows == list(range(12))


@pytest.mark.parametrize(("ahead", "blocks"), [(0, 0), (1, 1), (3, 3)])
def test_so_many_blocks_are_read_ahead_and_no_more(
    ahead: int, blocks: int, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first layer is at work the reader may come as far as the setting says."""
    read: list[str] = []
    real_read, real_do = LayerReader.read, LayerStages.do
    seen: list[str] = []

    def noted(self: LayerReader, weight: Any, buffers: Any) -> Any:
        read.append(weight.block.name)
        return real_read(self, weight, buffers)

    def patient(*arguments: Any, **named: Any) -> Worked:
        if not seen:
            time.sleep(0.3)
            seen.extend(read)
        return real_do(*arguments, **named)

    monkeypatch.setattr(LayerReader, "read", noted)
    monkeypatch.setattr(LayerStages, "do", patient)
    extract(pair, tmp_path, batch_size=1, prefetch_ahead=ahead)
    assert len(set(seen)) == blocks + 1
    assert len(seen) == (2 * (blocks + 1) if ahead else 1)


def test_an_error_in_one_layer_ends_the_run_and_begins_hardly_another(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    real = LayerStages.do

    def failing(*arguments: Any, **named: Any) -> Worked:
        begun.append(arguments[1].weight.name)
        if len(begun) == 3:
            raise RuntimeError("broken")
        return real(*arguments, **named)

    monkeypatch.setattr(LayerStages, "do", failing)
    with pytest.raises(EngineError) as caught:
        extract(pair, tmp_path / "out", batch_size=2)
    assert caught.value.code is ErrorCode.DECOMPOSITION_FAILED
    assert caught.value.tensor == begun[2]
    assert len(begun) <= 5
    assert not (tmp_path / "out").exists()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("extraction", "reader", "worker"))]


def test_a_processor_without_memory_ends_with_the_layer_that_found_none(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: Any, **named: Any) -> Worked:
        raise MemoryError

    monkeypatch.setattr(LayerStages, "do", failing)
    with pytest.raises(EngineError) as caught:
        extract(pair, tmp_path / "out")
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
