"""Each layer draws from a generator of its own."""

from __future__ import annotations

import hashlib


def layer_seed(seed: int, name: str) -> int:
    """A seed of the layer's own, so that order and company never change a result."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
