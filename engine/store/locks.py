"""Locks of the operating system, which vanish with their process however it ends.

A run holds the lock beside its journal for as long as it writes. The store's own lock is held for moments: while a run
begins, and while anything is removed. So nobody removes what another is just making.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

_SECONDS = 60.0  # many times what removing a full cache takes


def lock_file(journal: Path) -> Path:
    """The file beside a journal that its run locks."""
    return journal.with_suffix(".lock")


def run_lock(journal: Path) -> FileLock:
    """The lock of the run that writes a journal; not yet taken. Any thread may release it."""
    return FileLock(lock_file(journal), timeout=0, thread_local=False)


def in_use(journal: Path) -> bool:
    """Whether a live run, of this process or another, writes a journal."""
    if not lock_file(journal).exists():
        return False
    with left_alone(journal) as alone:
        return not alone


@contextmanager
def left_alone(journal: Path) -> Iterator[bool]:
    """Whether no live run writes a journal; if so, none can begin to before the block ends."""
    with _taken_if_possible(run_lock(journal)) as taken:
        yield taken


@contextmanager
def store_locked(folder: Path) -> Iterator[None]:
    """Hold a store's lock; its folder exists.

    Raises:
        OSError: it cannot be had.
    """
    with _store_lock(folder):
        yield


@contextmanager
def store_locked_if_possible(folder: Path) -> Iterator[bool]:
    """The same for those who can do without: whether it is held. Nothing is made where there is no store."""
    if not folder.is_dir():
        yield False
        return
    with _taken_if_possible(_store_lock(folder)) as taken:
        yield taken


def _store_lock(folder: Path) -> FileLock:
    return FileLock(folder / "store.lock", timeout=_SECONDS, thread_local=False)


@contextmanager
def _taken_if_possible(lock: FileLock) -> Iterator[bool]:
    try:
        lock.acquire()
        taken = True
    except OSError:  # held by another, or in a folder where nothing can be changed anyway
        taken = False
    try:
        yield taken
    finally:
        if taken:
            lock.release()
