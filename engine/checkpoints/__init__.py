"""Models on disk: every container gives the same lazy `Checkpoint`. Opening one reads headers only."""

from engine.checkpoints.checkpoint import Checkpoint, TensorInfo, TensorView, pair_fingerprint
from engine.checkpoints.opening import open_checkpoint

__all__ = ["Checkpoint", "TensorInfo", "TensorView", "open_checkpoint", "pair_fingerprint"]
