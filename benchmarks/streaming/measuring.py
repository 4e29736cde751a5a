"""What every part uses: generated pairs, a process of its own, the memory of this one, and one whole run."""

from __future__ import annotations

import importlib
import multiprocessing
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import psutil

from benchmarks.measuring import sampling
from benchmarks.streaming.data import Layout, Pair, transformer, width_for, write_pair
from engine.cancel import CancelToken
from engine.events import BatchSizeChanged, Finished, Notice, Offloaded, OutOfMemory
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

P = ParamSpec("P")
T = TypeVar("T")
MIB, GIB = 2**20, 2**30
SAMPLE_SECONDS = 0.02
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Workplace:
    """What the parts work with.

    Attributes:
        folder: for everything that is written.
        gib: size of each side of the largest pair.
        repeats: times are the best of so many runs.
        device: of the part that looks for an accelerator.
    """

    folder: Path
    gib: float
    repeats: int
    device: str
    _pairs: dict[Layout, Pair] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        """Where the extracted LoRAs go."""
        return self.folder / "output"

    def share(self, part: float) -> Layout:
        """A transformer of a part of the size; every part has the same layers, only more or fewer blocks of them."""
        return transformer(part * self.gib * GIB, width_for(self.gib * GIB / 4))

    @property
    def equal(self) -> Layout:
        """Equal layers that take a processor milliseconds each: enough of them that the ends of a run do not count."""
        return Layout("equal", 1024, 10 if self.gib < 1 else 30)

    def pair(self, layout: Layout) -> Pair:
        """A pair, written when it is first asked for."""
        if layout not in self._pairs:
            self._pairs[layout] = fresh(write_pair, layout, self.folder)
        return self._pairs[layout]


@dataclass(frozen=True)
class Ran:
    """One run.

    Attributes:
        result: what the run says of itself.
        events: how often it had to give way, by the name of the event.
        remarks: the codes of its notices.
    """

    result: ExtractionResult
    events: dict[str, int]
    remarks: tuple[str, ...]


@dataclass
class Watch:
    """Memory of this process that belongs to no file, in bytes: before the work, and the most during it."""

    baseline: int
    peak: int
    mapped: int = 0

    @property
    def growth(self) -> int:
        """The most it grew."""
        return self.peak - self.baseline


def fresh(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a module's function in a new process with nothing of this one's memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        return executor.submit(_worded, partial(work, *args, **kwargs)).result()


def _worded(work: Callable[[], T]) -> T:
    try:
        return work()
    except Exception as error:  # an EngineError cannot be unpickled
        raise RuntimeError("".join(traceback.format_exception(error))) from None


def run(session: Session, settings: ExtractionSettings, hardware: HardwareSettings, folder: Path) -> Ran:
    """One extraction; its files are removed."""
    events: Counter[str] = Counter()
    remarks: dict[str, None] = {}
    for event in session.extract(session.plan(settings, hardware, folder), CancelToken()):
        if isinstance(event, (Offloaded, OutOfMemory, BatchSizeChanged)):
            events[type(event).__name__] += 1
        if isinstance(event, Notice):
            remarks[event.code.value] = None
        if isinstance(event, Finished):
            for output in event.result.outputs:
                output.path.unlink()
                output.report.unlink()
            return Ran(event.result, dict(events), tuple(remarks))
    raise AssertionError("a run ends with its result or an error")


@contextmanager
def watched() -> Iterator[Watch]:
    """Sample this process's memory while the block runs, from a thread."""
    importlib.import_module("engine.extraction.extraction")  # which a session imports late
    watch, mapped = Watch(anonymous_bytes(), 0), _status_bytes("RssFile")

    def look() -> None:
        watch.peak = max(watch.peak, anonymous_bytes())
        watch.mapped = max(watch.mapped, _status_bytes("RssFile") - mapped)

    with sampling(look, SAMPLE_SECONDS):
        yield watch


def anonymous_bytes() -> int:
    """RssAnon + RssShmem of this process; where the system does not tell them, all that is resident."""
    if STATUS.exists():
        return _status_bytes("RssAnon") + _status_bytes("RssShmem")
    return int(psutil.Process().memory_info().rss)


def _status_bytes(name: str) -> int:
    if not STATUS.exists():
        return 0
    lines = [line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:")]
    return 1024 * int(lines[0].split()[1]) if lines else 0
