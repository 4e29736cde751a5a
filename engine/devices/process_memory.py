"""How the process takes memory from the system, and gives it back where its allocators would keep it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

_LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"  # https://github.com/pytorch/pytorch/pull/93888
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, <malloc.h>
_AT_ONCE = 1 << 20  # bytes of a piece that is given back as soon as it is freed, where memory is short
TIGHT = 4 << 30  # a budget below it is missed by what allocators keep, half a gigabyte with two workers
_USUAL = 32 << 20  # what glibc raises that to by itself, on 64 bits; it gives back twice as much from its heap


def prefer_large_pages() -> None:
    """Ask torch's allocator for large pages, unless the environment decides; it reads that at its first allocation.

    A run allocates and frees arrays of many megabytes all the time; with 4 KiB pages the kernel's page faults took a
    tenth of an extraction. Linux gives 2 MiB pages where a program asks (``madvise``); elsewhere this has no effect.
    """
    os.environ.setdefault(_LARGE_PAGES, "1")


def trim_heap() -> None:
    """Hand memory that was freed to the system, where its C library can be asked to; takes milliseconds.

    Without it a process that has extracted holds up to a gigabyte that nobody uses: glibc returns large pieces at once,
    but keeps those of up to 32 MiB, which is what layers and factors are made of.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@contextmanager
def at_once(wanted: bool) -> Iterator[None]:
    """Where `wanted`, freed pieces of a megabyte and more go back to the system at once, in the whole process.

    Else they stay with the thread that freed them: two workers together kept 500 MiB beyond what they used. New pages
    cost up to a seventh of the time where layers are small, so it is for runs within a budget below `TIGHT`.
    """
    option = _option() if wanted else None
    if option is None:
        yield
        return
    option(_MMAP_THRESHOLD, _AT_ONCE)
    option(_TRIM_THRESHOLD, _AT_ONCE)
    try:
        yield
    finally:
        option(_MMAP_THRESHOLD, _USUAL)
        option(_TRIM_THRESHOLD, 2 * _USUAL)


@cache
def _option() -> Callable[[int, int], object] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return None


@cache
def _trim() -> Callable[[int], object] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
