"""Short runs into a store, in this process and in another that is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engine.store import DecompositionStore, PairStore, Record

ROOT = Path(__file__).resolve().parents[2]
TITLES = ("tuned.safetensors", "base.safetensors")


def fingerprint(number: int) -> str:
    return f"{number:064x}"[::-1]


def record(name: str, value: float = 0.0, rank: int = 4) -> Record:
    return Record(name, {"rank": rank}, {"u": np.full((8, rank), value, np.float32)})


def run(pair: PairStore, *records: Record, finished: bool = True, **head: object) -> Path:
    """One run from begin to finish; returns its journal."""
    writer = pair.begin(dict(head))
    for one in records:
        writer.append(one)
    writer.sync()
    pair.finish(finished)
    return writer.path


def pair_of(store: DecompositionStore, number: int = 1) -> PairStore:
    return store.open(fingerprint(number), TITLES)


def used_at(pair: PairStore, when: int) -> None:
    os.utime(pair.folder / "pair.json", (when, when))


def foreign(path: Path) -> None:
    path.write_bytes(b"not a journal at all")


RUNNING = """
import sys, numpy as np
from pathlib import Path
from engine.store import DecompositionStore, Record
pair = DecompositionStore(Path(sys.argv[1])).open(sys.argv[2], ("tuned", "base"))
writer = pair.begin({})
writer.append(Record("live", {"rank": 4}, {"u": np.zeros((8, 4), np.float32)}))
writer.sync()
print(writer.path, flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process_running(store: DecompositionStore, number: int = 1) -> Iterator[Path]:
    """A process that has written one record and goes on; killed without a chance to tidy at the end."""
    command = [sys.executable, "-c", RUNNING, str(store.folder), fingerprint(number)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        try:
            yield Path(process.stdout.readline().rstrip("\n"))
        finally:
            process.kill()
