"""Which of two dropped files is the fine-tuned model and which the original: by name, size and date."""

from __future__ import annotations

import re
from pathlib import Path

_ORIGINAL_WORDS = (
    "original",
    "base",
    "vanilla",
    "pretrained",
    "foundation",
    "official",
    "release",
    "flux1",
    "sd_xl_base",
)
_TUNED_WORDS = ("finetune", "fine_tune", "tuned", "trained", "dreambooth", "custom", "merge", "style", "mix", "_ft")


def tell_apart(first: Path, second: Path) -> tuple[Path, Path]:
    """Order two files as (fine-tuned, original); a guess that the person can swap.

    Words in the names decide; then the date, as the fine-tuned model comes later; then the size, as the
    original often comes with more parts.
    """
    keys = [(_leaning(path), *_date_and_size(path)) for path in (first, second)]
    return (first, second) if keys[0] >= keys[1] else (second, first)


def _leaning(path: Path) -> int:
    """Above 0 for names that sound fine-tuned, below for names that sound original."""
    name = re.sub(r"[\s.-]+", "_", path.stem.casefold()).replace("fine_tune", "finetune")
    tuned = any(word in name for word in _TUNED_WORDS)
    original = any(word in name for word in _ORIGINAL_WORDS)
    return int(tuned) - int(original)


def _date_and_size(path: Path) -> tuple[float, int]:
    try:
        status = path.stat()
    except OSError:
        return (0.0, 0)
    return (status.st_mtime, -status.st_size)
