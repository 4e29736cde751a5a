"""The folder of all journals: how much there is of which pair, and what goes when room is needed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.disk import disk_errors, write_json
from engine.errors import EngineError, ErrorCode
from engine.store.folders import (
    PAIR_FILE,
    bytes_of,
    bytes_set_aside,
    journals_of,
    last_used,
    pair_folders,
    remove_pair,
    remove_set_aside,
)
from engine.store.journal import Journal, read_journal
from engine.store.locks import in_use, store_locked_if_possible
from engine.store.pair import PairStore

DEFAULT_LIMIT_BYTES = 10_000_000_000
_LIMIT_FILE = "cache.json"


@dataclass(frozen=True)
class PairUsage:
    """What a store holds of one pair.

    Attributes:
        titles: file names of the fine-tuned and the original model; empty where they are not known any more.
        fingerprint: of the pair.
        size_bytes: on the disk.
        layers: how many different ones it has records of.
        last_used: UTC.
        unfinished: a run was stopped before its end, and can be continued.
        in_use: a live run is writing.
    """

    titles: tuple[str, str]
    fingerprint: str
    size_bytes: int
    layers: int
    last_used: datetime
    unfinished: bool
    in_use: bool


class DecompositionStore:
    """All journals of one person. Several processes may use one store; nothing is kept open between calls."""

    def __init__(self, folder: Path, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        """Name a store; the folder need not exist.

        Args:
            folder: of the store alone.
            limit_bytes: `make_room` keeps the whole below this.
        """
        self.folder = folder
        self.limit_bytes = limit_bytes

    def open(self, fingerprint: str, titles: tuple[str, str]) -> PairStore:
        """A pair's part of the store.

        Args:
            fingerprint: of the pair, hexadecimal.
            titles: file names of the fine-tuned and the original model, for people.
        """
        return PairStore(self.folder, fingerprint, titles)

    @property
    def size_bytes(self) -> int:
        """What the store takes on the disk, with what was set aside."""
        return bytes_set_aside(self.folder) + sum(bytes_of(pair) for pair in pair_folders(self.folder))

    def make_room(self, needed: int = 0, keep: PairStore | None = None) -> int:
        """Remove whole pairs, the longest unused first, until so many bytes fit under the limit.

        What was set aside goes before any pair; pairs in use and `keep` stay, whatever the limit.

        Returns:
            Bytes freed.
        """
        freed = 0
        with store_locked_if_possible(self.folder) as locked:
            excess = self.size_bytes + needed - self.limit_bytes
            if not locked or excess <= 0:
                return 0
            freed += remove_set_aside(self.folder)
            for pair in sorted(pair_folders(self.folder), key=last_used):
                if freed >= excess:
                    break
                if keep is None or pair != keep.folder:
                    freed += remove_pair(pair)
        return freed

    def clear(self) -> int:
        """Remove everything but pairs in use.

        Returns:
            Bytes freed.
        """
        with store_locked_if_possible(self.folder) as locked:
            if not locked:
                return 0
            return remove_set_aside(self.folder) + sum(remove_pair(pair) for pair in pair_folders(self.folder))

    def find(self, start: str) -> PairStore:
        """The pair whose fingerprint begins so.

        Raises:
            EngineError: ``not_cached`` where there is none, or more than one.
        """
        found = [pair for pair in self.usage() if pair.fingerprint.startswith(start.lower()) and start]
        if len(found) != 1:
            names = [pair.fingerprint[:8] for pair in (found or self.usage())]
            raise EngineError(
                ErrorCode.NOT_CACHED, name=start, available=names or ["none"], reason="several" if found else "no_pair"
            )
        return self.open(found[0].fingerprint, found[0].titles)

    def usage(self) -> tuple[PairUsage, ...]:
        """What there is of which pair, most recently used first. What cannot be read counts by its size alone."""
        pairs = [_usage_of(pair) for pair in pair_folders(self.folder) if journals_of(pair)]
        return tuple(sorted(pairs, key=lambda pair: pair.last_used, reverse=True))


def read_limit(folder: Path) -> int:
    """The limit that a person chose for a store, in bytes; the default where none can be read."""
    limit = _read_json(folder / _LIMIT_FILE).get("limit_bytes")
    return limit if type(limit) is int and limit >= 0 else DEFAULT_LIMIT_BYTES


def write_limit(folder: Path, limit_bytes: int) -> None:
    """Remember the limit of a store.

    Raises:
        EngineError: ``output_unwritable`` or ``disk_full``; the old limit stands.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / _LIMIT_FILE, {"version": 1, "limit_bytes": limit_bytes})


def _usage_of(pair: Path) -> PairUsage:
    words = {name: value for name, value in _read_json(pair / PAIR_FILE).items() if isinstance(value, str)}
    journals: list[Journal] = []
    for path in journals_of(pair):
        with suppress(EngineError):
            journals.append(read_journal(path))
    live = {path for path in journals_of(pair) if in_use(path)}
    return PairUsage(
        titles=(words.get("finetuned", ""), words.get("original", "")),
        fingerprint=words.get("fingerprint", pair.name),
        size_bytes=bytes_of(pair),
        layers=len({entry.name for journal in journals for entry in journal.entries}),
        last_used=last_used(pair),
        unfinished=any(journal.entries and not journal.finished and journal.path not in live for journal in journals),
        in_use=bool(live),
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
