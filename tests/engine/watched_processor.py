"""The processor with a hook around the work on each layer: to count, delay, stop or fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import torch

from engine.devices.device import Device
from engine.extraction.executor import LocalExecutor
from engine.extraction.layer_executor import ExecutorChoice
from engine.settings import HardwareSettings

Around = Callable[[], AbstractContextManager[None]]


class WatchedProcessor(Device):
    """`around` is entered by the thread that works on a layer, once for each attempt, and left when it is done."""

    def __init__(self, hardware: HardwareSettings, around: Around) -> None:
        super().__init__("cpu", hardware)
        self._around = around

    @contextmanager
    def computing(self) -> Iterator[None]:
        with self._around(), super().computing():
            yield


def watched_by(around: Around) -> ExecutorChoice:
    """The local executor on a watched processor."""
    return partial(LocalExecutor, devices=lambda hardware: (WatchedProcessor(hardware, around),))


class Watch:
    """How many layers were worked on, how many at most at once, and with how many threads each."""

    def __init__(self, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None) -> None:
        self.begun = self.done = self.most = self._running = 0
        self.threads: set[int] = set()
        self._before, self._after, self._lock = before, after, threading.Lock()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            self.begun, self._running = self.begun + 1, self._running + 1
            self.most = max(self.most, self._running)
            self.threads.add(torch.get_num_threads())
        try:
            self._before()
            yield
            with self._lock:
                self.done += 1
            self._after()
        finally:
            with self._lock:
                self._running -= 1


def pause(seconds: float) -> Callable[[], None]:
    """Let the work on each layer take so much longer."""
    return partial(time.sleep, seconds)
