"""The conveyor on one device: readers bring layers, workers take them, and the governor says when.

    disk -> host buffers -> device -> delta -> decomposition -> factors -> results

A layer that had to give way, or whose memory could not be had, goes back to the queue and is read again: it is never
lost and never done twice. The fields are guarded by the run's one lock (`RunState.changed`); reading, copying and
computing happen outside of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch

from engine.costs import measuring_need, need
from engine.device import Device, is_out_of_memory
from engine.errors import EngineError, ErrorCode
from engine.events import LayerStarted
from engine.governor import Governor, Need, Relief
from engine.host_buffers import HostBuffers
from engine.lane_news import LaneNews
from engine.lane_residents import LaneResidents
from engine.lane_work import LaneWork, MoreMemoryError, Worked
from engine.layer_reader import Staged, upload
from engine.run_queue import Task
from engine.run_state import RunState

T = TypeVar("T")
_IDLE_BUFFERS = 16  # of the ceiling, the part that may lie in unused host buffers


class Lane:
    """One device at work for one run.

    Attributes:
        device: the device.
        governor: its books.
        waited_seconds: how long no layer was at work although some were left.
    """

    def __init__(self, device: Device, state: RunState, *, workers: int, threads: int) -> None:
        """Prepare; `start` starts the threads.

        Args:
            device: where.
            state: the run.
            workers: layers at work at once.
            threads: the processor's cores for each of them.
        """
        hardware, tasks = state.hardware, state.queue.tasks.values()
        self.device, self._state = device, state
        idle = device.ceiling_bytes // _IDLE_BUFFERS
        self._buffers = HostBuffers(idle, pinned=device.torch_device.type == "cuda")
        self._needs = {task.index: self._need(task) for task in tasks}
        conservative = hardware.vram_usage_mode == "conservative"
        self.governor = Governor(
            ceiling=device.ceiling_bytes - (idle if device.host else 0),
            threshold=device.threshold_bytes,
            batch_size=workers,
            needs=self._needs,
            most_staged=hardware.batch_size if conservative else None,
            stages_on_host=conservative and not device.host,
        )
        self._work = LaneWork(device, state.settings, state.files, self._buffers)
        self._news = LaneNews(device, self.governor, state)
        self._residents = LaneResidents(device, self.governor, state.residents, self._news, state.weights, hardware)
        self._ahead, self._workers, self._threads = hardware.prefetch_ahead, workers, threads
        self._reading: set[int] = set()
        self._staged: dict[int, Staged] = {}
        self._at_work: dict[int, Staged] = {}
        self._unwanted: set[int] = set()  # being read, but to be dropped when they arrive
        self._granted: dict[int, int] = {}
        self.waited_seconds = 0.0
        self._waiting_since: float | None = None
        self._reader_threads: list[threading.Thread] = []
        self._worker_threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        with self._state.changed:
            self._residents.enter()
            self._apply(self.governor.trim(), "ceiling")
            self._waiting_since = time.perf_counter()
        readers = min(2, self._workers)  # two, so that one reads while the other copies, or waits for the drive
        self._reader_threads = [self._thread("reader", self._read_loop) for _ in range(readers)]
        self._worker_threads = [self._thread("worker", self._work_loop) for _ in range(self._workers)]
        for thread in (*self._reader_threads, *self._worker_threads):
            thread.start()

    def join(self, stalled_seconds: float) -> None:
        """Wait for the threads to end; a reader whose drive does not answer is left to it."""
        for thread in self._worker_threads:
            thread.join()
        until = time.monotonic() + stalled_seconds
        for thread in self._reader_threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._staged.clear()
        self._buffers.clear()

    def observe(self) -> None:
        """Look at the device's memory and give way where it is too much. Called with the lock held."""
        memory = self.device.memory(self.governor.held)
        relief = self.governor.observe(memory.run, memory.device_used)
        if relief is not None:
            self._apply(relief, "threshold" if relief.batch_after <= relief.batch_before else "recovered")
        self._state.changed.notify_all()  # the limit may have risen

    def expect(self, task: Task) -> None:
        """One more task will be in the queue. Called with the lock held."""
        self._needs[task.index] = self._need(task)

    def _need(self, task: Task) -> Need:
        needed = measuring_need if task.measured else need
        return needed(task.weight, self._state.settings, host=self.device.host)

    @property
    def kept_blocks(self) -> int:
        """Blocks that are resident now."""
        return self._residents.kept

    @property
    def blocks(self) -> int:
        """All blocks of the run."""
        return self._residents.all

    def _thread(self, kind: str, loop: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                loop()
            except BaseException as error:
                with self._state.changed:
                    self._state.fail(error)

        return threading.Thread(target=guarded, name=f"{kind} {self.device.name}", daemon=True)

    def _wait_for(self, find: Callable[[], T | None]) -> T | None:
        """Sleep until there is something to do; None where the run is over. The lock is held."""
        while not self._state.over:
            found = find()
            if found is not None:
                return found
            self._state.changed.wait()
        return None

    # Reading

    def _read_loop(self) -> None:
        while True:
            with self._state.changed:
                task = self._wait_for(self._next_to_read)
                if task is None:
                    return
                self._state.queue.take(task.index)
                resident = self._residents.take(task)
                if task.index in self._state.on_cpu:
                    resident = None  # the processor needs it on the host
                self.governor.stage(task.index, None if resident is None else resident.nbytes)
                self._reading.add(task.index)
            arriving: list[Staged] = []
            trouble: BaseException | None = None
            try:
                arriving.append(self._read(task) if resident is None else Staged(resident))
            except BaseException as error:
                trouble = error.with_traceback(None)
            del resident  # a name that lives on here would keep the layer's memory from being free after its work
            if trouble is not None:
                self._failed_to_read(task, trouble)
                continue
            with self._state.changed:
                self._arrived(task, arriving.pop())

    def _next_to_read(self) -> Task | None:
        queue, governor = self._state.queue, self.governor
        if not queue.open:
            return None
        index = self._preferred(queue.open)
        wanted = self._workers - len(governor.working) - len(governor.staged)
        forced = not governor.working and not governor.staged
        if not forced and wanted <= 0 and not (self._ahead and queue.within(index, self._ahead)):
            return None
        return queue.tasks[index] if governor.may_stage(index, forced=forced) else None

    def _preferred(self, open_tasks: Iterable[int]) -> int:
        """The first open task; where there are several devices the first one that is not resident on another."""
        first: int | None = None
        for index in open_tasks:
            first = index if first is None else first
            if not self._residents.elsewhere(self._state.queue.tasks[index]):
                return index
        assert first is not None
        return first

    def _read(self, task: Task) -> Staged:
        staged = self._state.reader.read(task.weight, self._buffers)
        stays = self.governor.stages_on_host or task.index in self._state.on_cpu
        return staged if stays else self._uploaded(task, staged)

    def _uploaded(self, task: Task, staged: Staged) -> Staged:
        """On the device; where there is no room for it, on the host, and the worker meets the same again."""
        try:
            return upload(staged, self.device, self._buffers)
        except BaseException as error:
            if not is_out_of_memory(error):
                raise
        self.device.release()
        return staged

    def _failed_to_read(self, task: Task, trouble: BaseException) -> None:
        with self._state.changed:
            if not is_out_of_memory(trouble):
                self._state.fail(trouble)
                return
            self._reading.discard(task.index)
            self._unwanted.discard(task.index)
            self.governor.unstage(task.index)
        self._recover(task, trouble)

    def _arrived(self, task: Task, staged: Staged) -> None:
        self._reading.discard(task.index)
        if task.index in self._unwanted:
            self._unwanted.discard(task.index)
            self._put_back(task.index, staged)
        else:
            self._staged[task.index] = staged
        self._state.changed.notify_all()

    def _put_back(self, index: int, staged: Staged) -> None:
        for buffer in staged.weights.buffers:
            self._buffers.give_back(buffer)
        self.governor.unstage(index)
        self._state.queue.put_back(index)

    # Working

    def _work_loop(self) -> None:
        torch.set_num_threads(self._threads)
        while True:
            with self._state.changed:
                index = self._wait_for(self._next_to_work)
                if index is None:
                    return
                self.governor.begin(index)
                self._at_work[index] = self._staged.pop(index)
                self._granted[index] = self.governor.granted(index)
                self._note_waiting(at_work=True)
                self._state.changed.notify_all()  # there may be room to read the next one
            task = self._state.queue.tasks[index]
            if not task.measured:
                self._state.tell(LayerStarted(task.index, task.weight.name))
            self._attempt(task)

    def _next_to_work(self) -> int | None:
        if not self._staged:
            return None
        waiting = sorted(self._staged)
        begins = [index for index in waiting if self._state.may_begin(index)]
        for index in sorted(begins, key=lambda index: -self.governor.work_bytes(index)):  # the largest begins first
            if self.governor.may_begin(index, self._ahead_of(index)):
                return index
        if waiting[0] not in begins and self._state.queue.oldest not in self._state.queue.open:
            return None  # the first one is under way, and all wait for it
        relief = self.governor.room_for(waiting[0])
        if relief is None:
            return None
        self._apply(relief, "ceiling")
        return None if self._unwanted else waiting[0]

    def _ahead_of(self, index: int) -> int:
        """Bytes of the largest layer of this device before another one that has not begun."""
        earlier = [self.governor.work_bytes(other) for other in self.governor.staged if other < index]
        return max(earlier, default=0)

    def _attempt(self, task: Task) -> None:
        """Work on a staged layer, deliver it, or see to it that it is tried again.

        Its memory is counted as long as a name holds it, so names are deleted before the books are changed.
        """
        worked: Worked | None = None
        trouble: BaseException | None = None
        on_cpu = task.index in self._state.on_cpu
        try:
            staged = self._at_work.pop(task.index)
            worked = self._work.do(task, staged, lambda extra: self._reserve(task.index, extra), on_cpu=on_cpu)
        except BaseException as error:
            trouble = error.with_traceback(None)  # which would keep the device's tensors alive
            trouble.__context__ = trouble.__cause__ = None
        del staged
        if worked is None:
            assert trouble is not None
            self._recover(task, trouble)
            return
        outcome, kept = worked.outcome, self._residents.choose(task, worked)
        with self._state.changed:
            kept = kept if kept is not None and self.governor.may_keep(kept.nbytes) else None
        self._work.give_back(worked, kept)
        del worked
        with self._state.changed:
            self.governor.finish(task.index, outcome.nbytes if self.device.host else 0)
            if kept is not None:
                self._residents.keep(task, kept)
            self._state.deliver(task.index, outcome)
            self._note_waiting(at_work=bool(self.governor.working))

    def _reserve(self, index: int, extra: int) -> None:
        """The solver needs more than was planned."""
        with self._state.changed:
            self._granted[index] -= extra
            missing = -self._granted[index]
            if missing > 0 and not self.governor.may_grow(index, missing):
                raise MoreMemoryError
            self._granted[index] = max(0, self._granted[index])

    def _recover(self, task: Task, trouble: BaseException) -> None:
        index, name = task.index, task.weight.name
        unsupported = isinstance(trouble, NotImplementedError) and index not in self._state.on_cpu
        unsupported = unsupported and not self.device.host
        if is_out_of_memory(trouble):
            self.device.release()
            self._buffers.clear()
        with self._state.changed:
            if is_out_of_memory(trouble):
                step, relief = self.governor.out_of_memory(index)
                self._news.out_of_memory(name, step)
                self._apply(relief, "out_of_memory")
                if step == "cpu" and (self.device.host or index in self._state.on_cpu):
                    self._state.fail(EngineError(ErrorCode.OUT_OF_MEMORY, tensor=name))
                elif step == "cpu":
                    self._state.on_cpu.add(index)
            elif unsupported:
                self._state.on_cpu.add(index)
            elif not isinstance(trouble, MoreMemoryError):
                self._state.fail(_worded(trouble, name))
            self.governor.abandon(index)
            self._note_waiting(at_work=bool(self.governor.working))
            self._state.queue.put_back(index)
            self._state.changed.notify_all()
        self.device.release()

    def _note_waiting(self, *, at_work: bool) -> None:
        now = time.perf_counter()
        if at_work and self._waiting_since is not None:
            self.waited_seconds += now - self._waiting_since
            self._waiting_since = None
        elif not at_work and self._waiting_since is None and not self._state.queue.empty:
            self._waiting_since = now

    def _apply(self, relief: Relief, cause: str) -> None:
        """Drop what has to give way, and say so."""
        self._residents.drop(relief.blocks, cause)
        staged = [index for index in relief.staged if index in self._staged]
        arriving = [index for index in relief.staged if index in self._reading - self._unwanted]
        self._unwanted.update(arriving)
        if staged or arriving:
            names = dict.fromkeys(self._name_of(index) for index in (*staged, *arriving))
            freed = sum(self.governor.staged[index] for index in (*staged, *arriving))
            self._news.offloaded("staged", cause, tuple(names), freed)
        for index in staged:
            self._put_back(index, self._staged.pop(index))
        if relief.batch_after != relief.batch_before:
            self._news.batch_changed(relief, cause)
        if relief.blocks or staged:
            self.device.release()

    def _name_of(self, index: int) -> str:
        weight = self._state.queue.tasks[index].weight
        return weight.block.name or weight.name


def _worded(trouble: BaseException, name: str) -> BaseException:
    """An error of the solver that names its layer."""
    if isinstance(trouble, RuntimeError):
        return EngineError(ErrorCode.DECOMPOSITION_FAILED, tensor=name, reason=str(trouble))
    return trouble
