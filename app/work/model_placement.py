"""The sides of dropped files: two are ordered by name, date and size; one goes to the empty side, or is asked about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.work.requests import Models
from engine.checkpoints.containers import model_endings
from engine.checkpoints.names_of_files import index_of, model_name, shard_name
from engine.planning.pair_order import order_of_names

_ORIGINAL_WORDS = r"original|base|vanilla|pretrained|foundation|official|release|flux1"
_TUNED_WORDS = r"finetuned?|tuned|trained|dream_?booth|custom|merged?|styles?|mix|ft"


@dataclass(frozen=True)
class Placement:
    """The sides of dropped files.

    Attributes:
        models: the fine-tuned and the original model from now on.
        undecided: a file for which there is no room: ask whose place it takes, and use `in_place_of`.
        ignored: files that were too many.
    """

    models: Models
    undecided: Path | None = None
    ignored: tuple[Path, ...] = ()


def place(dropped: Sequence[Path], present: Models) -> Placement:
    """Where files dropped beside the cards go.

    Two fill both cards. Of more than two, names decide which two are taken; the others are ignored, which the caller
    reports. One goes to the empty side, and to the fine-tuned model where both are empty. Where both are taken
    nothing is replaced without asking.
    """
    files = _one_of_each_model(dropped)
    if len(files) >= 2:
        ranked = sorted(files, key=_leaning, reverse=True)
        decided = _leaning(ranked[0]) > _leaning(ranked[-1])
        chosen = (ranked[0], ranked[-1]) if decided else (files[0], files[1])
        return Placement(distinguish(*chosen), ignored=tuple(file for file in files if file not in chosen))
    if not files or files[0] in present:
        return Placement(present)
    finetuned, original = present
    if finetuned is None:
        return Placement((files[0], original))
    if original is None:
        return Placement((finetuned, files[0]))
    return Placement(present, undecided=files[0])


def in_place_of(side: str, file: Path, present: Models) -> Models:
    """The two models once a file has taken the place of the ``finetuned`` or the ``original`` one."""
    return (file, present[1]) if side == "finetuned" else (present[0], file)


def distinguish(first: Path, second: Path) -> tuple[Path, Path]:
    """Order two files as (fine-tuned, original); a guess that the person can swap.

    Names decide as they do where the program asks whether to swap; then single words in them; then the date, as the
    fine-tuned model comes later; then the size, as the original often comes with more parts.
    """
    said = order_of_names(first, second)
    if said:
        return (second, first) if said[0].swapped else (first, second)
    keys = [(_leaning(path), *_date_and_size(path)) for path in (first, second)]
    return (first, second) if keys[0] >= keys[1] else (second, first)


def _one_of_each_model(files: Sequence[Path]) -> list[Path]:
    """Each file once, and of the parts and the index of a model the one that came first: it stands for all."""
    found: dict[tuple[Path, str], Path] = {}
    for file in files:
        shard = shard_name(file.name)
        whole = shard.start + shard.end if shard else index_of(file.name) or file.name
        found.setdefault((file.parent, whole), file)
    return list(found.values())


def _leaning(path: Path) -> int:
    """Above 0 for names that sound fine-tuned, below for names that sound original."""
    named = model_name(path)
    stem = path.stem if named == path.name and path.suffix.casefold() in model_endings() else named
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", stem)
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
