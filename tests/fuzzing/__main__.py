"""``python -m tests.fuzzing --cases 100000``: all kinds of files in turn; 1 where a case did what it must not."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as the tests have it

from .targets import TARGETS
from .watching import run


def main() -> int:
    """Run the cases and say how they ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", default="", help="kinds whose title contains this")
    chosen = parser.parse_args()
    targets = [target for target in TARGETS if chosen.only in target.title]
    found: list[str] = []
    for target in targets:
        start = time.monotonic()
        ends, faults = run(target, -(-chosen.cases // len(targets)), chosen.seed)
        words = ", ".join(f"{count} {end}" for end, count in ends.most_common())
        print(f"{target.title}: {words}; {len(faults)} faults; {time.monotonic() - start:.0f} s", flush=True)
        found += faults
    print("\n".join(found[:50]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
