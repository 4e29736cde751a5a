"""``budget``: single layers from square to embeddings, and a model, within memory budgets; each in its own process."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.table import Table

from benchmarks.solvers import SHAPES, merged
from benchmarks.streaming.data import Layout, Pair
from benchmarks.streaming.measuring import GIB, MIB, Workplace, fresh, run, watched
from benchmarks.streaming.tables import MISSED, marked, mib, verdict
from engine.presets import DEFAULT_PROFILE, HARDWARE_PROFILES
from engine.session import Session
from engine.settings import ExtractionSettings

BUDGETS = (512 * MIB, 600 * MIB, GIB, 2 * GIB)
RANK = 128
MODEL = Layout("transformer", 1536, 8)
_OVER = 1.15  # growth at most so many times the budget
_HARDWARE = HARDWARE_PROFILES[DEFAULT_PROFILE].model_copy(update={"device": "cpu"})
_LARGER = {"larger embedding": (100_000, 1024), "larger layer": (3072, 12_288)}


@dataclass(frozen=True)
class BudgetRow:
    """One run within one budget: memory in bytes, and seconds.

    Attributes:
        layer: which, or of which model.
        growth: the most memory that belongs to no file above what was there after the imports.
        told: the run's remarks on memory.
        ratio: seconds over those without a budget.
    """

    layer: str
    budget: int | None
    growth: int
    seconds: float
    told: str
    ratio: float = 1.0
    within: str = ""


def budget_rows(place: Workplace) -> list[BudgetRow]:
    """Every shape without a budget and within each, then a model of 48 layers."""
    rows = []
    for title, shape in (SHAPES | _LARGER).items():
        pair = fresh(_written, shape, place.folder)
        rows += _within_each(f"{title}, {shape[0]} x {shape[1]}", pair, place.output)
        for path in pair:
            path.unlink()
    title = f"{MODEL.blocks} blocks of a transformer, {MODEL.width} wide"
    return rows + _within_each(title, place.pair(MODEL), place.output)


def _within_each(title: str, pair: Pair, folder: Path) -> list[BudgetRow]:
    free = fresh(_measured, title, pair, folder, None)
    rows = [free]
    for budget in BUDGETS:
        row = fresh(_measured, title, pair, folder, budget)
        met = verdict(row.growth <= _OVER * budget)
        if met == MISSED and "over_budget" in row.told:
            met = "too small, told"
        rows.append(replace(row, ratio=row.seconds / free.seconds, within=met))
    return rows


def _written(shape: tuple[int, int], folder: Path) -> Pair:
    """A pair of fp16 files with one matrix: a change of low rank and the rounding of both sides."""
    base = torch.randn(shape, generator=torch.Generator().manual_seed(5)).mul_(0.02).to(torch.float16)
    tuned = merged(shape).add_(base).to(torch.float16)
    paths = tuple(folder / f"budget-{side}.safetensors" for side in ("tuned", "base"))
    for path, tensor in zip(paths, (tuned, base), strict=True):
        entry = {"dtype": "F16", "shape": list(shape), "data_offsets": [0, 2 * tensor.numel()]}
        text = json.dumps({"model.diffusion_model.layers.0.weight": entry}).encode()
        text += b" " * (-len(text) % 8)
        with path.open("wb") as stream:
            stream.write(len(text).to_bytes(8, "little") + text)
            stream.write(tensor.view(-1).view(torch.uint8).numpy().data)
    return paths[0], paths[1]


def _measured(title: str, pair: Pair, folder: Path, budget: int | None) -> BudgetRow:
    hardware = _HARDWARE.model_copy(update={"memory_budget": budget})
    with watched() as watch, Session(*pair) as session:
        ran = run(session, ExtractionSettings(rank=RANK), hardware, folder)
    return BudgetRow(title, budget, watch.growth, ran.result.seconds, ", ".join(ran.remarks))


def budget_table(rows: list[BudgetRow]) -> Table:
    """Every run, and the target."""
    table = Table(
        *("layer", "budget MiB", "growth MiB", "/ budget", f"<= {_OVER}", "s", "/ without", "remarks"),
        title=f"budget: {DEFAULT_PROFILE}, rank {RANK}, processor",
    )
    for row in rows:
        share = "-" if row.budget is None else f"{row.growth / row.budget:.2f}"
        table.add_row(
            *(row.layer, "none" if row.budget is None else mib(row.budget)),
            *(mib(row.growth), share, marked(row.within), f"{row.seconds:.2f}", f"{row.ratio:.2f}", row.told or "-"),
        )
    return table
