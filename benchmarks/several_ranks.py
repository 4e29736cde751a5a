"""``python -m benchmarks.several_ranks``: files of several ranks from one run, beside a run for each of them.

The runs alternate in one process, without journal and cache. Medians of wall-clock seconds and of the processor's: on a
shared machine the latter tell more.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks.pairs import write_pair
from engine.cancel import CancelToken
from engine.planning.variants import variants
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

RANKS = (8, 32, 128)
MODELS = ("sdxl", "flux")
Seconds = tuple[float, float]


def extraction_seconds(pair: tuple[Path, Path], ranks: tuple[int, ...], folder: Path) -> Seconds:
    """Seconds of one run that writes a file of each rank: on the clock, and of the processor."""
    settings = ExtractionSettings(filename_prefix="lora", resume=False)
    first, *further = variants(settings, ranks=ranks)
    with Session(*pair) as session:
        plan = session.plan(first, HardwareSettings(device="cpu"), folder, further)
        wall, processor = time.perf_counter(), time.process_time()
        for _ in session.extract(plan, CancelToken()):
            pass
        seconds = time.perf_counter() - wall, time.process_time() - processor
    shutil.rmtree(folder)
    return seconds


def measure(pair: tuple[Path, Path], folder: Path, repeats: int, console: Console) -> None:
    """Print a line for each rank alone, and for all of them in one run."""
    runs = [*((rank,) for rank in RANKS), RANKS]
    taken: dict[tuple[int, ...], list[Seconds]] = {run: [] for run in runs}
    for _ in range(repeats):
        for run in runs:
            taken[run].append(extraction_seconds(pair, run, folder / "out"))
    middle = {run: tuple(statistics.median(seconds[kind] for seconds in taken[run]) for kind in (0, 1)) for run in runs}
    for run in runs:
        wall, processor = middle[run]
        console.print(f"  rank {', '.join(map(str, run)):<12} {wall:7.3f} s   {processor:7.3f} s of the processor")
    largest, apart = middle[(max(RANKS),)], [sum(middle[(rank,)][kind] for rank in RANKS) for kind in (0, 1)]
    ratios = [f"{middle[RANKS][kind] / largest[kind]:.2f}" for kind in (0, 1)]
    saved = [f"{middle[RANKS][kind] / apart[kind]:.2f}" for kind in (0, 1)]
    console.print(f"  one run of all: {' / '.join(ratios)} x rank {max(RANKS)} alone, {' / '.join(saved)} x a run each")


def main() -> None:
    """Print the figures of each model."""
    parser = argparse.ArgumentParser(prog="benchmarks.several_ranks", description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="of benchmarks/pairs.py")
    parser.add_argument("--spectra", default="realistic,flat", help="likewise")
    parser.add_argument("--repeats", type=int, default=5)
    parsed = parser.parse_args()
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as name:
        for model in parsed.models.split(","):
            for spectrum in parsed.spectra.split(","):
                console.print(f"{model}, {spectrum}")
                pair = write_pair(model, spectrum, Path(name))
                measure(pair, Path(name), parsed.repeats, console)


if __name__ == "__main__":
    main()
