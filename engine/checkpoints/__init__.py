"""Models on disk: every container gives the same lazy `Checkpoint`. Opening one reads headers only."""

from engine.checkpoints.checkpoint import Checkpoint, TensorInfo, pair_fingerprint
from engine.checkpoints.opening import open_checkpoint

__all__ = ["Checkpoint", "TensorInfo", "open_checkpoint", "pair_fingerprint"]
