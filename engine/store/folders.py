"""What lies where in a store, and how it is removed again. Whoever removes holds the store's lock.

<store>/<first 32 digits of the pair's fingerprint>/pair.json        for people; its time is that of the last use
                                                    <run>.journal    and .lock, .done beside it
        set-aside/                                                   what was found damaged or foreign
        cache.json, store.lock
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from fnmatch import fnmatch
from pathlib import Path

from engine.errors import EngineError
from engine.store.journal import Journal, done_mark, read_journal
from engine.store.locks import in_use, left_alone, lock_file

PAIR_FILE, MODELS_FILE, SET_ASIDE = "pair.json", "models.json", "set-aside"
_PAIR_NAME = re.compile(r"[0-9a-f]{32}")
_OURS = (".journal", ".lock", ".done", ".json", ".tmp")


def pair_folder(store: Path, fingerprint: str) -> Path:
    """Where a pair's journals lie.

    Raises:
        ValueError: the fingerprint is not one, and might lead elsewhere.
    """
    name = fingerprint[:32]
    if not _PAIR_NAME.fullmatch(name):
        raise ValueError(f"{fingerprint!r} is no fingerprint of a pair")
    return store / name


def pair_folders(store: Path) -> list[Path]:
    """The folders of all pairs; whatever else lies in the store is passed over."""
    return [path for path in _listed(store) if _PAIR_NAME.fullmatch(path.name) and path.is_dir()]


def journals_of(pair: Path) -> list[Path]:
    """The journals of a pair, newest first: their names begin with the time."""
    return [path for path in reversed(_listed(pair)) if path.suffix == ".journal"]


def bytes_of(pair: Path) -> int:
    """What a pair takes on the disk."""
    return sum(_size(path) for path in _our_files(pair))


def last_used(pair: Path) -> datetime:
    """When a pair was last worked on or read from, UTC."""
    for path in (pair / PAIR_FILE, pair):
        with suppress(OSError):
            return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    return datetime.fromtimestamp(0, timezone.utc)


def remove_pair(pair: Path) -> int:
    """Remove a pair unless a live run writes one of its journals, for it may read from the others.

    Returns:
        Bytes freed.
    """
    journals = journals_of(pair)
    if any(in_use(journal) for journal in journals):
        return 0
    before = bytes_of(pair)
    for journal in journals:
        remove_journal(journal)
    if not journals_of(pair):  # one that another program has open stays, on Windows
        for path in _our_files(pair):
            _unlink(path)
        with suppress(OSError):  # somebody's own file is in it
            pair.rmdir()
    return before - bytes_of(pair)


def remove_journal(path: Path, *, with_output: bool = True) -> bool:
    """Remove a journal, and the partial output of an unfinished one, unless a live run writes it.

    Args:
        path: the journal.
        with_output: whether the partial output goes too, which it does not where a run goes on without the journal.
    """
    with left_alone(path) as alone:
        if not alone:
            return False
        with suppress(EngineError):
            if with_output:
                remove_part_file(read_journal(path))
        removed = _unlink(path)
        if removed:
            _unlink(done_mark(path))
    if removed:
        _unlink(lock_file(path))
    return removed


def remove_part_file(journal: Journal) -> None:
    """Remove the partial outputs that an unfinished journal names, if the names are those that this program gives.

    Not what another journal of the pair names too: a run that went on from it may have been stopped again.
    """
    for part in _part_files(journal):
        if journal.finished or _named_by_others(journal, part):
            continue
        path = Path(part)
        if not path.is_absolute() or not fnmatch(path.name, ".lora-*.part"):
            continue
        if path.is_dir() and not path.is_symlink():
            _remove_folder(path)
        elif path.is_file():
            _unlink(path)


def _remove_folder(folder: Path) -> None:
    """Remove a folder of files; one that has folders in it is none of this program's and stays."""
    with suppress(OSError):
        for path in [*folder.iterdir()]:
            path.unlink()
        folder.rmdir()


def _part_files(journal: Journal) -> list[str]:
    further = journal.head.get("further_part_files")
    parts = [journal.head.get("part_file"), *(further if isinstance(further, list) else [])]
    return [part for part in parts if isinstance(part, str)]


def _named_by_others(journal: Journal, part: str) -> bool:
    for path in journals_of(journal.path.parent):
        with suppress(EngineError):
            if path != journal.path and part in _part_files(read_journal(path)):
                return True
    return False


def move_aside(store: Path, path: Path) -> Path | None:
    """Move what cannot be used out of the way, to where a person can look at it.

    Returns:
        Where it is now; None if it cannot be moved.
    """
    number, target = 1, store / SET_ASIDE / path.name
    while target.exists():
        number += 1
        target = target.with_name(f"{path.stem}-{number}{path.suffix}")
    try:
        target.parent.mkdir(exist_ok=True)
        os.replace(path, target)
    except OSError:
        return None
    return target


def bytes_set_aside(store: Path) -> int:
    """What the files that were set aside take on the disk."""
    return sum(_size(path) for path in _our_files(store / SET_ASIDE))


def remove_set_aside(store: Path) -> int:
    """Remove what was set aside.

    Returns:
        Bytes freed.
    """
    before = bytes_set_aside(store)
    for path in _our_files(store / SET_ASIDE):
        _unlink(path)
    with suppress(OSError):
        (store / SET_ASIDE).rmdir()
    return before - bytes_set_aside(store)


def _our_files(folder: Path) -> Iterator[Path]:
    return (path for path in _listed(folder) if path.suffix in _OURS and path.is_file())


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # not there, or not ours to read
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # another process removed it meanwhile
        return 0


def _unlink(path: Path) -> bool:
    """Whether the file is gone."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
