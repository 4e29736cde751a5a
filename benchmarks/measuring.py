"""Seconds, memory and accuracy of one piece of work, each contender on a thread of its own."""

from __future__ import annotations

import math
import platform
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import torch
from safetensors import safe_open
from torch import Tensor

from engine.decompose.gram import gram_matrix
from engine.decompose.products import fast_dtype

T = TypeVar("T")
Factored = dict[str, tuple[Tensor, Tensor]]
_SHORT = 3.0  # seconds: shorter work is done again, and the best time counts
_REPEATS = 4


def apart(work: Callable[[], T]) -> T:
    """Run on a thread of its own: OpenMP keeps a pool per thread, and two living pools slow each other down."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()


def timed(work: Callable[[], T]) -> tuple[T, float, int]:
    """The result, the best seconds, and the largest growth of the resident memory in bytes."""
    best, most = math.inf, 0
    for _ in range(_REPEATS):
        with _peak() as peak:
            started = time.perf_counter()
            result = apart(work)
            best = min(best, time.perf_counter() - started)
        most = max(most, peak[0])
        if best > _SHORT:
            break
    return result, best, most


@contextmanager
def _peak() -> Iterator[list[int]]:
    """Largest growth of the resident memory while the block runs, in bytes; filled in at its end."""
    process = psutil.Process()
    start, result = process.memory_info().rss, [0]

    def look() -> None:
        result[0] = max(result[0], process.memory_info().rss - start)

    with sampling(look, 0.01):
        yield result


@contextmanager
def sampling(look: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call a function every so many seconds while the block runs, from a thread."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(seconds):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def deltas_of(tuned: Path, base: Path) -> dict[str, Tensor]:
    """Float32 deltas of a pair's matrices and convolutions, flattened to matrices."""
    with safe_open(tuned, "pt") as ours, safe_open(base, "pt") as theirs:
        pairs = ((name, ours.get_tensor(name).float(), theirs.get_tensor(name).float()) for name in list(theirs.keys()))
        return {name: (tuned - base).flatten(1) for name, tuned, base in pairs if base.dim() > 1}


def squared_tails(delta: Tensor) -> Tensor:
    """Squared optimal error at every rank, float64, from LAPACK's eigenvalues of the float64 Gram matrix."""
    wide = delta.T if delta.shape[0] > delta.shape[1] else delta
    squares = torch.linalg.eigvalsh(gram_matrix(wide)).clamp(min=0)
    return torch.cat([squares.cumsum(0).flip(0), torch.zeros(1, dtype=torch.float64)])


def excess(delta: Tensor, up: Tensor, down: Tensor, tails: Tensor, rank: int) -> float:
    """Error over the optimum, minus one."""
    lost = 0.0
    for start in range(0, delta.shape[0], 512):
        rows = slice(start, start + 512)
        lost += float((delta[rows].double() - up[rows].double() @ down.double()).square().sum())
    return math.sqrt(lost / float(tails[min(rank, len(tails) - 1)])) - 1.0


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "sketch": str(fast_dtype("cpu")),
        "cores": psutil.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
    }
