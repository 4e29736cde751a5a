"""Several tasks at once: every result in order, never more workers or bytes than allowed, nothing left behind."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.device import Device
from engine.settings import HardwareSettings
from engine.side_by_side import in_order


class Watched:
    """Work that notes how many tasks and bytes are being worked on."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.lock = threading.Lock()
        self.running: list[int] = []
        self.begun: list[int] = []
        self.most_tasks = self.most_bytes = 0
        self.threads: set[int] = set()

    def __call__(self, size: int) -> int:
        with self.lock:
            self.running.append(size)
            self.begun.append(size)
            self.most_tasks = max(self.most_tasks, len(self.running))
            self.most_bytes = max(self.most_bytes, sum(self.running))
            self.threads.add(torch.get_num_threads())
        time.sleep(self.seconds)
        with self.lock:
            self.running.remove(size)
        return -size


def run(work: Watched, sizes: list[int], *, workers: int, room: int = 10**9) -> list[int]:
    return list(in_order(work, ((size, size) for size in sizes), workers=workers, threads=1, room=room))


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 5), st.integers(1, 120))
@settings(max_examples=60, deadline=None)
def test_every_task_is_done_once_and_in_order_within_its_limits(sizes: list[int], workers: int, room: int) -> None:
    work = Watched()
    assert run(work, sizes, workers=workers, room=room) == [-size for size in sizes]
    assert work.most_tasks <= workers
    assert work.most_bytes <= max([room, *sizes])


def test_tasks_run_at_the_same_time() -> None:
    work = Watched(0.02)
    run(work, [1] * 8, workers=3)
    assert work.most_tasks == 3


def test_the_largest_task_at_hand_is_begun_first() -> None:
    started = threading.Event()
    begun: list[int] = []

    def work(size: int) -> int:
        begun.append(size)
        if size <= 2:  # both workers wait until the window is full
            started.wait(5)
        return size

    tasks = iter([(1, 1), (2, 2), (3, 3), (9, 9), (5, 5), (7, 7)])

    def until_last() -> object:
        for task in tasks:
            if task[0] == 7:
                threading.Timer(0.1, started.set).start()
            yield task

    list(in_order(work, until_last(), workers=2, threads=1, room=100))  # type: ignore[arg-type]
    assert begun[2:] == [9, 7, 5, 3]


def test_an_error_is_raised_in_its_place_and_begins_no_further_task() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise ValueError("broken")
        time.sleep(0.05)
        return number

    results = in_order(work, ((number, 1) for number in range(50)), workers=2, threads=1, room=100)
    assert next(results) == 0
    with pytest.raises(ValueError, match="broken"):
        next(results)
    assert len(begun) < 10


def test_closing_waits_for_what_has_begun_and_leaves_no_thread() -> None:
    work = Watched(0.05)
    with closing(in_order(work, ((1, 1) for _ in range(50)), workers=2, threads=1, room=100)) as results:
        next(results)
    assert work.running == []
    assert len(work.begun) < 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("layer")]


def test_each_worker_has_its_share_of_the_cores_and_the_caller_gets_them_back() -> None:
    before = torch.get_num_threads()
    work = Watched()
    run(work, [1] * 6, workers=2)
    assert work.threads == {1}
    assert torch.get_num_threads() == before


def test_a_run_works_on_no_more_layers_than_the_batch_and_the_cores_allow() -> None:
    cores = torch.get_num_threads()
    for batch_size in (1, 2, 8):
        hardware = HardwareSettings(device="cpu", batch_size=batch_size)
        workers, threads = Device(hardware).side_by_side(hardware)
        assert workers == min(batch_size, cores)
        assert workers * threads <= cores


def test_the_conservative_mode_works_on_one_layer_at_a_time() -> None:
    hardware = HardwareSettings(device="cpu", batch_size=8, vram_usage_mode="conservative")
    assert Device(hardware).side_by_side(hardware)[0] == 1
