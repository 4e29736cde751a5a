"""``python -m benchmarks.sizes``: what each way of sharing ranks keeps of the change, and recovers of the task.

At the bytes of a file of one rank for all layers, by ``size_by``, on the demo pair and on small models that are trained
here (a few minutes on one core, see `benchmarks.sizes.training`). The task's gain is how much lower the fine-tuned
model's loss is on held-out data of its task than the original's; a LoRA recovers the share of it that original + LoRA
reaches. ``--pairs`` keeps the trained models for another time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.sizes.training import TASKS, weights_of
from engine.cancel import CancelToken
from engine.events import Finished
from engine.results import OutputFile
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings, SizeBy
from resources.demo.digits_dit import (
    CHECKPOINT_PREFIX,
    FINETUNED_FILE,
    ORIGINAL_FILE,
    denoising_loss,
    load_held_out,
    load_model,
)

WAYS: tuple[SizeBy, ...] = get_args(SizeBy)


@dataclass(frozen=True)
class Row:
    """One file: shares of the change and of the task's gain, and its smallest, median and largest rank."""

    pair: str
    rank: int
    way: str
    size_bytes: int
    kept: float
    recovered: float
    ranks: tuple[int, int, int]


@dataclass(frozen=True)
class Pair:
    """Two models and the loss of any weights on the fine-tuned one's task."""

    title: str
    finetuned: Path
    original: Path
    loss: Callable[[Mapping[str, Tensor]], float]


def demo_pair() -> Pair:
    """The pair that ships with the program."""
    _, images, labels = load_held_out()
    return Pair(
        "demo", FINETUNED_FILE, ORIGINAL_FILE, lambda weights: denoising_loss(load_model(weights), images, labels)
    )


def trained_pairs(folder: Path, seeds: int) -> Iterator[Pair]:
    """Pairs that are trained now, unless they are in the folder already."""
    for make in TASKS:
        task = make()
        for seed in range(1, seeds + 1):
            paths = task.ready_pair(folder, seed)
            yield Pair(f"{task.title} {seed}", *paths, task.judge)


def with_lora(original: Mapping[str, Tensor], lora: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The original's weights with a LoRA of ComfyUI's names added at strength 1."""
    weights = dict(original)

    def add(key: str, ending: str, change: Tensor) -> None:
        module = key.removesuffix(ending)
        bare = module.removeprefix("diffusion_model.")
        own = (module, bare, CHECKPOINT_PREFIX + bare)
        suffix = ".bias" if ending == ".diff_b" else ".weight"
        name = next(name for start in own for name in (start + suffix, start) if name in weights)
        weights[name] = weights[name] + change.reshape(weights[name].shape)

    for key, tensor in lora.items():
        if key.endswith(".lora_up.weight"):
            down = lora[key.replace("lora_up", "lora_down")].float().flatten(1)
            scale = float(lora[key.replace("lora_up.weight", "alpha")]) / len(down)
            add(key, ".lora_up.weight", scale * (tensor.float().flatten(1) @ down))
        elif key.endswith((".diff", ".diff_b")):
            add(key, key[key.rindex(".") :], tensor.float())
    return weights


def measure(pair: Pair, ranks: list[int], folder: Path) -> Iterator[Row]:
    """Every way at the bytes of every rank."""
    original = weights_of(pair.original)
    at_first, at_best = pair.loss(original), pair.loss(weights_of(pair.finetuned))
    print(f"{pair.title}: loss {at_first:.4f}, fine-tuned {at_best:.4f}", file=sys.stderr, flush=True)
    with Session(pair.finetuned, pair.original) as session:
        for rank in ranks:
            target = extract(session, folder, rank=rank)[0].size_bytes
            for way in WAYS:
                output, all_ranks = extract(session, folder, target_size=target, size_by=way)
                loss = pair.loss(with_lora(original, load_file(output.path)))
                recovered = (at_first - loss) / (at_first - at_best)
                spread = all_ranks[0], all_ranks[len(all_ranks) // 2], all_ranks[-1]
                yield Row(pair.title, rank, way, output.size_bytes, output.mean_energy_retained, recovered, spread)


def extract(session: Session, folder: Path, **chosen: Any) -> tuple[OutputFile, list[int]]:
    """One extraction without journal and cache; the file and the ranks in it."""
    settings = ExtractionSettings.model_validate({"filename_prefix": "sizes", "resume": False, **chosen})
    plan = session.plan(settings, HardwareSettings(device="cpu"), folder)
    for event in session.extract(plan, CancelToken()):
        if isinstance(event, Finished):
            result = event.result
    return result.outputs[0], sorted(row.rank for row in result.rows if row.rank is not None)


def table(rows: list[Row]) -> Table:
    """A line for each pair and rank: kept and recovered, in percent, by way."""
    made = Table("pair", "bytes of rank", *(f"kept, {way}" for way in WAYS), *(f"recovered, {way}" for way in WAYS))
    for title, rank in dict.fromkeys((row.pair, row.rank) for row in rows):
        found = {row.way: row for row in rows if (row.pair, row.rank) == (title, rank)}
        kept = [f"{100 * found[way].kept:.1f}" for way in WAYS]
        made.add_row(title, str(rank), *kept, *(f"{100 * found[way].recovered:.1f}" for way in WAYS))
    return made


def main() -> int:
    """Train what is missing, measure, print the table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizes", description=__doc__)
    parser.add_argument("--ranks", default="1,2,4,8,16")
    parser.add_argument("--seeds", type=int, default=2, help="trained pairs of each kind")
    parser.add_argument("--pairs", type=Path, help="where the trained pairs are kept; a temporary folder unless given")
    parser.add_argument("--json", type=Path, default=Path("sizes.json"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = chosen.pairs or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        for pair in (demo_pair(), *trained_pairs(folder, chosen.seeds)):
            rows += measure(pair, [int(rank) for rank in chosen.ranks.split(",")], Path(name) / "out")
            chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    Console(width=140).print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
