"""Makes the guide's picture of ranks: digits drawn with LoRAs of several ranks, their losses, sizes and change kept.

Run from the project's root: ``python docs/rank_pictures.py``. The LoRAs are extracted from the demo pair.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(ROOT))

from app.demo.pair import FINETUNED, ORIGINAL  # noqa: E402
from app.demo.picture import Strip, draw_comparison  # noqa: E402
from app.text.notices import format_bytes, format_share  # noqa: E402
from engine.cancel import CancelToken  # noqa: E402
from engine.events import Finished  # noqa: E402
from engine.results import OutputFile  # noqa: E402
from engine.session import Session  # noqa: E402
from engine.settings import ExtractionSettings, HardwareSettings  # noqa: E402
from resources.demo.comparison import Contender, compare  # noqa: E402

RANKS = (1, 4, 16, 64)
TARGET = ROOT / "docs" / "guide" / "ranks.png"


def extract(rank: int, folder: Path) -> OutputFile:
    """Extract a LoRA of the demo pair."""
    with Session(FINETUNED, ORIGINAL) as session:
        plan = session.plan(ExtractionSettings(rank=rank, resume=False), HardwareSettings(), folder)
        last = list(session.extract(plan, CancelToken()))[-1]
    assert isinstance(last, Finished)
    return last.result.outputs[0]


def strip(contender: Contender, title: str, caption: str) -> Strip:
    """One line of digits."""
    row = tuple((image * 255).round().byte().contiguous().numpy().tobytes() for image in contender.pictures[0])
    return Strip(title, caption, (row,), int(contender.pictures.shape[-1]))


def main() -> None:
    """Extract, compare, draw, and print the figures."""
    strips: list[Strip] = []
    with tempfile.TemporaryDirectory() as folder:
        for rank in RANKS:
            output = extract(rank, Path(folder))
            comparison = compare(output.path, rows=1)
            if not strips:
                strips.append(strip(comparison.original, "Original", f"loss {comparison.original.loss:.3f}"))
            size, kept = format_bytes(output.size_bytes), format_share(output.mean_energy_retained)
            figures = f"loss {comparison.with_lora.loss:.3f} \u00b7 {kept} of the change kept \u00b7 {size}"
            strips.append(strip(comparison.with_lora, f"LoRA of rank {rank}", figures))
            print(f"rank {rank}: {figures}, {format_share(comparison.recovered)} of the fine-tune recovered")
        strips.append(strip(comparison.finetuned, "Fine-tuned", f"loss {comparison.finetuned.loss:.3f}"))
    draw_comparison("The demo pair at several ranks, same seeds", "", tuple(strips), TARGET)


if __name__ == "__main__":
    main()
