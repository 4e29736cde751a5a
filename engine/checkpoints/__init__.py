"""Models on disk: every container gives the same lazy `Checkpoint`, every encoding the same numbers."""

from engine.checkpoints.checkpoint import Checkpoint, pair_fingerprint
from engine.checkpoints.opening import open_checkpoint
from engine.checkpoints.stored import Piece, StoredTensor, WeightSource, WeightView

__all__ = [
    "Checkpoint",
    "Piece",
    "StoredTensor",
    "WeightSource",
    "WeightView",
    "open_checkpoint",
    "pair_fingerprint",
]
