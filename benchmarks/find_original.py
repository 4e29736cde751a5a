"""``python -m benchmarks.find_original``: how long a search among many models takes, first and again.

The candidates have the names and shapes of FLUX.1 with a quarter of its width, in bf16, and are sparse files: only the
rows that are sampled hold numbers, so that a hundred of them fit on any disk. The times are of whole processes, started
anew, and of the search in them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import machine
from engine.analysis.sample_choice import LEAST_VALUES, VALUES, Rows

WIDTH, PREFIX = 768, "model.diffusion_model."
_DOUBLE = {
    **{f"{side}_attn.qkv.weight": (3, 1) for side in ("img", "txt")},
    **{f"{side}_attn.proj.weight": (1, 1) for side in ("img", "txt")},
    **{f"{side}_mlp.0.weight": (4, 1) for side in ("img", "txt")},
    **{f"{side}_mlp.2.weight": (1, 4) for side in ("img", "txt")},
    **{f"{side}_mod.lin.weight": (6, 1) for side in ("img", "txt")},
}
_SINGLE = {"linear1.weight": (7, 1), "linear2.weight": (1, 5), "modulation.lin.weight": (3, 1)}


def shapes() -> dict[str, tuple[int, int]]:
    """The matrices of a model, by name."""
    blocks = [(f"double_blocks.{block}.", _DOUBLE) for block in range(19)]
    blocks += [(f"single_blocks.{block}.", _SINGLE) for block in range(38)]
    found = {start + name: sizes for start, names in blocks for name, sizes in names.items()}
    return {name: (WIDTH * rows, WIDTH * columns) for name, (rows, columns) in found.items()}


def write_candidate(path: Path, seed: int, change: float) -> None:
    """A sparse model: `change` is how far its numbers are from those of seed 0, in shares of their size."""
    sizes = shapes()
    header, end, offsets = {}, 0, {}
    for name, (rows, columns) in sizes.items():
        offsets[name], start = end, end
        end += 2 * rows * columns
        header[PREFIX + name] = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    count = max(LEAST_VALUES, VALUES // len(sizes))
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for at, (name, (rows, columns)) in enumerate(sizes.items()):
            run = Rows.of(f"diffusion_model.{name}", (rows, columns), count)
            size = (run.stop - run.start) * columns
            numbers = 0.02 * torch.randn(size, generator=torch.Generator().manual_seed(at))
            numbers += 0.02 * change * torch.randn(size, generator=torch.Generator().manual_seed(1000 * seed + at))
            stream.seek(8 + len(text) + offsets[name] + 2 * run.start * columns)
            stream.write(numbers.to(torch.bfloat16).view(torch.uint8).numpy().tobytes())
        stream.truncate(8 + len(text) + end)


def searches(model: Path, folder: Path, home: Path, times: int) -> Iterator[tuple[float, float, int]]:
    """Seconds of the process and of the search in it, and how many candidates the index knew."""
    code = (
        "import sys, time, json, pathlib; started = time.perf_counter();"
        "from app.storage.decompositions import open_samples;"
        "from engine.analysis.original_search import find_original; from engine.cancel import CancelToken;"
        "begun = time.perf_counter();"
        "model, folder = map(pathlib.Path, sys.argv[1:]);"
        "*_, found = find_original(model, [folder], open_samples(), CancelToken());"
        "print(json.dumps([time.perf_counter() - begun, found.known, len(found.candidates)]))"
    )
    environment = os.environ | {"LORA_EXTRACTOR_HOME": str(home)}
    for _ in range(times):
        started = time.perf_counter()
        command = [sys.executable, "-c", code, str(model), str(folder)]
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        whole = time.perf_counter() - started
        seconds, known, _ = json.loads(answer.stdout.splitlines()[-1])
        yield whole, seconds, known


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--times", type=int, default=5, help="searches after the first one")
    parsed = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as place:
        folder, home = Path(place, "models"), Path(place, "home")
        folder.mkdir()
        for seed in range(1, parsed.candidates + 1):
            write_candidate(folder / f"candidate-{seed:03}.safetensors", seed, 0.01 * (1 + seed % 10))
        model = Path(place, "model.safetensors")
        write_candidate(model, 0, 0.0)
        first, *again = searches(model, folder, home, 1 + parsed.times)
        index = sum(file.stat().st_size for file in home.rglob("*.sample"))
        table = Table("", "process, s", "search, s", "known of before")
        table.add_row("first search", f"{first[0]:.2f}", f"{first[1]:.2f}", str(first[2]))
        whole, seconds = (statistics.median(run[at] for run in again) for at in (0, 1))
        table.add_row(f"again, median of {len(again)}", f"{whole:.2f}", f"{seconds:.2f}", str(again[0][2]))
        console.print(table)
        console.print(f"{parsed.candidates} candidates of {len(shapes())} matrices; the index has {index / 1e6:.0f} MB")
        console.print(machine())


if __name__ == "__main__":
    main()
