"""Where the decompositions of earlier runs, and samples of models, are kept for the window and the command line."""

from __future__ import annotations

from app.storage.paths import cache_dir
from engine.store.samples import LIMIT_BYTES, SampleIndex
from engine.store.store import DecompositionStore, read_limit, write_limit


def open_store() -> DecompositionStore:
    """The person's own store, with the size that was set for it; its folder may not exist yet."""
    folder = cache_dir() / "decompositions"
    return DecompositionStore(folder, read_limit(folder))


def open_samples() -> SampleIndex:
    """The person's own index of sampled models, never larger than the store may be; its folder may not exist yet."""
    return SampleIndex(cache_dir() / "samples", min(LIMIT_BYTES, open_store().limit_bytes))


def cache_bytes() -> int:
    """What both take on the disk."""
    return open_store().size_bytes + open_samples().size_bytes


def clear_cache() -> int:
    """Remove everything but what live runs use; returns bytes freed."""
    return open_store().clear() + open_samples().clear()


def limit_cache(limit_bytes: int) -> int:
    """Remember how much may be kept, and remove what is more; returns bytes freed.

    Raises:
        EngineError: see `write_limit`.
    """
    store = open_store()
    store.limit_bytes = limit_bytes
    write_limit(store.folder, limit_bytes)
    return store.make_room() + open_samples().make_room()
