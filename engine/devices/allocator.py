"""Large pages for large tensors: asked of torch's allocator before it is first used.

A run allocates and frees arrays of many megabytes all the time; with 4 KiB pages the kernel's page faults took a tenth
of an extraction. Linux gives 2 MiB pages where a program asks (``madvise``); elsewhere this has no effect.
"""

from __future__ import annotations

import os

_SWITCH = "THP_MEM_ALLOC_ENABLE"  # https://github.com/pytorch/pytorch/pull/93888


def prefer_large_pages() -> None:
    """Switch it on, unless the person has decided; torch reads it at its first allocation."""
    os.environ.setdefault(_SWITCH, "1")
