"""Giving freed memory back to the system, which allocators otherwise keep for themselves. No torch."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Hand memory that was freed to the system, where its C library can be asked to; takes milliseconds.

    Without it a process that has extracted holds up to a gigabyte that nobody uses: glibc returns large pieces at once,
    but keeps those of up to 32 MiB, which is what layers and factors are made of.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], object] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
