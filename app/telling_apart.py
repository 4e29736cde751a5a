"""Which of two dropped files is the fine-tuned model and which the original: by name, size and date."""

from __future__ import annotations

import re
from pathlib import Path

_ORIGINAL_WORDS = r"original|base|vanilla|pretrained|foundation|official|release|flux1"
_TUNED_WORDS = r"finetuned?|tuned|trained|dream_?booth|custom|merged?|styles?|mix|ft"


def tell_apart(first: Path, second: Path) -> tuple[Path, Path]:
    """Order two files as (fine-tuned, original); a guess that the person can swap.

    Words in the names decide; then the date, as the fine-tuned model comes later; then the size, as the
    original often comes with more parts.
    """
    keys = [(_leaning(path), *_date_and_size(path)) for path in (first, second)]
    return (first, second) if keys[0] >= keys[1] else (second, first)


def _leaning(path: Path) -> int:
    """Above 0 for names that sound fine-tuned, below for names that sound original."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", path.stem)
    name = re.sub(r"[\s.-]+", "_", name.casefold()).replace("fine_tune", "finetune")
    return int(_has_word(name, _TUNED_WORDS)) - int(_has_word(name, _ORIGINAL_WORDS))


def _has_word(name: str, words: str) -> bool:
    """Whether one of the words stands in a name with no letter on either side of it."""
    return re.search(rf"(?<![a-z])(?:{words})(?![a-z])", name) is not None


def _date_and_size(path: Path) -> tuple[float, int]:
    try:
        status = path.stat()
    except OSError:
        return (0.0, 0)
    return (status.st_mtime, -status.st_size)
