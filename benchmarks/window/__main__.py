"""``python -m benchmarks.window``: first pixel, lateness of the event loop, memory over twenty extractions."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PARTS = ("start", "lateness", "growth")


def main() -> int:
    """Run the parts that are asked for, print a table for each, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.window", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--repeats", type=int, default=3, help="starts, and extractions of the part lateness")
    parser.add_argument("--json", type=Path, default=Path("window.json"))
    chosen = parser.parse_args()
    names = chosen.parts.split(",")
    if unknown := set(names) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    console = Console(width=120)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LORA_EXTRACTOR_HOME"] = str(Path(folder) / "home")
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        for name in names:
            rows, table = _part(name, Path(folder), chosen.repeats)
            results[name] = rows
            console.print(table)
    chosen.json.write_text(json.dumps(results, indent=1))
    return 0


def _part(name: str, folder: Path, repeats: int) -> tuple[list[dict[str, Any]], Table]:
    """One part's rows and table; imported here, because the environment must be set before Qt is."""
    from app.window.application import make_application
    from benchmarks.window import growth, lateness, start
    from benchmarks.window.workplace import Workplace

    place = Workplace(folder, repeats)
    _application = make_application()
    work: dict[str, tuple[Callable[[Any], list[Any]], Callable[[list[Any]], Table]]] = {
        "start": (start.start_rows, start.start_table),
        "lateness": (lateness.lateness_rows, lateness.lateness_table),
        "growth": (growth.growth_rows, growth.growth_table),
    }
    rows_of, table_of = work[name]
    rows = rows_of(place)
    return [asdict(row) for row in rows], table_of(rows)


if __name__ == "__main__":
    sys.exit(main())
