"""From a checkpoint's bytes to torch tensors."""

from __future__ import annotations

import torch

from engine.checkpoints import Checkpoint, TensorInfo, TensorView
from engine.checkpoints.dtypes import DTYPES
from engine.devices.buffer_pool import HostBuffer
from engine.devices.process_memory import prefer_large_pages

prefer_large_pages()  # here, where every run's first tensors are made


def torch_dtype(info: TensorInfo) -> torch.dtype:
    """The torch dtype of a tensor's numbers."""
    dtype = getattr(torch, DTYPES[info.dtype].torch_name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def read_tensor(checkpoint: Checkpoint, name: str, buffer: HostBuffer | None = None) -> torch.Tensor:
    """Read one tensor into host memory, in the dtype and shape of the file.

    Args:
        checkpoint: the file.
        name: the tensor's name in it.
        buffer: memory to read into; the tensor is valid until it is given back. None takes new memory.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    info = checkpoint.tensors[name]
    raw = torch.empty(info.nbytes, dtype=torch.uint8) if buffer is None else buffer.take(info.nbytes)
    checkpoint.read_into(name, raw.numpy().data)
    return raw.view(torch_dtype(info)).reshape(info.shape)


def read_view(checkpoint: Checkpoint, view: TensorView, buffer: HostBuffer | None = None) -> torch.Tensor:
    """Read a tensor, or the part of one that the view is, into host memory.

    Args:
        checkpoint: the file.
        view: what to read of it.
        buffer: see `read_tensor`; a transposed view is copied out of it.

    Returns:
        In the file's dtype and the view's shape.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    tensor = read_tensor(checkpoint, view.info.name, buffer)
    if view.rows is not None:
        tensor = tensor[view.rows[0] : view.rows[1]]
    return tensor.T.contiguous() if view.transposed else tensor
