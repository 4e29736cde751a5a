"""Whether a folder can take the output, told before the run and without creating anything there."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import psutil

from engine.errors import EngineError, ErrorCode

# File systems of Linux's kernel itself: their folders say that root may write there, and take no file all the same.
_OF_THE_KERNEL = frozenset(
    ["proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "pstore", "bpf", "configfs", "devpts"]
)


def check_writable(folder: Path) -> None:
    """Look whether a folder, or the nearest one above it that exists, takes new files.

    A drive that lies is met when the file is created; this only saves the person from finding out that late.

    Raises:
        EngineError: ``output_unwritable``, naming the folder and what is `at` fault: it or one above it.
    """
    try:
        at = _nearest(folder)
        if at is None:
            raise _refusal(folder, "no_drive", Path(folder.anchor or folder))
        if not stat.S_ISDIR(at.stat().st_mode):
            raise _refusal(folder, "is_file" if at == folder else "below_file", at)
        if not _allowed(at) or _of_the_kernel(at):
            raise _refusal(folder, "closed" if at == folder else "below_closed", at)
    except OSError as error:  # a folder that may not even be looked into
        reason = error.strerror or str(error)
        raise EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=folder, reason=reason) from error


def _refusal(folder: Path, reason: str, at: Path) -> EngineError:
    return EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=folder, reason=reason, at=str(at))


def _nearest(folder: Path) -> Path | None:
    """The folder, or what exists of the way to it; a link that leads nowhere takes no folder either."""
    for at in (folder, *folder.parents):
        try:
            os.stat(at)
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(at):
                raise _refusal(folder, "broken_link", at) from None
            continue
        return at
    return None


def _allowed(folder: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=effective)


def _of_the_kernel(folder: Path) -> bool:
    """Whether a folder lies in a file system that keeps no files. Only those without a size are looked up."""
    if sys.platform != "linux" or os.statvfs(folder).f_blocks:
        return False
    real = folder.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if real.is_relative_to(part.mountpoint)]
    nearest = max(mounts, key=lambda part: len(Path(part.mountpoint).parts), default=None)
    return nearest is not None and nearest.fstype in _OF_THE_KERNEL
