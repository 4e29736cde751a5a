"""Keeps Python 3.11 and older alive under PySide versions whose signals lose references to True and None.

Seen with PySide 6.12 on Python 3.11: `sys.getrefcount(True)` falls by one with every `emit`, so that a long run
ends in "Fatal Python error: bool_dealloc"; None goes the same way, more slowly. From Python 3.12 on these
constants are immortal and nothing is needed.
"""

from __future__ import annotations

import ctypes
import sys

LAST_MORTAL = (3, 11)
MANY = 1 << 40


def protect_constants() -> None:
    """Give True, False and None so many references that no lost one can matter; calling it again does nothing."""
    if sys.version_info[:2] > LAST_MORTAL or sys.implementation.name != "cpython":
        return
    for constant in (True, False, None):
        if sys.getrefcount(constant) < MANY:
            ctypes.c_ssize_t.from_address(id(constant)).value += MANY
