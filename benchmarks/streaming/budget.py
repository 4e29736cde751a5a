"""``budget``: layers larger than a memory budget, each run in a process of its own, against one without a budget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from rich.table import Table
from safetensors.torch import save_file

from benchmarks.streaming.data import PREFIX, Pair
from benchmarks.streaming.measuring import GIB, MIB, Ran, Workplace, fresh, run, watched
from benchmarks.streaming.tables import marked, mib, verdict
from engine.events import NoticeCode
from engine.presets import DEFAULT_PROFILE, HARDWARE_PROFILES
from engine.session import Session
from engine.settings import ExtractionSettings

BUDGETS = (512 * MIB, 600 * MIB, GIB, 2 * GIB)
OVER_BUDGET = 1.15
_RANK, _TRUE_RANK = 32, 48
MODELS: dict[str, tuple[tuple[int, int], ...]] = {
    "embedding 60000x768": ((60000, 768),),
    "two embeddings 100000x1024": ((100000, 1024), (100000, 1024)),
    "head 76032x1792": ((76032, 1792),),  # of 152,064 x 3584, half of each side
    "Flux MLP 12288x3072 and back": ((12288, 3072), (3072, 12288)),
    "Wan MLP 13824x5120": ((13824, 5120),),
}


@dataclass(frozen=True)
class BudgetRow:
    """One run: memory in bytes, seconds, and its target.

    Attributes:
        largest_delta: the largest layer's difference in float32.
        budget: None for the run without.
        growth: the most that the process grew by after its imports.
        share: growth over the budget.
        slower: seconds over those of the run without a budget.
        read: bytes read over the size of both files.
        fits: whether the run had no layer that is larger than the budget, however it is worked on.
        within_budget: whether it grew by at most `OVER_BUDGET` times the budget; of layers that fit.
    """

    model: str
    largest_delta: int
    budget: int | None
    growth: int
    seconds: float
    read: float
    fits: bool
    share: float = 0.0
    slower: float = 1.0
    within_budget: str = ""


def budget_rows(place: Workplace) -> list[BudgetRow]:
    """Every model without a budget, and within each."""
    rows: list[BudgetRow] = []
    for number, (model, shapes) in enumerate(MODELS.items()):
        pair = fresh(_write, shapes, place.folder, number)
        delta = 4 * max(rows_ * columns for rows_, columns in shapes)
        size = sum(path.stat().st_size for path in pair)
        free = 0.0
        for budget in (None, *BUDGETS):
            growth, ran = fresh(_measured, pair, place.output, budget)
            seconds = ran.result.seconds
            free = seconds if budget is None else free
            fits = NoticeCode.OVER_BUDGET.value not in ran.events
            met = "" if budget is None else verdict(growth <= OVER_BUDGET * budget) if fits else "said beforehand"
            share = growth / budget if budget else 0.0
            read = ran.result.read_bytes / size
            rows.append(BudgetRow(model, delta, budget, growth, seconds, read, fits, share, seconds / free, met))
        for path in pair:
            path.unlink()
    return rows


def _measured(pair: Pair, folder: Path, budget: int | None) -> tuple[int, Ran]:
    hardware = HARDWARE_PROFILES[DEFAULT_PROFILE].model_copy(update={"device": "cpu", "memory_budget": budget})
    with watched() as watch, Session(*pair) as session:
        ran = run(session, ExtractionSettings(rank=_RANK, resume=False), hardware, folder)
    return watch.growth, ran


def _write(shapes: tuple[tuple[int, int], ...], folder: Path, number: int) -> Pair:
    """A change of rank `_TRUE_RANK` under the rounding of both sides to bfloat16."""
    generator = torch.Generator().manual_seed(number)
    tuned, base = {}, {}
    for index, (rows, columns) in enumerate(shapes):
        weight = 0.02 * torch.randn(rows, columns, generator=generator)
        change = torch.randn(rows, _TRUE_RANK, generator=generator)
        change = change @ (2e-4 * torch.randn(_TRUE_RANK, columns, generator=generator))
        name = f"{PREFIX}layers.{index}.weight"
        base[name], tuned[name] = weight.bfloat16(), (weight + change).bfloat16()
    paths = folder / f"budget-{number}-tuned.safetensors", folder / f"budget-{number}-base.safetensors"
    for path, tensors in zip(paths, (tuned, base), strict=True):
        save_file(tensors, path)
    return paths


def budget_table(rows: list[BudgetRow]) -> Table:
    """Every run, and its target."""
    table = Table(
        *("model", "delta MiB", "budget MiB", "growth MiB", "/ budget", f"<= {OVER_BUDGET}", "s", "/ free", "read"),
        title=f"budget: rank {_RANK}, {DEFAULT_PROFILE}, processor; read in sizes of both files",
    )
    for row in rows:
        budget, share = (mib(row.budget), f"{row.share:.2f}") if row.budget else ("none", "")
        figures = (row.model, mib(row.largest_delta), budget, mib(row.growth), share, marked(row.within_budget))
        table.add_row(*figures, f"{row.seconds:.2f}", f"{row.slower:.2f}", f"{row.read:.2f}")
    return table
