"""Where the decompositions of earlier runs are kept for the window and the command line."""

from __future__ import annotations

from app.storage.paths import cache_dir
from engine.store.store import DecompositionStore, read_limit


def open_store() -> DecompositionStore:
    """The person's own store, with the size that was set for it; its folder may not exist yet."""
    folder = cache_dir() / "decompositions"
    return DecompositionStore(folder, read_limit(folder))
