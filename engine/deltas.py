"""The difference of two weights, always in float32, whatever the files store."""

from __future__ import annotations

import torch

from engine.checkpoints import Checkpoint
from engine.naming import TensorView
from engine.pairing import PairedWeight
from engine.tensors import read_tensor


def read_pair(finetuned: Checkpoint, original: Checkpoint, weight: PairedWeight) -> tuple[torch.Tensor, torch.Tensor]:
    """Read both sides of a weight into host memory, each in its file's dtype.

    Returns:
        Fine-tuned and original, in the shapes of their views.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    return read_view(finetuned, weight.finetuned), read_view(original, weight.original)


def difference(tuned: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """float32(tuned) - float32(base), in the shape of `base`, on their device.

    Where a vocabulary was resized the two differ in their number of rows: the common rows are subtracted,
    further rows of the original have a zero delta, further rows of the fine-tuned side have no place.
    """
    if tuned.shape == base.shape:
        return tuned.to(torch.float32).sub_(base.to(torch.float32))
    rows = min(tuned.shape[0], base.shape[0])
    delta = torch.zeros(base.shape, dtype=torch.float32, device=base.device)
    delta[:rows] = tuned[:rows].to(torch.float32) - base[:rows].to(torch.float32)
    return delta


def energy(tensor: torch.Tensor) -> float:
    """Squared Frobenius norm, summed in float64."""
    if tensor.device.type == "mps":  # no float64 there
        tensor = tensor.cpu()
    norm = torch.linalg.vector_norm(tensor, dtype=torch.float64)
    return float(norm) ** 2


def read_view(checkpoint: Checkpoint, view: TensorView) -> torch.Tensor:
    """Read a tensor, or the part of one that the view is, in the file's dtype and the view's shape."""
    tensor = read_tensor(checkpoint, view.info.name)
    if view.rows is not None:
        tensor = tensor[view.rows[0] : view.rows[1]]
    return tensor.T.contiguous() if view.transposed else tensor
