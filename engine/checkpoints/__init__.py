"""Models on disk: every container gives the same lazy `Checkpoint`. Opening one reads headers only."""

from engine.checkpoints.checkpoint import Checkpoint, TensorInfo, TensorView, pair_fingerprint
from engine.checkpoints.opening import open_checkpoint
from engine.checkpoints.pair_ref import PairRef

__all__ = ["Checkpoint", "PairRef", "TensorInfo", "TensorView", "open_checkpoint", "pair_fingerprint"]
