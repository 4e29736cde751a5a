"""``opening``: a model of 24 GB in 150 files, and a pair of such, against safetensors' own reader of the same headers.

The files are sparse: nothing but their headers is read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.table import Table
from safetensors import safe_open

from benchmarks.streaming.measuring import Workplace, fresh, watched
from benchmarks.streaming.tables import marked, mib, verdict
from engine.planning.inspection import inspect_model, open_model
from engine.session import Session

FILES, TENSORS, ROWS, COLUMNS = 150, 3600, 1086, 3072  # 24.0 GB in bfloat16
INDEX = "model.safetensors.index.json"
_SECONDS, _GROWTH = 1.0, 100e6


@dataclass(frozen=True)
class OpeningRow:
    """One way to open, in a new process.

    Attributes:
        way: what was done.
        seconds: the best of the rounds.
        growth: of the process's own memory, bytes.
        target: under a second and under 100 MB; empty where that was not promised.
    """

    way: str
    seconds: float
    growth: int
    target: str


def opening_rows(place: Workplace) -> list[OpeningRow]:
    """All ways in turn; of each the best of the rounds."""
    tuned, base = (_write(place.folder / name) for name in ("tuned-150", "base-150"))
    ways: dict[str, tuple[Callable[[], object], bool]] = {
        "one model, opened": (partial(_open, tuned / INDEX), True),
        "one model, inspected as a card shows it": (partial(inspect_model, tuned), True),
        "a pair, opened and matched": (partial(_pair, tuned, base), False),
        "safetensors' safe_open of every file, names and shapes": (partial(_reference, tuned), False),
    }
    rows = []
    for way, (work, promised) in ways.items():
        rounds = [fresh(_measured, work) for _ in range(place.repeats)]
        seconds, growth = min(rounds)
        target = verdict(seconds < _SECONDS and growth < _GROWTH) if promised else ""
        rows.append(OpeningRow(way, seconds, growth, target))
    return rows


def opening_table(rows: list[OpeningRow]) -> Table:
    """All ways."""
    title = f"opening: {TENSORS} tensors, 24.0 GB, in {FILES} files; under 1 s and 100 MB"
    table = Table("way", "s", "/ safe_open", "memory growth MiB", "target", title=title)
    reference = rows[-1].seconds
    for row in rows:
        ratio = f"{row.seconds / reference:.2f}"
        table.add_row(row.way, f"{row.seconds:.3f}", ratio, mib(row.growth), marked(row.target))
    return table


def _measured(work: Callable[[], object]) -> tuple[float, int]:
    with watched() as watch:
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
    return seconds, watch.growth


def _open(path: Path) -> int:
    with open_model(path) as model:
        return len(model.weights)


def _pair(tuned: Path, base: Path) -> int:
    with Session(tuned, base) as session:
        return len(session.pairing.weights)


def _reference(folder: Path) -> int:
    shapes: dict[str, list[int]] = {}
    with ExitStack() as opened:
        for file in sorted(folder.glob("*.safetensors")):
            shard = opened.enter_context(safe_open(file, "pt"))
            shapes |= {name: shard.get_slice(name).get_shape() for name in shard.keys()}  # noqa: SIM118
    return len(shapes)


def _write(folder: Path) -> Path:
    """Headers as a model of 150 blocks has them, and a hole in place of the numbers."""
    folder.mkdir(exist_ok=True)
    nbytes = ROWS * COLUMNS * 2
    index: dict[str, str] = {}
    for number in range(FILES):
        names = [f"model.layers.{number}.part{part}.weight" for part in range(TENSORS // FILES)]
        entries = {
            name: {"dtype": "BF16", "shape": [ROWS, COLUMNS], "data_offsets": [place * nbytes, (place + 1) * nbytes]}
            for place, name in enumerate(names)
        }
        header = json.dumps({"__metadata__": {"format": "pt"}} | entries).encode()
        path = folder / f"model-{number + 1:05}-of-{FILES:05}.safetensors"
        with path.open("wb") as stream:
            stream.write(len(header).to_bytes(8, "little") + header)
            stream.truncate(8 + len(header) + len(names) * nbytes)
        index |= dict.fromkeys(names, path.name)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder
