"""One device of a run: reader threads read layers, worker threads compute, the governor limits the memory.

    disk -> host buffers -> device -> delta -> decomposition -> factors -> results

A layer that was evicted, or whose memory could not be allocated, goes back to the queue and is read again: it is never
lost and never done twice. The fields are guarded by the run's one lock (`RunState.changed`); reading, copying and
computing happen outside of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from engine.devices.device import Device, is_out_of_memory
from engine.devices.memory_rules import READERS
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import LayerStarted
from engine.extraction.scheduler import Scheduler
from engine.extraction.stages import LayerStages, MoreMemoryError, Prefetched, Worked, upload
from engine.extraction.state import RunState
from engine.planning.task import Task
from engine.steps import Step, ThreadWork, stoppable

T = TypeVar("T")


class DeviceLane:
    """One device at work for one run.

    Attributes:
        device: the device.
        scheduler: what it knows and decides.
    """

    def __init__(self, device: Device, state: RunState, *, workers: int) -> None:
        """Prepare; `start` starts the threads.

        Args:
            device: where.
            state: the run.
            workers: layers at work at once.
        """
        self.device, self._state = device, state
        self.scheduler = Scheduler(device, state, workers=workers)
        self._buffers = self.scheduler.buffers
        self._work = LayerStages(device, state.method, state.checkpoints, self._buffers)
        self._workers, self._threads = workers, 1
        self._at_work: dict[int, Prefetched] = {}
        self._under_way: dict[int, ThreadWork] = {}
        self._reader_threads: list[threading.Thread] = []
        self._worker_threads: list[threading.Thread] = []

    def start(self, threads: int) -> None:
        """Start; `threads` is the processor's cores for each layer at work."""
        self._threads = threads
        with self._state.changed:
            self.scheduler.begin()
        readers = min(READERS, self._workers)
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
        self.scheduler.prefetched.clear()
        self._buffers.clear()

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
                task = self._wait_for(self.scheduler.next_to_read)
                if task is None:
                    return
                resident = self.scheduler.take(task)
            arriving: list[Prefetched] = []
            trouble: BaseException | None = None
            try:
                arriving.append(self._read(task) if resident is None else Prefetched(resident))
            except BaseException as error:
                trouble = error.with_traceback(None)
            del resident  # a name that lives on here would keep the layer's memory from being free after its work
            if trouble is not None:
                self._failed_to_read(task, trouble)
                continue
            with self._state.changed:
                self.scheduler.arrived(task, arriving.pop())

    def _read(self, task: Task) -> Prefetched:
        way = self.scheduler.need_of(task.index).way
        if way != "whole":
            return self._state.reader.leave(task.weight, way)
        with stoppable(ThreadWork(lambda: self._state.cancelled, task.weight.name)):
            prefetched = self._state.reader.read(task.weight, self._buffers)
        stays = self.scheduler.governor.prefetches_to_host or task.index in self._state.on_cpu
        return prefetched if stays else self._uploaded(task, prefetched)

    def _uploaded(self, task: Task, prefetched: Prefetched) -> Prefetched:
        """The layer on the device; on the host where an allocation failed: the worker then uploads it again."""
        try:
            return upload(prefetched, self.device, self._buffers)
        except BaseException as error:
            if not is_out_of_memory(error):
                raise
        self.device.release()
        return prefetched

    def _failed_to_read(self, task: Task, trouble: BaseException) -> None:
        with self._state.changed:
            if isinstance(trouble, Cancelled):
                self.scheduler.never_arrived(task)
                self._state.queue.put_back(task.index)
                return
            if not is_out_of_memory(trouble):
                self._state.fail(trouble)
                return
            self.scheduler.never_arrived(task)
        self._recover(task, trouble)

    # Working

    def _work_loop(self) -> None:
        torch.set_num_threads(self._threads)
        while True:
            with self._state.changed:
                index = self._wait_for(self.scheduler.next_to_work)
                if index is None:
                    return
                self._at_work[index] = self.scheduler.begin_work(index)
            task = self._state.queue.tasks[index]
            if not task.measured:
                self._state.emit(LayerStarted(task.index, task.weight.name))
            self._attempt(task)

    def _attempt(self, task: Task) -> None:
        """Work on a staged layer and deliver it, or put it back to be tried again.

        Its memory is counted as long as a name holds it, so names are deleted before the books are changed.
        """
        worked: Worked | None = None
        trouble: BaseException | None = None
        on_cpu = task.index in self._state.on_cpu
        try:
            prefetched = self._at_work.pop(task.index)
            with self._stoppable(task):
                worked = self._work.do(task, prefetched, lambda extra: self._reserve(task.index, extra), on_cpu=on_cpu)
        except BaseException as error:
            trouble = error.with_traceback(None)  # which would keep the device's tensors alive
            trouble.__context__ = trouble.__cause__ = None
        del prefetched
        if worked is None:
            assert trouble is not None
            self._recover(task, trouble)
            return
        outcome, kept = worked.outcome, self.scheduler.residents.choose(task, worked)
        with self._state.changed:
            kept = kept if kept is not None and self.scheduler.governor.may_keep(kept.nbytes) else None
        self._work.release(worked, kept)
        del worked
        with self._state.changed:
            self.scheduler.governor.finish(task.index, outcome.nbytes if self.device.host else 0)
            if kept is not None:
                self.scheduler.residents.keep(task, kept)
            self._state.deliver(task.index, outcome)
            self.scheduler.note_waiting(at_work=bool(self.scheduler.governor.working))

    @contextmanager
    def _stoppable(self, task: Task) -> Iterator[None]:
        """Make the work on a layer stop soon after the run is cancelled, and record the step that cannot be."""
        work = ThreadWork(lambda: self._state.cancelled, task.weight.name)
        self._under_way[task.index] = work
        try:
            with stoppable(work):
                yield
        finally:
            del self._under_way[task.index]

    @property
    def steps(self) -> list[Step]:
        """What cannot be broken off now; any thread may look."""
        return [work.step for work in list(self._under_way.values()) if work.step is not None]

    def _reserve(self, index: int, extra: int) -> None:
        """Reserve memory beyond the plan for the solver; raises `MoreMemoryError` where there is none."""
        with self._state.changed:
            if not self.scheduler.grow(index, extra):
                raise MoreMemoryError

    def _recover(self, task: Task, trouble: BaseException) -> None:
        index, name = task.index, task.weight.name
        by_processor = self.device.host or index in self._state.on_cpu
        if is_out_of_memory(trouble):
            self.device.release()
            self._buffers.clear()
        with self._state.changed:
            if is_out_of_memory(trouble):
                step, eviction = self.scheduler.governor.out_of_memory(index)
                self.scheduler.events.out_of_memory(name, step)
                self.scheduler.apply(eviction, "out_of_memory")
                if step == "cpu" and by_processor:
                    self._state.fail(EngineError(ErrorCode.OUT_OF_MEMORY, tensor=name))
                elif step == "cpu":
                    self._state.on_cpu.add(index)
            elif isinstance(trouble, NotImplementedError) and not by_processor:  # the device lacks an operation
                self._state.on_cpu.add(index)
            elif not isinstance(trouble, (MoreMemoryError, Cancelled)):
                self._state.fail(_worded(trouble, name))
            self.scheduler.again(index)
        self.device.release()


def _worded(trouble: BaseException, name: str) -> BaseException:
    """An error of the solver that names its layer."""
    if isinstance(trouble, RuntimeError):
        return EngineError(ErrorCode.DECOMPOSITION_FAILED, tensor=name, reason=str(trouble))
    return trouble
