"""What is stored of a layer, without a key: two factors with their alpha, or the difference itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from engine.decompose.method import StoredPart


class StoredLayer(ABC):
    """The tensors of one layer; a format of `engine.formats` gives them keys."""

    @property
    @abstractmethod
    def parts(self) -> Mapping[StoredPart, torch.Tensor]:
        """The tensors as they stand in a file, in the order in which they are written."""

    @abstractmethod
    def moved(self, move: Callable[[torch.Tensor], torch.Tensor]) -> StoredLayer:
        """The same layer with each tensor replaced by what `move` makes of it, such as a copy on the host."""

    @property
    def nbytes(self) -> int:
        """Memory of all tensors."""
        return sum(part.numel() * part.element_size() for part in self.parts.values())


@dataclass(frozen=True)
class Factors(StoredLayer):
    """A low-rank change: alpha / rank * up @ down.

    Attributes:
        up: (out, rank).
        down: (rank, in * kernel sizes).
        alpha: float32 without dimensions.
        kernel: the kernel sizes of a convolution; empty for a matrix.
        enlarged: the shape that the weight is to be enlarged to before; empty where it stays as it is.
    """

    up: torch.Tensor
    down: torch.Tensor
    alpha: torch.Tensor
    kernel: tuple[int, ...] = ()
    enlarged: tuple[int, ...] = ()

    @property
    def parts(self) -> Mapping[StoredPart, torch.Tensor]:
        """``up`` (out, rank, 1, ...), ``down`` (rank, in, kernel sizes ...), ``alpha``, and perhaps ``reshape``."""
        parts: dict[StoredPart, torch.Tensor] = {
            "up": self.up.reshape(*self.up.shape, *(1,) * len(self.kernel)),
            "down": self.down.reshape(len(self.down), -1, *self.kernel),
            "alpha": self.alpha,
        }
        return parts | ({"reshape": torch.tensor(self.enlarged)} if self.enlarged else {})

    def moved(self, move: Callable[[torch.Tensor], torch.Tensor]) -> Factors:
        """See `StoredLayer.moved`."""
        return Factors(move(self.up), move(self.down), move(self.alpha), self.kernel, self.enlarged)


@dataclass(frozen=True)
class Difference(StoredLayer):
    """A change as it is, in the shape of the weight."""

    values: torch.Tensor

    @property
    def parts(self) -> Mapping[StoredPart, torch.Tensor]:
        """``difference`` alone."""
        return {"difference": self.values}

    def moved(self, move: Callable[[torch.Tensor], torch.Tensor]) -> Difference:
        """See `StoredLayer.moved`."""
        return Difference(move(self.values))
