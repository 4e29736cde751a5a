"""From a checkpoint's bytes to torch tensors."""

from __future__ import annotations

import torch

from engine.checkpoints import Checkpoint, TensorInfo
from engine.checkpoints.dtypes import DTYPES


def torch_dtype(info: TensorInfo) -> torch.dtype:
    """The torch dtype of a tensor's numbers."""
    dtype = getattr(torch, DTYPES[info.dtype].torch_name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def read_tensor(checkpoint: Checkpoint, name: str) -> torch.Tensor:
    """Read one tensor into new host memory, in the dtype and shape of the file.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    info = checkpoint.tensors[name]
    raw = torch.empty(info.nbytes, dtype=torch.uint8)
    checkpoint.read_into(name, raw.numpy().data)
    return raw.view(torch_dtype(info)).reshape(info.shape)
