"""The journals of one pair of models: what earlier runs left, and the one that a run is writing."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock

from engine.disk import disk_errors, sync_folder, write_json
from engine.errors import EngineError, ErrorCode
from engine.store.folders import (
    MODELS_FILE,
    PAIR_FILE,
    journals_of,
    move_aside,
    pair_folder,
    remove_journal,
    remove_pair,
    remove_part_file,
)
from engine.store.journal import Entry, Journal, JournalWriter, done_mark, read_journal
from engine.store.locks import in_use, left_alone, lock_file, run_lock, store_locked, store_locked_if_possible

Superseded = Callable[[Entry, Entry], bool]


class PairStore:
    """One pair's part of a store. Made by `DecompositionStore.open`; touches nothing on disk before `begin`.

    Attributes:
        folder: where the pair's journals lie.
        set_aside: journals found damaged or foreign, where they are now.
    """

    def __init__(self, store: Path, fingerprint: str, titles: tuple[str, str]) -> None:
        self.folder = pair_folder(store, fingerprint)
        self.fingerprint = fingerprint
        self.titles = titles
        self.set_aside: list[Path] = []
        self._store = store
        self._reading = threading.RLock()
        self._journals: tuple[Journal, ...] | None = None
        self._by_name: dict[str, tuple[Entry, ...]] = {}
        self._writer: JournalWriter | None = None
        self._lock: FileLock | None = None

    @property
    def journals(self) -> tuple[Journal, ...]:
        """All journals that can be read, newest first, as the last look at the disk found them."""
        with self._reading:
            if self._journals is None:
                self.refresh()
            return self._journals or ()

    def entries(self, name: str) -> tuple[Entry, ...]:
        """All whole records of a layer, newest first. Any of them may be gone when it is loaded."""
        with self._reading:
            if self._journals is None:
                self.refresh()
            return self._by_name.get(name, ())

    def refresh(self) -> None:
        """Look at the disk again, and set aside what cannot be used."""
        journals = []
        for path in journals_of(self.folder):
            try:
                journals.append(self._read(path))
            except EngineError as error:
                if _useless(error):
                    self._set_aside(path)
        by_name = defaultdict(list)
        for journal in journals:
            for entry in reversed(journal.entries):
                by_name[entry.name].append(entry)
        with self._reading:
            self._journals = tuple(journals)
            self._by_name = {name: tuple(entries) for name, entries in by_name.items()}

    def _read(self, path: Path) -> Journal:
        journal = read_journal(path)
        if journal.head.get("fingerprint") != self.fingerprint:
            raise EngineError(ErrorCode.JOURNAL_INVALID, file=path, reason="it belongs to other models")
        return journal

    def _set_aside(self, path: Path) -> None:
        """Move a journal away, unless it is one that another run is beginning at this moment."""
        with store_locked_if_possible(self._store) as locked, left_alone(path) as alone:
            if not locked or not alone:
                return
            try:
                self._read(path)
            except EngineError as error:
                moved = move_aside(self._store, path) if _useless(error) else None
                if moved is not None:
                    self.set_aside.append(moved)
                    with suppress(OSError):  # its own lock too, which is free
                        done_mark(path).unlink(missing_ok=True)
                        lock_file(path).unlink(missing_ok=True)

    def begin(self, head: dict[str, Any]) -> JournalWriter:
        """Begin a journal, and hold its lock until `finish`.

        Args:
            head: what the run says of itself, JSON values. ``part_file`` names its partial output (absolute), which
                is removed with the journal if the run never finishes. ``started`` is added if it is not given.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        if self._writer is not None:
            raise RuntimeError("the run before has not been finished")
        now = datetime.now(timezone.utc)
        path = self.folder / f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}.journal"
        head = {"started": now.isoformat(timespec="seconds"), **head, "fingerprint": self.fingerprint}
        with disk_errors(self.folder):
            self._store.mkdir(parents=True, exist_ok=True)
            with store_locked(self._store):
                self.folder.mkdir(exist_ok=True)
                try:
                    writer = self._create(path, head)
                except BaseException:
                    with suppress(OSError):
                        lock_file(path).unlink(missing_ok=True)
                        self.folder.rmdir()  # unless other runs' journals are in it
                    raise
                with suppress(OSError):  # it is for people only
                    finetuned, original = self.titles
                    words = {"fingerprint": self.fingerprint, "finetuned": finetuned, "original": original}
                    write_json(self.folder / PAIR_FILE, {"version": 1, **words})
        sync_folder(self._store)
        sync_folder(self._store.parent)
        return writer

    def _create(self, path: Path, head: dict[str, Any]) -> JournalWriter:
        lock = run_lock(path)  # before the journal, so that nobody ever sees it unlocked
        lock.acquire()
        try:
            writer = JournalWriter(path, head)
        except BaseException:
            lock.release()
            raise
        self._writer, self._lock = writer, lock
        return writer

    def finish(
        self,
        finished: bool,
        superseded: Superseded | None = None,
        *,
        continued: Iterable[Path] = (),
        goes_on: bool = False,
    ) -> None:
        """Close the journal and give its lock back. Whatever the disk says by now, the run's result stands.

        Args:
            finished: the run came to its end; if not, its journal is there to be continued.
            superseded: whether the second of two records of a layer makes the first one worthless. With it, journals
                whose records are all superseded by those of others are removed. Without, none is.
            continued: journals of unfinished runs that this one took over from; with it they are finished too.
            goes_on: the run goes on without its journal, so that its partial output stays whatever becomes of that.
        """
        if self._writer is None or self._lock is None:
            return
        writer, lock = self._writer, self._lock
        self._writer = self._lock = None
        try:
            with suppress(EngineError, OSError):  # without its mark it counts as unfinished, which costs nothing
                try:
                    if finished:
                        writer.sync()
                        done_mark(writer.path).touch()
                        sync_folder(self.folder)
                finally:
                    writer.close()
        finally:
            lock.release()
        self.touch()
        self._journals = None
        with store_locked_if_possible(self._store) as locked:
            if locked:
                if finished:
                    _mark_finished(journal for journal in self.journals if journal.path in set(continued))
                    self._remove_superseded(superseded)
                empty = [j for j in self.journals if j.path == writer.path and not j.entries]
                self._remove(empty, with_output=not goes_on)
        self._journals = None  # whoever wants to know looks at the disk again

    def _remove_superseded(self, superseded: Superseded | None) -> None:
        if superseded is None:
            return
        # a live run's records are not counted on: it may yet discard them
        kept = {journal.path for journal in self.journals if not in_use(journal.path)}
        for journal in reversed(self.journals):
            if journal.path in kept and all(
                any(
                    new.path in kept and new.path != journal.path and superseded(old, new)
                    for new in self.entries(old.name)
                )
                for old in journal.entries
            ):
                kept.discard(journal.path)
                self._remove([journal])

    def _remove(self, journals: list[Journal], *, with_output: bool = True) -> None:
        for journal in journals:
            remove_journal(journal.path, with_output=with_output)
        if not journals_of(self.folder):
            remove_pair(self.folder)

    def remember(self, models: Callable[[], dict[str, Any]]) -> None:
        """Keep a description of both models, which is made only where there is none yet; the folder exists."""
        with suppress(OSError):
            if not (self.folder / MODELS_FILE).exists():
                write_json(self.folder / MODELS_FILE, models())

    @property
    def models(self) -> dict[str, Any]:
        """What `remember` kept; empty where there is nothing that can be read."""
        try:
            data = json.loads((self.folder / MODELS_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return data if isinstance(data, dict) else {}

    def touch(self) -> None:
        """Count this pair as used now, so that it is among the last to go when room is needed."""
        with suppress(OSError):
            os.utime(self.folder / PAIR_FILE)


def _useless(error: EngineError) -> bool:
    """Not merely unreadable at this moment, nor a newer program's."""
    return error.code is ErrorCode.JOURNAL_INVALID and not error.data.get("other_version")


def _mark_finished(journals: Iterable[Journal]) -> None:
    for journal in journals:
        with left_alone(journal.path) as alone, suppress(OSError):
            if alone:
                remove_part_file(journal)
                done_mark(journal.path).touch()
