"""``python -m benchmarks.estimates``: how near the estimates of time come, before a run and while it works.

Six made pairs, each extracted by several methods, from a cold and a warm file cache, into several files, on from a
stopped run, and from the cache alone. The first run of all teaches the speed; every other one is estimated before it
starts and learns nothing for the next ones, so that each is the second run of a machine. A run that works while others
compete for the processor is slower than it would be: the table says how much of its cores each run got.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from torch import Tensor

from app.storage.speeds import SpeedStore, method_of
from app.work.calibration import calibrate
from app.work.time_left import TimeLeft
from benchmarks.measuring import machine
from benchmarks.streaming.gguf import write_gguf
from engine.cancel import CancelToken
from engine.errors import Cancelled
from engine.events import Event, Finished, Planned, Progress
from engine.planning.estimates import seconds_for, workload
from engine.planning.plan import Plan
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store.store import DecompositionStore

LOOK_AFTER = 10.0  # seconds into a run
LOOK_PART = 0.3  # of a run that is shorter than three times that
BEFORE, DURING = 1.5, 1.25
PREFIX = "model.diffusion_model."
Shapes = dict[str, tuple[int, ...]]

SDXL: Shapes = {
    **{f"middle_block.1.transformer_blocks.{n}.attn1.{k}": (1280, 1280) for n in range(4) for k in ("to_q", "to_v")},
    **{f"middle_block.1.transformer_blocks.{n}.attn2.to_k": (1280, 2048) for n in range(4)},
    **{f"middle_block.1.transformer_blocks.{n}.ff.net.0.proj": (10240, 1280) for n in range(4)},
    **{f"middle_block.1.transformer_blocks.{n}.ff.net.2": (1280, 5120) for n in range(4)},
    **{f"input_blocks.4.1.transformer_blocks.{n}.attn1.to_q": (640, 640) for n in range(12)},
    "input_blocks.5.0.in_layers.2": (640, 640, 3, 3),
}
PAIRS: dict[str, Shapes] = {
    "SDXL-like": SDXL,
    "Flux-like": {
        f"double_blocks.{n}.img_attn.{k}": s
        for n in range(4)
        for k, s in (("proj", (3072, 3072)), ("qkv", (9216, 3072)))
    },
    "8B-like": {
        f"layers.{n}.{k}": s
        for n in range(2)
        for k, s in (("q_proj", (4096, 4096)), ("k_proj", (1024, 4096)), ("up_proj", (14336, 4096)))
    },
    "many small": {f"blocks.{n}.attn.{k}": (192, 192) for n in range(150) for k in ("q", "k", "v", "proj")},
    "convolutions": {
        f"input_blocks.{n}.0.in_layers.2": s for n in range(8) for s in ((320 * (1 + n % 3), 320 * (1 + n % 2), 3, 3),)
    },
    "encoded": {
        f"double_blocks.{n}.img_attn.{k}": s
        for n in range(6)
        for k, s in (("proj", (2048, 2048)), ("qkv", (6144, 2048)))
    },
}


@dataclass(frozen=True)
class Case:
    """A run of a pair.

    Attributes:
        title: what is particular about it.
        settings: of its files.
        cold: the system's cache of both files is emptied first.
        resumed: about half of the layers are finished when it begins.
        cached: all are.
    """

    title: str
    settings: tuple[ExtractionSettings, ...]
    cold: bool = False
    resumed: bool = False
    cached: bool = False


def _of(**chosen: object) -> ExtractionSettings:
    return ExtractionSettings(filename_prefix="lora", **chosen)


CASES = (
    Case("rank 16", (_of(rank=16),)),
    Case("rank 32, cold", (_of(rank=32),), cold=True),
    Case("rank 128", (_of(rank=128),)),
    Case("lowrank 64", (_of(rank=64, algorithm="svd_lowrank"),)),
    Case("energy 0.8, cap 64", (_of(rank=64, lora_type="adaptive_energy", adaptive_param=0.8),)),
    Case("three files", (_of(rank=64), _of(rank=16), _of(rank=32, output_dtype="bf16"))),
    Case("resumed, rank 64", (_of(rank=64),), resumed=True),
    Case("from the cache", (_of(rank=32, output_dtype="bf16"),), cached=True),
)


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        before: the estimate before it, seconds.
        during: elapsed and left together, as they were shown `looked` seconds after its start.
        took: what it took in the end.
        busy: its processor time over the cores that it works with: what it would have taken alone on the machine, but
            for waiting for files. The estimate before is compared with that, and the speed is learnt from it.
    """

    pair: str
    case: str
    before: float
    looked: float
    during: float
    took: float
    busy: float

    @property
    def factors(self) -> tuple[float, float]:
        """Estimate over what it took, before and during."""
        return self.before / self.busy, self.during / self.took

    @property
    def share(self) -> float:
        """Of the cores, what it got."""
        return self.busy / self.took


