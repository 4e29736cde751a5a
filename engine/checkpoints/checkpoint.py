"""What every model container looks like to the rest of the engine."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from engine.checkpoints.dtypes import DTYPES

_Self = TypeVar("_Self", bound="Checkpoint")


@dataclass(frozen=True)
class TensorInfo:
    """A tensor as the header describes it; `dtype` is a key of `DTYPES`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_weight(self) -> bool:
        """Whether its numbers are real floats that can be subtracted as they are."""
        return DTYPES[self.dtype].is_weight


@dataclass(frozen=True)
class TensorView:
    """A tensor of a file, or a part of one, under its canonical name.

    Attributes:
        info: the tensor in the file.
        component: ``denoiser``, ``text_encoders``, ``vae`` or ``other``.
        shape: shape of the view.
        rows: first and last row taken of a fused tensor; None takes all.
        transposed: the file stores (in, out) where the canonical weight is (out, in).
    """

    info: TensorInfo
    component: str
    shape: tuple[int, ...]
    rows: tuple[int, int] | None = None
    transposed: bool = False


class Checkpoint(ABC):
    """A model opened read-only: its header in memory, its tensors on disk.

    Attributes:
        path: the file it was opened from.
        container: the container in words, ``safetensors``.
        size_bytes: the file's size.
        tensors: every tensor by its name in the file, in the order of the file.
        metadata: the container's own texts.
        header_sha256: hash of the header, hexadecimal.
    """

    path: Path
    container: str
    size_bytes: int
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    header_sha256: str

    @abstractmethod
    def read_into(self, name: str, buffer: memoryview) -> None:
        """Read a tensor's bytes, little-endian and in row-major order, into a buffer of exactly its size.

        Raises:
            EngineError: ``input_changed`` where the file shrank or vanished, ``file_unreadable`` on a disk error.
        """

    @abstractmethod
    def read_part(self, name: str, start: int, buffer: memoryview) -> None:
        """Fill a buffer with a tensor's bytes from byte `start` of it on; see `read_into`."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Identify the contents: hash of the size, the header and 256 evenly spaced pieces of 64 KiB. Made once."""

    @abstractmethod
    def check_unchanged(self) -> None:
        """Raise `EngineError` ``input_changed`` if the file is not the one that was opened."""

    @abstractmethod
    def close(self) -> None:
        """Give the file back to the system."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def pair_fingerprint(finetuned: Checkpoint, original: Checkpoint) -> str:
    """Identify a pair of models by their contents: SHA-256 over both fingerprints, hexadecimal."""
    return hashlib.sha256((finetuned.fingerprint() + original.fingerprint()).encode()).hexdigest()
