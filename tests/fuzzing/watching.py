"""Opens a file as far as a run does before it computes, and notes everything that a model must never cause."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from app.text.errors import error_text
from app.text.notices import notice_text
from engine.checkpoints import Checkpoint, WeightSource, WeightView
from engine.checkpoints.encodings import cut_to, piece_of
from engine.checkpoints.folder import open_chosen
from engine.checkpoints.tensors import read_view
from engine.errors import EngineError, ErrorCode
from engine.formats.registry import is_lora
from engine.models.names import name_tensors
from engine.planning.inspection import inspect_model, open_model

from .targets import Target

MOST_SECONDS = 20.0  # of one case; nothing takes a tenth of it on an idle machine
MOST_BYTES = 300 << 20  # of the process's memory, more than before
MOST_PYTHON_BYTES = 16_000_000  # of memory that Python holds at any time of a case; the files have some kilobytes
MOST_VALUES = 4  # numbers of a weight for each byte that is stored of it
_READ = 1 << 20
_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.", "socket.", "ctypes.dlopen", "pickle.")

_PROCESS = psutil.Process()
_watched: list[Watch] = []
_hooked = False


@dataclass
class Watch:
    """What happens during a case.

    Attributes:
        folder: the only one that may be read.
        faults: what must not happen.
    """

    folder: str
    faults: list[str] = field(default_factory=list)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See `sys.addaudithook`."""
        if event.startswith(_FORBIDDEN):
            self.faults.append(f"{event} {arguments!r:.200}")
        if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if not path.startswith(self.folder) and not path.endswith((".py", ".pyc", ".so")):
                self.faults.append(f"open {path}")


@dataclass(frozen=True)
class Outcome:
    """One case: how it ended, and what must not have happened in it."""

    ended: str
    faults: tuple[str, ...]


def run(target: Target, cases: int, seed: int) -> tuple[Counter[str], list[str]]:
    """How many cases ended in which way, and all faults with the number that makes their case again."""
    ends: Counter[str] = Counter()
    faults: list[str] = []
    for number in range(seed, seed + cases):
        outcome = run_case(target, number)
        ends[outcome.ended] += 1
        faults += [f"{target.title}, case {number}: {fault}" for fault in outcome.faults]
    return ends, faults


def run_case(target: Target, number: int) -> Outcome:
    """Make one bad file and open it."""
    folder = Path(tempfile.mkdtemp(prefix="fuzzing-"))
    try:
        rng = random.Random(f"{target.title} {number}")
        path = target.write(folder, rng)
        return open_watched(path, folder)
    finally:
        shutil.rmtree(folder)


def open_watched(path: Path, folder: Path) -> Outcome:
    """Open a file that has its folder for itself, and read and decode all that is small in it."""
    with watching(folder) as watch:
        ended = _opened(path, watch)
    return Outcome(ended, tuple(watch.faults))


@contextmanager
def watching(folder: Path) -> Iterator[Watch]:
    """Note what happens, how long it takes, how much memory Python holds in it, and how much it leaves."""
    global _hooked
    if not _hooked:
        sys.addaudithook(lambda event, arguments: _watched[-1].note(event, arguments) if _watched else None)
        _hooked = True
    watch = Watch(str(folder))
    before, start = _PROCESS.memory_info().rss, time.monotonic()
    _watched.append(watch)
    tracemalloc.start()
    try:
        yield watch
    finally:
        _watched.pop()
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if held > MOST_PYTHON_BYTES:
        watch.faults.append(f"Python held {held >> 20} MiB")
    if (seconds := time.monotonic() - start) > MOST_SECONDS:
        watch.faults.append(f"took {seconds:.0f} s")
    if (grown := _PROCESS.memory_info().rss - before) > MOST_BYTES:
        watch.faults.append(f"took {grown >> 20} MiB")


def _opened(path: Path, watch: Watch) -> str:
    try:
        summary = inspect_model(path)
        for notice in summary.notices:
            notice_text(notice)
        with open_chosen(path, is_lora) as model:
            name_tensors(model)
            for source in model.weights.values():
                _read(model, source, watch)
        if summary.quantisation is not None:
            open_model(path).close()  # which refuses it
        return "opened"
    except EngineError as error:
        if error.code is ErrorCode.INTERNAL or not all(error_text(error)):
            watch.faults.append(f"no plain error: {error}")
        return error.code.value
    except MemoryError:
        watch.faults.append("MemoryError")
    except BaseException as error:
        watch.faults.append(f"{type(error).__name__}: {error!s:.200}")
        if isinstance(error, KeyboardInterrupt):
            raise
    return "fault"


def _read(model: Checkpoint, source: WeightSource, watch: Watch) -> None:
    """Decode a weight whole and in rows, and cut it to a smaller one."""
    stored = sum(part.nbytes for part in source.parts)
    if source.numel > MOST_VALUES * stored:
        watch.faults.append(f"{source.name}: {source.numel} numbers of {stored} bytes")
    if max(source.value_bytes, stored) > _READ:
        return
    view = WeightView.of(source, "other")
    shapes = [(read_view(model, view).shape, source.shape)]
    if source.shape:
        half = source.shape[0] // 2
        rows = piece_of(source, half, source.shape[0])
        read = read_view(model, WeightView("other", rows.shape, (rows,)))
        shapes.append((read.shape, (source.shape[0] - half, *source.shape[1:])))
    watch.faults += [f"{source.name}: {tuple(read)} instead of {shape}" for read, shape in shapes if read != shape]
    cut_to(view, tuple(max(1, size - 3) for size in source.shape))