def main() -> int:
    """Make the pairs, run, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimates", description=__doc__)
    parser.add_argument("--pairs", default=",".join(PAIRS))
    parser.add_argument("--cases", default=",".join(str(number) for number in range(len(CASES))), help="by number")
    parser.add_argument("--layers", type=int, default=1, help="how many times as many layers")
    parser.add_argument("--folder", type=Path, help="keeps the pairs for the next time")
    parser.add_argument("--json", type=Path, default=Path("estimates.json"))
    chosen = parser.parse_args()
    cases = [CASES[int(number)] for number in chosen.cases.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = chosen.folder or Path(name)
        pairs = {pair: write_pair(pair, folder, chosen.layers) for pair in dict.fromkeys(chosen.pairs.split(","))}
        rows = [row for pair in measured(pairs, cases, Path(name)) for row in pair]
    chosen.json.write_text(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=1))
    _print(rows)
    return 0


def measured(pairs: dict[str, tuple[Path, Path]], cases: Sequence[Case], folder: Path) -> list[list[Row]]:
    """All runs, after the one that teaches the speed."""
    speeds = SpeedStore(folder / "speeds.json")
    first = next(iter(pairs.values()))
    settings = _of(rank=32)
    run(first, (settings,), folder / "warm", None)  # loads the libraries
    with Session(*first) as session:
        plan = session.plan(settings, HardwareSettings(device="cpu"), folder / "out")
        watched = Watched(None)
        result, device = watched.run(session, plan)
        assert result is not None, "nobody stops it"
        speeds.learn(device, plan, replace(result, seconds=watched.busy))
    rows = []
    for pair, files in pairs.items():
        rows.append([_row(pair, files, case, speeds, device, folder) for case in cases])
        for row in rows[-1]:
            before, during = row.factors
            print(
                f"{row.pair}, {row.case}: {row.before:.2f} {row.busy:.2f}, {row.during:.2f} {row.took:.2f}; "
                f"{before:.2f} {during:.2f}, got {row.share:.0%}",
                flush=True,
            )
    return rows


class Watched:
    """A run whose progress is looked at."""

    def __init__(self, expected: float | None) -> None:
        self.left = TimeLeft(expected)
        self.seen: list[tuple[float, float]] = []
        self.busy = math.nan

    def run(self, session: Session, plan: Plan, stop_after: int | None = None) -> tuple[ExtractionResult | None, str]:
        """Run; returns the result and the device's title."""
        token, device, process = CancelToken(), "", psutil.Process()
        result: ExtractionResult | None = None
        done = 0
        busy = sum(process.cpu_times()[:2])
        try:
            for event in session.extract(plan, token):
                self._look(event)
                if isinstance(event, Planned):
                    device = event.device_title
                if isinstance(event, Finished):
                    result = event.result
                done = event.layers_done if isinstance(event, Progress) else done
                if stop_after is not None and done >= stop_after:
                    token.cancel()
        except Cancelled:
            pass
        self.busy = (sum(process.cpu_times()[:2]) - busy) / torch.get_num_threads()
        return result, device

    def _look(self, event: Event) -> None:
        if isinstance(event, Progress):
            left = self.left.take(event)
            if left is not None:
                self.seen.append((event.elapsed, event.elapsed + left))

    def at(self, seconds: float) -> tuple[float, float]:
        """What was shown at the first moment after so many seconds."""
        return next((seen for seen in self.seen if seen[0] >= seconds), (math.nan, math.nan))


def run(pair: tuple[Path, Path], files: Sequence[ExtractionSettings], folder: Path, store: Path | None) -> None:
    """A run that nobody looks at."""
    with Session(*pair, None if store is None else DecompositionStore(store)) as session:
        Watched(None).run(session, session.plan(files[0], HardwareSettings(device="cpu"), folder, files[1:]))


