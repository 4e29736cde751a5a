"""What a plan will take: checked against simulated devices that count to the byte, and against the system itself."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from model_files import matrices, save_model
from simulated_device import Memory
from workloads import random_hardware, random_workload, simulate

from engine.planning.costs import need
from engine.planning.estimates import (
    Amount,
    FreeSpace,
    ProblemCode,
    Speed,
    Workload,
    estimate,
    free_space_at,
    seconds_for,
    workload,
)
from engine.planning.memory_estimate import DeviceMemory
from engine.planning.plan import Plan
from engine.results import Reusable
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

PLENTY = FreeSpace(10**13, 10**13, 10**13, one_disk=False)
LARGE = DeviceMemory(host=False, total_bytes=10**12)
GIB = 1024**3


def plan_of(folder: Path, hardware: HardwareSettings | None = None, **chosen: object) -> Plan:
    tuned, base = matrices(6, seed=0, shape=(96, 64)), matrices(6, seed=50, shape=(96, 64))
    pair = save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)
    settings = ExtractionSettings(filename_prefix="lora", **chosen)  # type: ignore[arg-type]
    with Session(*pair) as session:
        return session.plan(settings, hardware or HardwareSettings(), folder / "out")


def codes(plan: Plan, device: DeviceMemory | None = LARGE, room: FreeSpace = PLENTY) -> list[ProblemCode]:
    return [problem.code for problem in estimate(plan, None, device, None, room).problems]


def largest_need(plan: Plan) -> int:
    return max(need(weight, plan.method, host=False).total for weight in plan.layers)


@pytest.mark.parametrize("number", range(12))
def test_a_run_on_a_simulated_device_holds_no_more_than_was_estimated(tmp_path: Path, number: int) -> None:
    workload, hardware = random_workload(tmp_path, number), random_hardware(number)
    capacity = int(workload.largest * random.Random(number).choice([2.5, 4, 8, 30]))
    run = simulate(workload, hardware, (Memory(capacity),), tmp_path / "out")
    device = DeviceMemory(host=False, total_bytes=capacity)
    told = estimate(run.plan, None, device, None, PLENTY)
    assert told.device is not None
    assert 0 < run.devices[0].simulated.peak <= told.device.needed <= capacity
    assert told.device.available == capacity
    assert told.device_limit == min(run.devices[0].ceiling_bytes, run.devices[0].threshold_bytes)


def test_the_time_is_the_work_over_the_speed_or_the_reading_where_that_is_slower(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    doing = workload(plan)
    sizes = [path.stat().st_size for path in (tmp_path / "tuned.safetensors", tmp_path / "base.safetensors")]
    assert doing.layers == 6
    assert doing.read_bytes == 2 * 6 * 96 * 64 * 4
    assert doing.read_bytes < sum(sizes)
    assert seconds_for(Workload(10, 500.0, 1000), Speed(100.0, 1000.0, 0.2)) == pytest.approx(5.0 + 2.0)
    assert seconds_for(Workload(10, 500.0, 1000), Speed(100.0, 50.0, 0.2)) == pytest.approx(20.0)
    told = estimate(plan, None, LARGE, Speed(sum(plan.costs) / 7.0, 1e12), PLENTY)
    assert told.seconds == pytest.approx(7.0)


def test_without_a_known_speed_or_device_nothing_is_promised(tmp_path: Path) -> None:
    told = estimate(plan_of(tmp_path), None, None, None, PLENTY)
    assert (told.seconds, told.device, told.host, told.device_limit) == (None, None, None, None)
    assert told.problems == ()


def test_layers_that_earlier_runs_left_take_little_time(tmp_path: Path) -> None:
    plan, speed = plan_of(tmp_path), Speed(1e6, 1e12)
    whole = estimate(plan, None, LARGE, speed, PLENTY)
    rest = estimate(plan, Reusable(4, 6, True, ""), LARGE, speed, PLENTY)
    nothing = estimate(plan, Reusable(6, 6, False, ""), LARGE, speed, PLENTY)
    assert whole.seconds is not None
    assert rest.seconds is not None
    assert nothing.seconds is not None
    assert rest.seconds == pytest.approx(whole.seconds * 2 / 6 + nothing.seconds * 4 / 6)
    assert 0.0 < nothing.seconds < whole.seconds
    assert rest.journal.needed * 3 == whole.journal.needed
    assert (nothing.workload.layers, nothing.workload.read_bytes) == (0, 0)
    assert nothing.device == Amount(0, LARGE.total_bytes)


def test_everything_fits_where_there_is_plenty(tmp_path: Path) -> None:
    assert codes(plan_of(tmp_path)) == []


def test_a_layer_that_is_larger_than_what_is_free_goes_to_the_processor(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    largest = largest_need(plan)
    tight = DeviceMemory(host=False, total_bytes=2 * largest, others_bytes=largest + 1)
    told = estimate(plan, None, tight, None, PLENTY)
    assert [problem.code for problem in told.problems] == [ProblemCode.LAYER_EXCEEDS_DEVICE]
    data = told.problems[0].data
    assert (data["needed"], data["available"]) == (largest, largest - 1)
    assert data["name"] in {weight.name for weight in plan.layers}
    assert told.problems[0].blocking
    easy = estimate(plan, None, LARGE, None, PLENTY)
    assert told.host is not None
    assert easy.host is not None
    assert told.host.needed > easy.host.needed, "the processor's work is in the host's memory"


def test_a_layer_above_the_runs_share_is_only_a_remark(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, HardwareSettings(vram_usage_mode="conservative"))
    device = DeviceMemory(host=False, total_bytes=int(largest_need(plan) * 1.5))
    told = estimate(plan, None, device, None, PLENTY)
    assert [(item.code, item.blocking) for item in told.problems] == [(ProblemCode.LAYER_EXCEEDS_SHARE, False)]
    assert told.device is not None
    assert told.device.needed == largest_need(plan), "it runs alone"


def test_a_budget_below_one_layer_is_a_remark(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, HardwareSettings(memory_budget=4096))  # type: ignore[arg-type]
    told = estimate(plan, None, DeviceMemory(host=False, total_bytes=4096), None, PLENTY)
    assert told.problems[0].code is ProblemCode.LAYER_EXCEEDS_BUDGET
    assert told.problems[0].data["budget"] == 4096
    assert not told.problems[0].blocking, "the run works on such a layer alone"


def test_too_little_main_memory_is_named(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert codes(plan, room=replace(PLENTY, host_bytes=1000)) == [ProblemCode.HOST_MEMORY_SHORT]
    on_processor = DeviceMemory(host=True, total_bytes=10 * GIB, cores=4)
    assert codes(plan, on_processor, replace(PLENTY, host_bytes=1000)) == [ProblemCode.HOST_MEMORY_SHORT]


@pytest.mark.parametrize(("lora_type", "blocking"), [("standard", True), ("adaptive_energy", False)])
def test_a_full_disk_hinders_only_where_the_size_is_certain(tmp_path: Path, lora_type: str, blocking: bool) -> None:
    plan = plan_of(tmp_path, lora_type=lora_type)
    told = estimate(plan, None, LARGE, None, replace(PLENTY, output_bytes=plan.output_bytes - 1))
    assert [(item.code, item.blocking) for item in told.problems] == [(ProblemCode.OUTPUT_DISK_SHORT, blocking)]


@pytest.mark.parametrize(("one_disk", "expected"), [(True, [ProblemCode.JOURNAL_DISK_SHORT]), (False, [])])
def test_the_journal_shares_the_disk_with_the_output_where_there_is_one(
    tmp_path: Path, one_disk: bool, expected: list[ProblemCode]
) -> None:
    plan = plan_of(tmp_path)
    free = plan.output_bytes + plan.journal_bytes - 1
    assert codes(plan, room=FreeSpace(10**13, free, free, one_disk)) == expected
    assert codes(plan, room=FreeSpace(10**13, free + 1, free + 1, one_disk)) == []


def test_a_disk_that_does_not_tell_is_taken_to_have_room(tmp_path: Path) -> None:
    assert codes(plan_of(tmp_path), room=FreeSpace(None, None, None, one_disk=True)) == []


def test_room_is_what_the_system_says_also_of_folders_that_are_not_there_yet(tmp_path: Path) -> None:
    room = free_space_at(tmp_path / "not" / "there", tmp_path)
    assert room.one_disk
    assert room.output_bytes == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)
    assert room.host_bytes == pytest.approx(psutil.virtual_memory().available, rel=0.3)
