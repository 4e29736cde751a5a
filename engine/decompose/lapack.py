"""LAPACK's long calls, each announced as a step that cannot be broken off, see `engine.steps`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from engine.steps import LONG, SPEEDS, StepKind, announced

_Result = TypeVar("_Result")
_OPERATIONS: dict[StepKind, Callable[[float, float], float]] = {
    # of a matrix with these (long, short) sides, about
    "eigh": lambda long, short: 9.0 * short**3,
    "eigvalsh": lambda long, short: 4.0 / 3.0 * short**3,
    "svd": lambda long, short: 4.0 * long * short**2 + 22.0 * short**3,
    "svdvals": lambda long, short: 4.0 * long * short**2,
    "qr": lambda long, short: 4.0 * long * short**2,
}
_SMALL_SIDE = 512  # of a matrix whose call tells the machine's speed in 20 to 200 ms


def eigh(symmetric: torch.Tensor, *, in_place: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues, ascending, and eigenvectors in columns of a symmetric matrix.

    Args:
        symmetric: (n, n), both triangles filled.
        in_place: on a processor the vectors take the matrix's own memory, which saves a copy of it.
    """
    if in_place and symmetric.device.type == "cpu" and symmetric.is_contiguous():
        return _announced("eigh", _eigh_in_place, symmetric)
    return _announced("eigh", _eigh, symmetric)


def eigvalsh(symmetric: torch.Tensor) -> torch.Tensor:
    """Eigenvalues of a symmetric matrix, ascending."""
    return _announced("eigvalsh", _eigvalsh, symmetric)


def svd(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The thin singular value decomposition: u, s descending, vh."""
    return _announced("svd", _thin_svd, matrix)


def svdvals(matrix: torch.Tensor) -> torch.Tensor:
    """Singular values, descending."""
    return _announced("svdvals", _svdvals, matrix)


def qr(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal columns of the span of a tall matrix's columns, and R."""
    return _announced("qr", _qr, matrix)


def triangle(matrix: torch.Tensor) -> torch.Tensor:
    """R alone of the QR decomposition."""
    return _announced("qr", _triangle, matrix)


def _announced(kind: StepKind, call: Callable[[torch.Tensor], _Result], matrix: torch.Tensor) -> _Result:
    rows, columns = (int(size) for size in matrix.shape)
    operations = _OPERATIONS[kind](max(rows, columns), min(rows, columns))
    if operations >= LONG and not SPEEDS.known(kind):
        _time_small(kind, call, matrix)
    with announced(kind, (rows, columns), operations):
        return call(matrix)


def _time_small(kind: StepKind, call: Callable[[torch.Tensor], object], like: torch.Tensor) -> None:
    """Time a call on a small matrix, so that how long the large one takes can be told."""
    side = _SMALL_SIDE
    small = torch.arange(side, dtype=like.dtype, device=like.device)
    matrix = torch.cos(torch.outer(small, small) * 0.37).add_(torch.eye(side, dtype=like.dtype, device=like.device))
    call(matrix[:16, :16].contiguous())  # what is loaded at the first call does not count
    with announced(kind, (side, side), _OPERATIONS[kind](side, side)):
        call(matrix)


def _eigh(symmetric: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    values, vectors = torch.linalg.eigh(symmetric)
    return values, vectors


def _eigh_in_place(symmetric: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    turned = symmetric.T  # the same matrix, in the order that LAPACK works in
    values = torch.empty(len(turned), dtype=turned.dtype)
    torch.linalg.eigh(turned, out=(values, turned))
    return values, turned


def _eigvalsh(symmetric: torch.Tensor) -> torch.Tensor:
    values: torch.Tensor = torch.linalg.eigvalsh(symmetric)
    return values


def _svdvals(matrix: torch.Tensor) -> torch.Tensor:
    values: torch.Tensor = torch.linalg.svdvals(matrix)
    return values


def _thin_svd(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    return u, s, vh


def _qr(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    q, r = torch.linalg.qr(matrix)
    return q, r


def _triangle(matrix: torch.Tensor) -> torch.Tensor:
    r: torch.Tensor = torch.linalg.qr(matrix, mode="r")[1]
    return r
