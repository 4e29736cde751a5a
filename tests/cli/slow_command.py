"""``python slow_command.py SECONDS ARGUMENTS...``: the program, but going over a layer's pieces takes so long each."""

from __future__ import annotations

import sys
import time

import torch

from app.cli.main import main
from engine.decompose import workspace
from engine.streamed_delta import UnreadPair

workspace.CHUNK_BYTES = 1 << 20  # so that a small layer has many pieces
seconds, real = float(sys.argv[1]), UnreadPair.piece


def slow(pair: UnreadPair, start: int, stop: int) -> torch.Tensor:
    """One piece, after a while; the first one of a slow layer is told."""
    if seconds and start == 0:
        print("in pieces", flush=True)
    time.sleep(seconds)
    return real(pair, start, stop)


UnreadPair.piece = slow  # type: ignore[method-assign]
sys.exit(main(sys.argv[2:]))
