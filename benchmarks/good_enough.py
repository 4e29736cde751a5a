"""``python -m benchmarks.good_enough``: what a LoRA's share of the change says of the task that the fine-tune learned.

For the demo pair and small models that are trained here, extractions at ranks 1, 2, 4 ... as the program does them by
default, and for each: the share of the change kept; the share of the real change kept, as the program estimates it and,
where the fine-tune is known unrounded, in truth; and what original + LoRA recovers of the task's gain: (loss of the
original - loss of original + LoRA) / (loss of the original - loss of the fine-tune), on data that no training saw.

Weak layers are asked about by mending them: for the layers that keep least the loss is measured again with the layer's
change put back whole. What that adds to the share recovered is what a warning about the layer could be worth.

Everything is kept in one folder: trained pairs, and rows as JSON. What is there is not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.sizes.__main__ import Pair, demo_pair, with_lora
from benchmarks.sizes.training import Denoiser, LanguageModel, SmallChange, TextClassifier, weights_of
from engine.cancel import CancelToken
from engine.events import Finished
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

RANKS = (1, 2, 4, 8, 16, 32, 64, 128)
TASKS = (TextClassifier, LanguageModel, Denoiser, SmallChange)
MENDED = 3
"""How many of the weakest layers are mended, one at a time."""


@dataclass(frozen=True)
class Mended:
    """A layer that keeps little: its share, its part of the whole change, what mending it adds to `recovered`."""

    kept: float
    energy: float
    gain: float


@dataclass(frozen=True)
class Row:
    """One LoRA.

    Attributes:
        pair, seed, rank: of what.
        kept: share of the change; `real` and `interval`: of the real change, as estimated; `truth`: in truth.
        noise: share of rounding noise in the change; None where it was not measured.
        recovered: share of the task's gain.
        layers: shares kept by single layers, ascending.
        mended: the weakest layers.
    """

    pair: str
    seed: int
    rank: int
    kept: float
    real: float | None
    interval: tuple[float, float] | None
    truth: float | None
    noise: float | None
    recovered: float
    layers: list[float]
    mended: list[Mended]


def pairs(folder: Path, seeds: int) -> Iterator[tuple[Pair, int, Path | None]]:
    """The demo pair and the trained ones, each with its seed and the fine-tune as it was before it was rounded."""
    yield demo_pair(), 0, None
    for make in TASKS:
        task = make()
        for seed in range(1, seeds + 1):
            paths = task.ready_pair(folder, seed)
            unrounded = task.unrounded(folder, seed) if isinstance(task, SmallChange) else None
            yield Pair(task.title, *paths, task.judge), seed, unrounded


def measure(pair: Pair, seed: int, unrounded: Path | None, done: set[int], folder: Path) -> Iterator[Row]:
    """A row for each rank that is not done and that the matrices are not too small for."""
    original, finetuned = weights_of(pair.original), weights_of(pair.finetuned)
    largest = max(min(weight.flatten(1).shape) for weight in original.values() if weight.ndim > 1)
    ranks = [rank for rank in RANKS if rank <= largest and rank not in done]
    if not ranks:
        return
    at_first, at_best = pair.loss(original), pair.loss(finetuned)
    print(f"{pair.title} {seed}: loss {at_first:.5f}, fine-tuned {at_best:.5f}", file=sys.stderr, flush=True)
    real = weights_of(unrounded) if unrounded else None
    with Session(pair.finetuned, pair.original) as session:
        for rank in ranks:
            result = extract(session, folder, rank)
            output = result.outputs[0]
            merged = with_lora(original, load_file(output.path))
            loss = pair.loss(merged)
            whole = sum(row.delta_energy for row in result.rows)
            mended = []
            for row in sorted(result.rows, key=lambda row: row.energy_retained)[:MENDED]:
                name = next(name for name in original if row.name.endswith(name.removeprefix("model.")))
                again = pair.loss({**merged, name: finetuned[name]})
                gain = (loss - again) / (at_first - at_best)
                mended.append(Mended(row.energy_retained, row.delta_energy / whole, gain))
            figures = output.noise
            yield Row(
                pair=pair.title,
                seed=seed,
                rank=rank,
                kept=output.mean_energy_retained,
                real=figures.real_energy_retained if figures else None,
                interval=figures.real_energy_interval if figures else None,
                truth=1 - _energy(real, merged) / _energy(real, original) if real else None,
                noise=figures.noise_share if figures else None,
                recovered=(at_first - loss) / (at_first - at_best),
                layers=sorted(row.energy_retained for row in result.rows),
                mended=mended,
            )


def extract(session: Session, folder: Path, rank: int) -> ExtractionResult:
    """One extraction without journal."""
    settings = ExtractionSettings(filename_prefix="good_enough", resume=False, rank=rank)
    plan = session.plan(settings, HardwareSettings(device="cpu"), folder)
    for event in session.extract(plan, CancelToken()):
        if isinstance(event, Finished):
            return event.result
    raise RuntimeError("the run ended without a result")


def _energy(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> float:
    return sum(float((first[name].double() - second[name].double()).square().sum()) for name in first)


def table(rows: list[Row]) -> Table:
    """A line for each LoRA, in percent."""
    heads = ("pair", "seed", "rank", "noise", "kept", "real kept", "interval", "truth", "recovered", "weakest layer")
    made = Table(*heads, "layers below 50 / 80 %", "mending adds at most")
    for row in rows:
        shares = (row.noise, row.kept, row.real)
        bounds = " to ".join(map(_percent, row.interval)) if row.interval else ""
        below = " / ".join(str(sum(kept < bound for kept in row.layers)) for bound in (0.5, 0.8))
        made.add_row(
            *(row.pair, str(row.seed or ""), str(row.rank), *map(_percent, shares), bounds, _percent(row.truth)),
            *(_percent(row.recovered), _percent(row.layers[0]), f"{below} of {len(row.layers)}"),
            _percent(max(layer.gain for layer in row.mended)),
        )
    return made


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def read_rows(path: Path) -> list[Row]:
    """The rows of an earlier time; none where there is no such file."""
    if not path.exists():
        return []
    return [
        Row(**{**row, "mended": [Mended(**item) for item in row["mended"]]}) for row in json.loads(path.read_text())
    ]


def main() -> int:
    """Train and measure what is missing, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.good_enough", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="trained pairs of each kind")
    parser.add_argument("--folder", type=Path, default=Path("good_enough"), help="keeps the pairs, and rows.json")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    written = chosen.folder / "rows.json"
    rows = read_rows(written)
    with tempfile.TemporaryDirectory() as out:
        for pair, seed, unrounded in pairs(chosen.folder, chosen.seeds):
            done = {row.rank for row in rows if (row.pair, row.seed) == (pair.title, seed)}
            for row in measure(pair, seed, unrounded, done, Path(out)):
                rows.append(row)
                written.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    Console(width=160).print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
