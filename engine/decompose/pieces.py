"""A matrix that is gone over in pieces along its long side, so that it need not be held whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch

from engine.decompose.delta import energy
from engine.decompose.workspace import piece_length, worked_in_pieces
from engine.steps import check

_ALIGNED = 64  # bytes that a tensor of its own begins at a multiple of


class Pieces(ABC):
    """A float32 matrix in pieces: rows of a tall one, columns of a wide one. It may be gone over any number of times.

    Attributes:
        shape: (out, in).
    """

    shape: tuple[int, int]

    @abstractmethod
    def piece(self, start: int, stop: int) -> torch.Tensor:
        """Rows or columns `start` to `stop`, (stop - start, in) or (out, stop - start); valid until the next one."""

    @property
    def tall(self) -> bool:
        """Whether the pieces are rows."""
        return self.shape[0] > self.shape[1]

    @property
    def short(self) -> int:
        """The short side."""
        return min(self.shape)

    @property
    def long(self) -> int:
        """The long side."""
        return max(self.shape)

    def __iter__(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """Where each piece lies on the long side, and the piece; asks before each whether the work is to stop."""
        step = piece_length(self.short)
        for start in range(0, self.long, step):
            check()
            stop = min(self.long, start + step)
            yield slice(start, stop), self.piece(start, stop)


class HeldPieces(Pieces):
    """Pieces of a matrix in memory."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.shape = int(matrix.shape[0]), int(matrix.shape[1])
        self._matrix = matrix

    def piece(self, start: int, stop: int) -> torch.Tensor:
        """See `Pieces.piece`. It lies in memory as one from a file does, as products differ by that in the last bit."""
        part = self._matrix[start:stop] if self.tall else self._matrix[:, start:stop]
        if part.is_contiguous() and part.data_ptr() % _ALIGNED == 0:
            return part
        return torch.empty(part.shape, dtype=part.dtype).copy_(part)


class ScaledPieces(Pieces):
    """Pieces of another matrix, times a factor."""

    def __init__(self, pieces: Pieces, factor: float) -> None:
        self.shape = pieces.shape
        self._pieces, self._factor = pieces, factor

    def piece(self, start: int, stop: int) -> torch.Tensor:
        """See `Pieces.piece`."""
        return self._pieces.piece(start, stop) * self._factor


def in_pieces(matrix: torch.Tensor | Pieces) -> Pieces | None:
    """A matrix as pieces where it is worked on so, whether or not it is in memory; None where it is worked on whole."""
    if isinstance(matrix, Pieces):
        return matrix
    held = matrix.device.type == "cpu" and worked_in_pieces((int(matrix.shape[0]), int(matrix.shape[1])))
    return HeldPieces(matrix) if held else None


def residual_in_pieces(pieces: Pieces, up: torch.Tensor, down: torch.Tensor, scale: float) -> float:
    """|matrix - scale * up @ down|^2, squared Frobenius norm, formed as it stands."""
    lost = 0.0
    for place, piece in pieces:
        ours, theirs = (up[place], down) if pieces.tall else (up, down[:, place])
        lost += energy(torch.addmm(piece, ours, theirs, alpha=-scale))
    return lost
