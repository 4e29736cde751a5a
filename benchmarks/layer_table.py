"""``python -m benchmarks.layer_table``: how long the table of layers takes to sort, to filter and to scroll."""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator
from statistics import median

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from rich.console import Console
from rich.table import Table

from app.look.theme import Theme
from app.system.pyside_refcounts import protect_constants
from app.widgets.layers.layer_model import COLUMNS, LayerModel
from app.widgets.layers.layer_order import Show
from app.widgets.layers.layer_table import LayersPanel
from engine.results import LayerResult, StageSeconds

WORDS = ("attn", "double 11 mlp", "single_blocks.3")
KINDS = ("img_attn.qkv", "img_attn.proj", "img_mlp.0", "img_mlp.2", "txt_attn.qkv", "txt_attn.proj", "txt_mlp.0")
SIZE = (900, 520)


def made_up_layers(count: int, seed: int = 0) -> list[LayerResult]:
    """So many layers with names as in a large transformer and numbers from a seeded generator."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        block, kind = divmod(number, len(KINDS))
        kept = 1 - chance.random() ** 2 / 2
        rows.append(
            LayerResult(
                name=f"diffusion_model.double_blocks.{block}.{KINDS[kind]}.weight",
                kind="matrix",
                shape=(3072 * chance.choice((1, 3, 4)), 3072),
                rank=chance.choice((16, 32, 64)),
                energy_retained=kept,
                energy_before=kept,
                relative_error=(1 - kept) ** 0.5,
                relative_change=chance.lognormvariate(-4, 0.7),
                delta_energy=chance.random(),
                singular_values=(),
                capped=chance.random() < 0.05,
                clamp="off",
                stored_dtype="F16",
                solver="sketch",
                seconds=StageSeconds(chance.random() / 50, 0.001, chance.random() / 10, 0.002),
            )
        )
    chance.shuffle(rows)
    return rows


def measure(application: QApplication, panel: LayersPanel, repeats: int) -> Iterator[tuple[str, list[float]]]:
    """Each action and its times in milliseconds, up to the repainted table."""

    def timed(work: Callable[[], object]) -> float:
        begin = time.perf_counter()
        work()
        panel.table.viewport().repaint()
        application.processEvents()
        return 1000 * (time.perf_counter() - begin)

    for number, column in enumerate(COLUMNS):
        times = []
        for turn in range(repeats):
            order = Qt.SortOrder(turn % 2)
            times.append(timed(lambda number=number, order=order: panel.table.sortByColumn(number, order)))  # type: ignore[misc]
        yield f"sort by {column.key}", times
    for words in WORDS:
        times = []
        for _ in range(repeats):
            panel.search.clear()
            for end in range(1, len(words) + 1):
                times.append(timed(lambda typed=words[:end]: panel.search.setText(typed)))  # type: ignore[misc]
        panel.search.clear()
        yield f"each letter of {words!r}", times
    for show in list(Show)[1:]:
        times = []
        for _ in range(repeats):
            panel.show_only.setCurrentIndex(0)
            times.append(timed(lambda show=show: panel.show_only.setCurrentIndex(list(Show).index(show))))  # type: ignore[misc]
        panel.show_only.setCurrentIndex(0)
        yield f"only {show.value}", times
    bar = panel.table.verticalScrollBar()
    steps = range(0, bar.maximum(), max(1, bar.maximum() // (10 * repeats)))
    yield "scroll and paint", [timed(lambda step=step: bar.setValue(step)) for step in steps]  # type: ignore[misc]
    yield "choose all rows", [timed(panel.table.selectAll), *_chosen(panel, timed, repeats)]


def _chosen(panel: LayersPanel, timed: Callable[[Callable[[], object]], float], repeats: int) -> Iterator[float]:
    for _ in range(repeats - 1):
        panel.choice.clear()
        yield timed(panel.table.selectAll)


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layer_table", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    chosen = parser.parse_args()
    protect_constants()
    application = QApplication([])
    application.setStyle("Fusion")
    model = LayerModel()
    panel = LayersPanel(Theme(application, "dark"), model)
    for row in made_up_layers(chosen.rows):
        model.add(row)
    model.flush()
    panel.resize(*SIZE)
    panel.show()
    application.processEvents()
    table = Table("action", "median ms", "worst ms", title=f"{chosen.rows:,} layers, {SIZE[0]} x {SIZE[1]} pixels")
    for column in table.columns[1:]:
        column.justify = "right"
    for action, times in measure(application, panel, chosen.repeats):
        table.add_row(action, f"{median(times):.1f}", f"{max(times):.1f}")
    Console(width=100).print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