def _row(pair: str, files: tuple[Path, Path], case: Case, speeds: SpeedStore, device: str, folder: Path) -> Row:
    store, out, hardware = folder / "store", folder / "out", HardwareSettings(device="cpu")
    shutil.rmtree(store, ignore_errors=True)
    if case.cached:
        run(files, (_of(rank=32),), out, store)
    if case.resumed:
        with Session(*files, DecompositionStore(store)) as session:
            plan = session.plan(case.settings[0], hardware, out, case.settings[1:])
            Watched(None).run(session, plan, stop_after=len(plan.layers) // 2)
    if case.cold:
        for path in files:
            _forget(path)
    with Session(*files, DecompositionStore(store)) as session:
        plan = session.plan(case.settings[0], hardware, out, case.settings[1:])
        method = method_of(plan.widest)
        if not speeds.knows(device, method):
            speeds.calibrated(device, method, calibrate(plan.widest, hardware))
        speed = speeds.find(device, method)
        assert speed is not None
        before = seconds_for(workload(plan, session.kept(plan)), speed)
        watched = Watched(before)
        result, _ = watched.run(session, plan)
    shutil.rmtree(out, ignore_errors=True)
    assert result is not None, "nobody stops it"
    took = result.seconds
    looked, during = watched.at(min(LOOK_AFTER, LOOK_PART * took))
    return Row(pair, case.title, before, looked, during, took, watched.busy)


def _forget(path: Path) -> None:
    """Empty the system's cache of a file, as far as it follows advice."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def write_pair(pair: str, folder: Path, times: int) -> tuple[Path, Path]:
    """Write the fine-tuned model and the original; layers of a shape share their numbers.

    bfloat16; the encoded pair has float8 against Q8_0.
    """
    name = pair.replace(" ", "-")
    tuned_path, base_path = folder / f"{name}-{times}-tuned.safetensors", folder / f"{name}-{times}-base.safetensors"
    encoded = pair == "encoded"
    gguf = base_path.with_suffix(".gguf")
    if not tuned_path.exists():
        made: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}
        tuned, base = {}, {}
        for layer, shape in PAIRS[pair].items():
            both = made.setdefault(shape, _made(shape, seed=len(made)))
            for number in range(times):
                head, _, rest = layer.partition(".")
                key = f"{PREFIX}{head}{'' if number == 0 else number}.{rest}.weight"
                tuned[key], base[key] = (one.clone() for one in both)
        if encoded:
            tuned = {key: value.to(torch.float8_e4m3fn) for key, value in tuned.items()}
        save_file(base, base_path, metadata={"format": "pt"})
        if encoded:
            write_gguf(base_path, gguf, "Q8_0")
        save_file(tuned, tuned_path, metadata={"format": "pt"})
    return tuned_path, gguf if encoded else base_path


def _made(shape: tuple[int, ...], *, seed: int) -> tuple[Tensor, Tensor]:
    """A weight before and after a fine-tune whose singular values fall as slowly as those of real ones do."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = shape[0], math.prod(shape[1:])
    side = min(rows, columns, 1024)
    index = torch.arange(1, side + 1, dtype=torch.float32)
    falling = index**-0.45 * torch.exp(-index / (0.3 * min(rows, columns))) + 0.02
    left = torch.randn((rows, side), generator=generator) / math.sqrt(rows)
    change = (left * falling) @ torch.randn((side, columns), generator=generator) / math.sqrt(columns)
    noise = torch.randn((rows, columns), generator=generator) / math.sqrt(columns)
    change += 0.02 * torch.randn((rows, columns), generator=generator) / math.sqrt(columns)
    tuned, base = (noise + 0.3 * change).to(torch.bfloat16), noise.to(torch.bfloat16)
    return tuned.reshape(shape), base.reshape(shape)


def _print(rows: Sequence[Row]) -> None:
    table = Table(
        "pair", "run", "before s", "busy s", "during s", "at s", "took s", "before / busy", "during / took", "got"
    )
    for row in rows:
        before, during = row.factors
        seconds = (f"{value:.2f}" for value in (row.before, row.busy, row.during, row.looked, row.took))
        table.add_row(row.pair, row.case, *seconds, f"{before:.2f}", f"{during:.2f}", f"{row.share:.0%}")
    console = Console(width=140)
    console.print(table)
    for title, place, most in (("before", 0, BEFORE), ("during", 1, DURING)):
        factors = [max(row.factors[place], 1.0 / row.factors[place]) for row in rows if row.factors[place] > 0.0]
        within = sum(factor <= most for factor in factors)
        console.print(
            f"{title}: {within} of {len(factors)} within a factor of {most}; median {statistics.median(factors):.2f}, "
            f"worst {max(factors):.2f}"
        )


if __name__ == "__main__":
    raise SystemExit(main())
