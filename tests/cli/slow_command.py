"""``python slow_command.py SECONDS ARGUMENTS...``: the program, but going over a layer's pieces takes so long each."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import torch

from app.cli.main import main
from engine.decompose import workspace
from engine.extraction.executor import LocalExecutor
from engine.layer import LayerOutcome
from engine.streamed_delta import UnreadPair

workspace.CHUNK_BYTES = 1 << 20  # so that a small layer has many pieces
SAID_AT = 4  # pieces after which the small layers beside it are surely done
seconds, real = float(sys.argv[1]), UnreadPair.piece
asked = 0


def slow(pair: UnreadPair, start: int, stop: int) -> torch.Tensor:
    """One piece, after a while; it is printed when some are done."""
    global asked
    asked += 1
    if seconds and asked == SAID_AT:
        print("in pieces", flush=True)
    time.sleep(seconds)
    return real(pair, start, stop)


SMALL = 2  # layers that are worked on before the long one is begun
small_done = threading.Semaphore(0)
real_init, real_take = UnreadPair.__init__, LocalExecutor.take


def begun_last(pair: UnreadPair, *arguments: Any) -> None:
    """The long layer arrives when the small ones are done."""
    for _ in range(SMALL if seconds else 0):
        small_done.acquire(timeout=30)
    real_init(pair, *arguments)


def take(executor: LocalExecutor, timeout: float) -> list[tuple[int, LayerOutcome]]:
    """Take the finished layers, and count them."""
    taken = real_take(executor, timeout)
    for _ in taken:
        small_done.release()
    return taken


UnreadPair.piece = slow  # type: ignore[method-assign]
UnreadPair.__init__, LocalExecutor.take = begun_last, take  # type: ignore[method-assign]
sys.exit(main(sys.argv[2:]))
