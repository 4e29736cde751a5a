"""``reading``: plain reads into lent buffers, into fresh memory, and mapped files, from the disk and from the cache.

Each way reads both files of a pair tensor by tensor and subtracts into one lent buffer, on one thread, in a process of
its own.
"""

from __future__ import annotations

import math
import mmap
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

from benchmarks.streaming.data import Pair
from benchmarks.streaming.measuring import Workplace, fresh, watched
from benchmarks.streaming.tables import mib
from engine.checkpoints.containers.safetensors import parse_header
from engine.checkpoints.tensors import read_encoded, read_view
from engine.decompose.delta import subtract
from engine.devices.buffer_pool import BufferPool
from engine.models.pairing import PairedWeight
from engine.session import Session
from engine.settings import ExtractionSettings

LENT, NEW, MAPPED = "read into lent buffers", "read into new memory", "mapped"
COLD, WARM = "yes", "no"
_IDLE = 2**30
_FROM_DISK = 0.9  # of the bytes, for a read to count as cold
_COUNTERS = Path("/proc/self/io")

Sides = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class ReadingRow:
    """One way to read, both files: seconds, bytes per second, and how the process's memory grew.

    Attributes:
        cold: ``yes``, ``no`` for the cached files, or why a cold run was none.
        disk_bytes: what came from the disk; None where the system does not tell.
        growth: of memory that belongs to no file, the delta's buffer included; the most of its process.
        mapped: growth of what is mapped from files.
    """

    way: str
    cold: str
    seconds: float
    bytes_per_second: float
    disk_bytes: int | None
    growth: int = 0
    mapped: int = 0


def reading_rows(place: Workplace) -> list[ReadingRow]:
    """All ways in turn, each cold and then warm; of every way the best of the rounds."""
    pair = place.pair(place.share(0.25))
    best: dict[tuple[str, bool], ReadingRow] = {}
    for _ in range(place.repeats):
        for way in WAYS:
            for row in fresh(_measured, way, pair):
                key = way, row.cold == WARM
                best[key] = min(best.get(key, row), row, key=lambda one: (one.cold not in (COLD, WARM), one.seconds))
    return list(best.values())


def _measured(way: str, pair: Pair) -> list[ReadingRow]:
    with Session(*pair) as session:
        weights = session.weights(ExtractionSettings())
        buffers = BufferPool(_IDLE)
        read = partial(WAYS[way], session, weights, buffers)
        subtract(torch.ones(64), torch.zeros(64))  # first use of the library
        with watched() as watch:
            cold = _timed(way, read, buffers, pair, cold=True)
            warm = [_timed(way, read, buffers, pair, cold=False) for _ in range(2)]
    rows = cold, min(warm, key=lambda row: row.seconds)
    return [replace(row, growth=watch.growth, mapped=watch.mapped) for row in rows]


def _timed(way: str, read: Callable[[], Sides], buffers: BufferPool, pair: Pair, *, cold: bool) -> ReadingRow:
    dropped = cold and _drop_cached(pair)
    before, total = _disk_bytes(), 0
    started = time.perf_counter()
    for tuned, base in read():
        memory = buffers.acquire(4 * base.numel())
        subtract(tuned, base, memory)
        buffers.release(memory)
        total += sum(side.numel() * side.element_size() for side in (tuned, base))
    seconds = time.perf_counter() - started
    after = _disk_bytes()
    from_disk = None if before is None or after is None else after - before
    said = _how_cold(dropped, from_disk, total) if cold else WARM
    return ReadingRow(way, said, seconds, total / seconds, from_disk)


def _how_cold(dropped: bool, from_disk: int | None, total: int) -> str:
    if not dropped:
        return "this system cannot drop cached files"
    if from_disk is None:
        return "asked for, not confirmed"
    return COLD if from_disk >= _FROM_DISK * total else f"only {from_disk / total:.0%} came from the disk"


def _drop_cached(pair: Pair) -> bool:
    """Ask the system to forget what it has cached of both files."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in pair:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())  # what is not written yet cannot be dropped
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def _disk_bytes() -> int | None:
    """Bytes that this process has had read from the disk."""
    try:
        lines = dict(line.split(": ") for line in _COUNTERS.read_text().splitlines())
        return int(lines["read_bytes"])
    except (OSError, KeyError):
        return None


def _lent(session: Session, weights: tuple[PairedWeight, ...], buffers: BufferPool) -> Sides:
    for weight in weights:
        lent = [buffers.acquire(view.buffer_bytes) for view in (weight.finetuned, weight.original)]
        yield (
            read_encoded(session.finetuned, weight.finetuned, lent[0]).decoded(),
            read_encoded(session.original, weight.original, lent[1]).decoded(),
        )
        for buffer in lent:
            buffers.release(buffer)


def _new(session: Session, weights: tuple[PairedWeight, ...], buffers: BufferPool) -> Sides:
    for weight in weights:
        yield read_view(session.finetuned, weight.finetuned), read_view(session.original, weight.original)


def _mapped(session: Session, weights: tuple[PairedWeight, ...], buffers: BufferPool) -> Sides:
    with ExitStack() as stack:
        tensors = [_tensors_of(checkpoint.path, stack) for checkpoint in (session.finetuned, session.original)]
        for weight in weights:
            names = weight.finetuned.source.name, weight.original.source.name
            yield tensors[0](names[0]), tensors[1](names[1])


def _tensors_of(path: Path, stack: ExitStack) -> Callable[[str], Tensor]:
    """Tensors of a mapped bf16 file by name. The map goes when its last tensor goes."""
    stream = stack.enter_context(path.open("rb"))
    length = int.from_bytes(stream.read(8), "little")
    start = 8 + length
    _, stored = parse_header(path, stream.read(length), path.stat().st_size - start)
    whole = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)  # writable, as torch wants it; nothing is written

    def tensor(name: str) -> Tensor:
        shape = stored[name].shape
        flat = torch.frombuffer(whole, dtype=torch.bfloat16, count=math.prod(shape), offset=stored[name].offset)
        return flat.view(shape)

    return tensor


WAYS: dict[str, Callable[[Session, tuple[PairedWeight, ...], BufferPool], Sides]] = {
    LENT: _lent,
    NEW: _new,
    MAPPED: _mapped,
}


def reading_table(rows: list[ReadingRow]) -> Table:
    """All ways."""
    table = Table(
        *("way", "cold", "s", "GB/s", "/ lent", "from the disk MiB", "memory growth MiB", "mapped MiB"),
        title="reading: both files, tensor by tensor, subtracted to float32 in one lent buffer, one thread",
    )
    first = {row.cold == WARM: row.bytes_per_second for row in rows if row.way == LENT}
    for row in rows:
        speed = f"{row.bytes_per_second / 1e9:.2f}", f"{row.bytes_per_second / first[row.cold == WARM]:.2f}"
        disk = "not known" if row.disk_bytes is None else mib(row.disk_bytes)
        table.add_row(row.way, row.cold, f"{row.seconds:.3f}", *speed, disk, mib(row.growth), mib(row.mapped))
    return table
