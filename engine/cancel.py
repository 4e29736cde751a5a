"""A token the work asks and the person's side sets."""

from __future__ import annotations

import threading

from engine.errors import Cancelled


class CancelToken:
    """Thread-safe: any thread may call `cancel`, the engine asks between layers and within them, see `engine.steps`."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Ask the work to stop at its next check."""
        self._event.set()

    def check(self) -> None:
        """Raise `Cancelled` if somebody asked to stop."""
        if self._event.is_set():
            raise Cancelled
