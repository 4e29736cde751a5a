"""What makes a layer's numbers repeatable: its own seed, and the version of the solvers."""

from __future__ import annotations

import hashlib

SOLVER_VERSION = 3  # raised when the same delta, policy and seed may give other numbers

CUT_VERSION = 1  # raised when the same layer and seed may give another cut of ``adaptive_noise``


def layer_seed(seed: int, name: str) -> int:
    """A seed of the layer's own, so that order and company never change a result."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
