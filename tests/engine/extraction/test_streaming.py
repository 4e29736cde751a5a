"""The runtime on simulated devices: ceilings to the byte, failed allocations, other programs, several devices."""

from __future__ import annotations

import gc
import random
from pathlib import Path

import pytest
from simulated_device import Memory, largest_share
from workloads import Simulated, Workload, random_hardware, random_workload, simulate

from engine.decompose.method import LayerMethod
from engine.events import (
    BatchSizeChanged,
    BlocksResident,
    Event,
    LayerDone,
    LayerSkipped,
    LayerStarted,
    Offloaded,
    OutOfMemory,
)
from engine.extraction.block_cache import BlockCache
from engine.planning.costs import need
from engine.presets import HARDWARE_PROFILES
from engine.settings import HardwareSettings

ROOMY = 4_000_000_000
PLAIN = HardwareSettings(batch_size=1, prefetch_ahead=0, blocks_in_gpu=0)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces as small as the layers of these tests, or the room for one would hide what the layers need."""
    monkeypatch.setattr("engine.planning.costs.CHUNK_BYTES", 1 << 16)
    for module in ("delta", "workspace", "gram", "decomposition", "factors"):
        monkeypatch.setattr(f"engine.decompose.{module}.CHUNK_BYTES", 1 << 16)


def energies(run: Simulated) -> dict[str, float]:
    return {row.name: row.energy_retained for row in run.result.rows}


def assert_every_layer_once(run: Simulated) -> None:
    ended = [event.index for event in run.events if isinstance(event, (LayerDone, LayerSkipped))]
    assert ended == list(range(len(run.plan.layers)))


def happened(run: Simulated, kind: type[Event]) -> list[Event]:
    return [event for event in run.events if isinstance(event, kind)]


def test_failed_allocations_lose_no_layer_and_change_no_energy(tmp_path: Path, often: int) -> None:
    """`often` random patterns of failures over random models and hardware."""
    for number in range(often):
        workload = random_workload(tmp_path / str(number), number, blocks=3)
        expected = energies(simulate(workload, PLAIN, (Memory(ROOMY),), tmp_path / "out"))
        rng = random.Random(number)
        share = rng.choice([0.0005, 0.002, 0.01, 0.1, 1.0])
        memory = Memory(ROOMY, lambda allocation, size, rng=rng, share=share: rng.random() < share)  # type: ignore[misc]
        run = simulate(workload, random_hardware(number), (memory,), tmp_path / "out")
        assert_every_layer_once(run)
        assert energies(run) == pytest.approx(expected, abs=1e-6)
        assert bool(happened(run, OutOfMemory)) <= bool(memory.failures)


def test_a_device_on_which_nothing_succeeds_leaves_every_layer_to_the_processor(tmp_path: Path) -> None:
    workload = random_workload(tmp_path, 1, lora_type="standard")
    run = simulate(workload, HardwareSettings(), (Memory(ROOMY, lambda number, size: True),), tmp_path / "out")
    assert_every_layer_once(run)
    steps = [event.step for event in happened(run, OutOfMemory)]  # type: ignore[attr-defined]
    assert steps.count("cpu") > 0


@pytest.mark.parametrize("profile", HARDWARE_PROFILES)
def test_the_ceiling_is_never_exceeded_by_more_than_a_layer_that_does_not_fit_alone(
    profile: str, tmp_path: Path, often: int
) -> None:
    """Every byte that torch allocates on the device counts; capacities from one layer to all of them."""
    hardware = HARDWARE_PROFILES[profile]
    for number in range(max(1, often // 4)):
        workload = random_workload(tmp_path / str(number), 1000 + number)
        rng = random.Random(number)
        capacity = int(workload.largest * rng.choice([0.8, 1.1, 1.5, 2.5, 5.0, 20.0]) / largest_share(hardware))
        memory = Memory(capacity)
        run = simulate(workload, hardware, (memory,), tmp_path / "out")
        assert_every_layer_once(run)
        ceiling = int(capacity * largest_share(hardware))
        assert memory.peak <= max(ceiling, workload.largest)


def test_layers_are_worked_on_side_by_side_where_there_is_room_and_one_by_one_where_not(tmp_path: Path) -> None:
    workload = random_workload(tmp_path, 7, lora_type="standard", rank=4)
    hardware = HardwareSettings(vram_usage_mode="aggressive", batch_size=8, blocks_in_gpu=0)
    roomy, tight = Memory(ROOMY), Memory(int(workload.largest * 1.05 / 0.9))
    simulate(workload, hardware, (roomy,), tmp_path / "out")
    simulate(workload, hardware, (tight,), tmp_path / "out")
    assert roomy.peak > tight.peak
    assert tight.peak <= workload.largest * 1.05


def test_other_programs_that_fill_the_device_make_the_run_give_way_and_grow_back(tmp_path: Path) -> None:
    workload = random_workload(tmp_path, 3, blocks=60, lora_type="standard")
    memory = Memory(ROOMY)
    done = 0

    def crowd(event: Event) -> None:
        nonlocal done
        done += isinstance(event, LayerDone)
        memory.others = int(0.9 * ROOMY) if 30 < done < 90 else 0

    hardware = HardwareSettings(batch_size=8, blocks_in_gpu=40)
    run = simulate(workload, hardware, (memory,), tmp_path / "out", watch=crowd)
    assert_every_layer_once(run)
    expected = energies(simulate(workload, PLAIN, (Memory(ROOMY),), tmp_path / "out"))
    assert energies(run) == pytest.approx(expected, abs=1e-6)


def test_a_device_that_other_programs_fill_is_noticed_while_the_run_goes_on(tmp_path: Path) -> None:
    workload = random_workload(tmp_path, 3, blocks=20, lora_type="standard")
    memory = Memory(ROOMY)
    memory.others = int(0.95 * ROOMY)
    run = simulate(workload, HardwareSettings(batch_size=8, blocks_in_gpu=0), (memory,), tmp_path / "out")
    assert_every_layer_once(run)
    started = [number for number, event in enumerate(run.events) if isinstance(event, LayerStarted)]
    noticed = [
        number
        for number, event in enumerate(run.events)
        if isinstance(event, (BatchSizeChanged, Offloaded)) and event.cause == "threshold"
    ]
    assert noticed
    assert noticed[0] < started[-1]


def test_two_devices_share_the_layers_of_one_queue(tmp_path: Path) -> None:
    workload = random_workload(tmp_path, 4, blocks=12, lora_type="standard")
    expected = energies(simulate(workload, PLAIN, (Memory(ROOMY),), tmp_path / "out"))
    run = simulate(workload, HardwareSettings(batch_size=2), (Memory(ROOMY), Memory(ROOMY)), tmp_path / "out")
    assert_every_layer_once(run)
    assert all(device.copied_bytes > 0 for device in run.devices)
    assert sum(device.copied_bytes for device in run.devices) == run.result.copied_bytes == run.result.read_bytes
    assert energies(run) == pytest.approx(expected, abs=1e-6)


def test_a_second_run_on_two_devices_finds_each_block_where_it_is(tmp_path: Path) -> None:
    workload = random_workload(tmp_path, 4, blocks=12, lora_type="standard")
    residents, hardware = BlockCache(), HardwareSettings(batch_size=2, blocks_in_gpu=40)
    memories = (Memory(ROOMY), Memory(ROOMY))
    simulate(workload, hardware, memories, tmp_path / "out", residents=residents)
    again = simulate(workload, hardware, memories, tmp_path / "out", residents=residents)
    assert_every_layer_once(again)
    # Which device takes which layer is up to their threads: at random half would be read; busy cores gave 0.22.
    assert again.result.read_bytes < 0.35 * sum(path.stat().st_size for path in workload.pair)


def test_a_second_run_finds_resident_blocks_without_reading_or_copying_a_byte(tmp_path: Path) -> None:
    workload = random_workload(tmp_path, 5, lora_type="standard", rank=4)
    residents, memory = BlockCache(), Memory(ROOMY)
    hardware = HardwareSettings(blocks_in_gpu=40)
    first = simulate(workload, hardware, (memory,), tmp_path / "out", residents=residents)
    higher = Workload(workload.pair, workload.settings.model_copy(update={"rank": 9}), workload.needs)
    second = simulate(higher, hardware, (memory,), tmp_path / "out", residents=residents)
    assert first.result.read_bytes > 0
    assert (second.result.read_bytes, second.result.copied_bytes) == (0, 0)
    alone = simulate(higher, PLAIN, (Memory(ROOMY),), tmp_path / "out")
    assert energies(second) == pytest.approx(energies(alone), abs=1e-6)


def test_blocks_stay_in_the_smaller_of_their_two_forms(tmp_path: Path) -> None:
    residents = BlockCache()
    workload = random_workload(tmp_path, 6, lora_type="standard")
    simulate(workload, HardwareSettings(blocks_in_gpu=40), (Memory(ROOMY),), tmp_path / "out", residents=residents)
    source = [need(weight, LayerMethod.of(workload.settings), host=False).source for weight in _weights(workload)]
    delta = [4 * weight.numel for weight in _weights(workload)]
    assert residents.nbytes == sum(map(min, source, delta))


def test_only_as_many_blocks_stay_as_the_setting_says_the_middle_ones_first(tmp_path: Path) -> None:
    residents = BlockCache()
    workload = random_workload(tmp_path, 8, blocks=9, lora_type="standard")
    run = simulate(workload, HardwareSettings(blocks_in_gpu=4), (Memory(ROOMY),), tmp_path / "out", residents=residents)
    names = {name.rpartition(".")[2] for name in residents.sizes("sim:0")}
    assert names == {"3", "4", "5", "6"}  # the middle third, then the first of the output third
    (kept,) = happened(run, BlocksResident)
    assert (kept.kept, kept.offloaded) == (4, 5)  # type: ignore[attr-defined]


def test_resident_blocks_of_an_earlier_run_give_way_to_the_work_of_the_next(tmp_path: Path) -> None:
    workload = random_workload(tmp_path, 9, blocks=8, lora_type="standard", rank=4)
    residents = BlockCache()
    simulate(workload, HardwareSettings(blocks_in_gpu=40), (Memory(ROOMY),), tmp_path / "out", residents=residents)
    held = residents.nbytes
    memory = Memory(int((held + workload.largest) / 0.75))
    run = simulate(
        workload, HardwareSettings(blocks_in_gpu=40, batch_size=4), (memory,), tmp_path / "out", residents=residents
    )
    assert_every_layer_once(run)
    dropped = [event for event in happened(run, Offloaded) if event.what == "resident"]  # type: ignore[attr-defined]
    assert dropped
    assert residents.nbytes < held


def test_freeing_the_residents_leaves_the_device_as_it_was(tmp_path: Path) -> None:
    workload = random_workload(tmp_path, 10, lora_type="standard")
    residents, memory = BlockCache(), Memory(ROOMY)
    simulate(workload, HardwareSettings(blocks_in_gpu=40), (memory,), tmp_path / "out", residents=residents)
    assert memory.used == residents.nbytes > 0
    assert residents.clear() > 0
    gc.collect()
    assert memory.used == 0


def test_a_batch_halves_when_memory_fails_and_says_so(tmp_path: Path) -> None:
    workload = random_workload(tmp_path, 11, blocks=8, lora_type="standard")
    failing = Memory(ROOMY, lambda number, size: 40 <= number < 56)  # some of them may meet what was read ahead alone
    hardware = HardwareSettings(batch_size=4, blocks_in_gpu=0, prefetch_ahead=0)
    run = simulate(workload, hardware, (failing,), tmp_path / "out")
    assert_every_layer_once(run)
    changes = happened(run, BatchSizeChanged)
    assert changes
    assert (changes[0].before, changes[0].after) == (4, 2)  # type: ignore[attr-defined]


def _weights(workload: Workload) -> list:  # type: ignore[type-arg]
    from engine.session import Session

    with Session(*workload.pair) as session:
        return list(session.weights(workload.settings))


def test_random_hardware_never_changes_a_layers_energy(tmp_path: Path, often: int) -> None:
    workload = random_workload(tmp_path, 12, lora_type="standard", rank=8)
    expected = energies(simulate(workload, PLAIN, (Memory(ROOMY),), tmp_path / "out"))
    for number in range(max(3, often // 10)):
        capacity = int(workload.largest * random.Random(number).choice([1.2, 3.0, 10.0]))
        run = simulate(workload, random_hardware(number), (Memory(capacity),), tmp_path / "out")
        assert_every_layer_once(run)
        assert energies(run) == pytest.approx(expected, abs=1e-6)
