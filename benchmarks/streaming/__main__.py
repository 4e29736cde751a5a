"""``python -m benchmarks.streaming``: memory, budgets, prefetch, profiles, batches, residents, journal, files."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import machine
from benchmarks.streaming.batch import batch_rows, batch_table
from benchmarks.streaming.budget import budget_rows, budget_table
from benchmarks.streaming.cache import cache_rows, cache_table
from benchmarks.streaming.gguf import gguf_rows, gguf_table
from benchmarks.streaming.measuring import STATUS, Workplace
from benchmarks.streaming.memory import memory_rows, memory_table
from benchmarks.streaming.opening import opening_rows, opening_table
from benchmarks.streaming.prefetch import prefetch_rows, prefetch_table
from benchmarks.streaming.profiles import gpu_rows, profile_rows, profile_table
from benchmarks.streaming.reading import reading_rows, reading_table
from benchmarks.streaming.resident import resident_rows, resident_table
from benchmarks.streaming.tables import MISSED

Row = TypeVar("Row")
Part = Callable[[Workplace], tuple[list[dict[str, Any]], Table]]


def main() -> int:
    """Run the parts that are asked for, print a table for each, write JSON; 1 where a part broke off."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument(
        "--gib", type=float, default=4.0, help="each side of the largest pair; cache takes half, others a quarter"
    )
    parser.add_argument("--repeats", type=int, default=3, help="times are the best of so many runs")
    parser.add_argument("--device", default="auto", help="for the part gpu")
    parser.add_argument("--dir", type=Path, help="where the pairs are made; needs four times --gib")
    parser.add_argument("--json", type=Path, default=Path("streaming.json"))
    chosen = parser.parse_args()
    names = chosen.parts.split(",")
    if unknown := set(names) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    console = Console(width=160)
    if not STATUS.exists():
        console.print("This system does not tell what memory belongs to no file: all that is resident is counted.")
    if chosen.dir is not None:
        chosen.dir.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    broken: dict[str, str] = {}
    with tempfile.TemporaryDirectory(dir=chosen.dir) as folder:
        place = Workplace(Path(folder), chosen.gib, chosen.repeats, chosen.device)
        place.output.mkdir()
        for name in names:
            try:
                results[name], table = PARTS[name](place)
                console.print(table)
            except Exception as error:  # the other parts are still worth having
                broken[name] = "".join(traceback.format_exception(error))
                console.print(f"[bold red]{name} broke off[/]")
                console.print(broken[name], markup=False)
            whole = {"machine": machine(), "gib": chosen.gib, "parts": results, "broken": broken}
            chosen.json.write_text(json.dumps(whole, indent=1))
    missed = [name for name, rows in results.items() if any(MISSED in row.values() for row in rows)]
    console.print(f"Targets missed in: {', '.join(missed) or 'none'}.")
    return 1 if broken else 0


def _part(rows_of: Callable[[Workplace], list[Row]], table_of: Callable[[list[Row]], Table]) -> Part:
    def part(place: Workplace) -> tuple[list[dict[str, Any]], Table]:
        rows = rows_of(place)
        return [asdict(row) for row in rows], table_of(rows)  # type: ignore[call-overload]

    return part


PARTS: dict[str, Part] = {
    "memory": _part(memory_rows, memory_table),
    "budget": _part(budget_rows, budget_table),
    "prefetch": _part(prefetch_rows, prefetch_table),
    "profiles": _part(profile_rows, profile_table),
    "batch": _part(batch_rows, batch_table),
    "resident": _part(resident_rows, resident_table),
    "cache": _part(cache_rows, cache_table),
    "gguf": _part(gguf_rows, gguf_table),
    "reading": _part(reading_rows, reading_table),
    "opening": _part(opening_rows, opening_table),
    "gpu": _part(gpu_rows, profile_table),
}


if __name__ == "__main__":
    sys.exit(main())
