"""From a checkpoint's bytes to torch tensors."""

from __future__ import annotations

import torch

from engine.allocator import prefer_large_pages
from engine.checkpoints import Checkpoint, TensorInfo
from engine.checkpoints.dtypes import DTYPES

prefer_large_pages()  # here, where every run's first tensors are made


def torch_dtype(info: TensorInfo) -> torch.dtype:
    """The torch dtype of a tensor's numbers."""
    dtype = getattr(torch, DTYPES[info.dtype].torch_name)
    assert isinstance(dtype, torch.dtype)
    return dtype


class HostBuffer:
    """Host memory that is used again and again: fresh pages cost more than what is done with them."""

    def __init__(self) -> None:
        self._bytes = torch.empty(0, dtype=torch.uint8)

    def take(self, count: int) -> torch.Tensor:
        """So many bytes, (count,) uint8, uninitialised. What was taken before is no longer valid."""
        if count > self._bytes.numel():
            self._bytes = torch.empty(0, dtype=torch.uint8)  # never hold the old and the new one at once
            self._bytes = torch.empty(count, dtype=torch.uint8)
        return self._bytes[:count]

    def shrink(self, most: int) -> None:
        """Give the memory back if it is more than so many bytes. What was taken before is no longer valid."""
        if self._bytes.numel() > most:
            self._bytes = torch.empty(0, dtype=torch.uint8)

    def holds(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor lies in this memory."""
        mine = self._bytes.untyped_storage()
        return mine.nbytes() > 0 and tensor.untyped_storage().data_ptr() == mine.data_ptr()


def read_tensor(checkpoint: Checkpoint, name: str, buffer: HostBuffer | None = None) -> torch.Tensor:
    """Read one tensor into host memory, in the dtype and shape of the file.

    Args:
        checkpoint: the file.
        name: the tensor's name in it.
        buffer: memory to read into; the tensor is valid until it is taken again. None takes new memory.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    info = checkpoint.tensors[name]
    raw = torch.empty(info.nbytes, dtype=torch.uint8) if buffer is None else buffer.take(info.nbytes)
    checkpoint.read_into(name, raw.numpy().data)
    return raw.view(torch_dtype(info)).reshape(info.shape)
