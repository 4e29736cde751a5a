"""Catches the end that Python cannot report: a crash in native code leaves the tracebacks of all threads in a file.

Every process has a file of its own in the log folder, and beside it a lock that the system lets go of however the
process ends. At a start, files whose lock is free belong to processes that are gone without a goodbye:

- with tracebacks in it, the program crashed. That is reported once, and the file stays for the report.
- with nothing in it, the process was ended from outside: a kill, the power, the system short of
  memory. Nothing of this program was wrong, so only the log says so.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from filelock import FileLock

RUNNING, CRASHED, LOCK = ".running", ".txt", ".lock"
PREFIX = "crash-"
KEPT = 5  # older tracebacks go
LONGEST = 60_000  # characters of tracebacks that are read


@dataclass(frozen=True)
class UncleanEnds:
    """How earlier processes ended that said no goodbye.

    Attributes:
        crashes: files with tracebacks, newest first.
        killed: how many were ended from outside.
    """

    crashes: tuple[Path, ...] = ()
    killed: int = 0


class CrashLog:
    """This process's file. `start` as early as possible; the goodbye is said when the interpreter ends in order."""

    def __init__(self, folder: Path) -> None:
        """Name the file; nothing is written before `start`.

        Args:
            folder: of the logs; it need not exist.
        """
        self._folder = folder
        name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self.path = folder / f"{name}{RUNNING}"
        self._lock = FileLock(folder / f"{name}{LOCK}", timeout=0, thread_local=False)
        self._stream: TextIO | None = None

    def start(self) -> UncleanEnds:
        """Catch crashes from now on, and report how earlier processes ended; without a writable folder do nothing.

        Each end is reported to one process only, also where several start at once.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()  # before the file is there, or another start takes it for a dead one's
            self._stream = self.path.open("x", encoding="utf-8")
        except OSError:
            return UncleanEnds()
        faulthandler.enable(self._stream, all_threads=True)
        atexit.register(self.close)
        return _look_at(self._folder)

    def close(self) -> None:
        """The goodbye: this process ended in order. What was caught on the way and survived is no crash."""
        if self._stream is None:
            return
        atexit.unregister(self.close)
        faulthandler.disable()
        self._stream.close()
        self._stream = None
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        self._lock.release()
        with suppress(OSError):
            Path(self._lock.lock_file).unlink(missing_ok=True)


def crash_text(file: Path) -> str:
    """The tracebacks in a file; empty where it cannot be read."""
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(LONGEST)
    except OSError:
        return ""


def _look_at(folder: Path) -> UncleanEnds:
    crashes, killed = [], 0
    for running in _left_behind(folder):
        try:
            if running.stat().st_size == 0:
                running.unlink()
                killed += 1
                continue
            crashed = running.with_suffix(CRASHED)
            running.replace(crashed)
            crashes.append((crashed.stat().st_mtime, crashed))
        except OSError:
            continue
    _remove_old(folder)
    return UncleanEnds(tuple(path for _time, path in sorted(crashes, reverse=True)), killed)


def _left_behind(folder: Path) -> Iterator[Path]:
    """Files of processes that are gone; while one is given, no other start has it."""
    for running in sorted(folder.glob(f"{PREFIX}*{RUNNING}")):
        lock = FileLock(running.with_suffix(LOCK), timeout=0, thread_local=False)
        try:
            lock.acquire()
        except OSError:  # its process lives, or another start is looking at it
            continue
        try:
            if running.exists():
                yield running
        finally:
            lock.release()
            with suppress(OSError):
                Path(lock.lock_file).unlink(missing_ok=True)


def _remove_old(folder: Path) -> None:
    found = []
    for path in folder.glob(f"{PREFIX}*{CRASHED}"):
        with suppress(OSError):
            found.append((path.stat().st_mtime, path))
    for _time, path in sorted(found, reverse=True)[KEPT:]:
        with suppress(OSError):
            path.unlink()
