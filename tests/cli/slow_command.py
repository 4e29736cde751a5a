"""``python slow_command.py SECONDS ARGUMENTS...``: the program, but going over a layer's pieces takes so long each."""

from __future__ import annotations

import sys
import time

import torch

from app.cli.main import main
from engine.decompose import workspace
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


UnreadPair.piece = slow  # type: ignore[method-assign]
sys.exit(main(sys.argv[2:]))
