"""Ending the process although a thread still waits for a drive that does not answer.

Qt aborts the process when an object of a running thread is destroyed, and Python destroys everything at its end. So
what such a thread uses is kept here, and the process is left without any clearing up.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

from PySide6.QtCore import QThread

GIVE_UP_MS = 2000

_kept: list[tuple[QThread, tuple[object, ...]]] = []


def wait_or_keep(thread: QThread, *used: object) -> bool:
    """Wait for a thread to end; where it does not, keep it and what it uses alive from now on.

    Args:
        thread: its event loop has been asked to quit.
        used: the objects that live on it.

    Returns:
        Whether it has ended.
    """
    if thread.wait(GIVE_UP_MS):
        return True
    _kept.append((thread, used))
    return False


def left_behind() -> bool:
    """Whether a thread is still waiting, so that the process must be left with `leave_process`."""
    _kept[:] = [(thread, used) for thread, used in _kept if thread.isRunning()]
    return bool(_kept)


def leave_process(status: int) -> NoReturn:
    """End the process at once, as the system does it for a daemon: nothing is waited for or destroyed.

    Everything that shall outlive the process must have been written before.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # there are none in a program without a console
            stream.flush()
    os._exit(status)
