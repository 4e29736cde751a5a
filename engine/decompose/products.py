"""Which matrix products are fast here: the dtype for a sketch, the kernel for exact float32, and sums in float64.

Products that would take a second or more are made piece by piece, so that a run that is to stop can stop in between.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch

from engine.steps import check

_PIECE_OPERATIONS = 2.0**35  # of one product: 0.4 s at 90 GFLOP/s, 1.7 s at 20
_PIECE_ROWS = 256  # rows or columns of a piece are a multiple of it, as the kernels' own blocks are
_STRIPE_ROWS, _STRIPES = 128, 8  # of a symmetric product
_COLUMNS = 2048  # multiplied at once where products are summed in float64


@functools.cache
def fast_dtype(kind: str) -> torch.dtype:
    """The dtype for products that need not be exact: bfloat16 where a device of this kind multiplies it natively."""
    if kind == "cuda":
        native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32
    if kind == "xpu":
        return torch.bfloat16
    able = _processor() if kind == "cpu" else {}
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32


def exact_product(rows: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Multiply (p, n) float32 rows by the transpose of (q, n), in float32: (p, q).

    torch hands float32 products to MKL, which keeps to AVX2 on processors not from Intel; oneDNN, inside torch too,
    takes AVX-512 on any and is twice as fast there.
    """
    pieces = _pieces(int(rows.shape[0]), int(rows.shape[1]), int(matrix.shape[0]))
    if len(pieces) == 1:
        return _exact_product(rows, matrix)
    result = rows.new_empty(rows.shape[0], matrix.shape[0])
    for piece in pieces:
        check()
        result[:, piece] = _exact_product(rows, matrix[piece])
    return result


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply (p, n) by (n, q), as ``left @ right`` does."""
    p, n, q = int(left.shape[0]), int(left.shape[1]), int(right.shape[1])
    pieces = _pieces(q, n, p) if p > q else _pieces(p, n, q)
    if len(pieces) == 1:
        return left @ right
    result = left.new_empty(p, q)
    for piece in pieces:
        check()
        if p > q:
            result[piece] = left[piece] @ right
        else:
            result[:, piece] = left @ right[:, piece]
    return result


def _pieces(p: int, n: int, q: int) -> list[slice]:
    """The q rows or columns of a product split into parts of at most so many operations."""
    fitting = int(_PIECE_OPERATIONS / (2.0 * max(1, p) * max(1, n)))
    step = max(_PIECE_ROWS, fitting // _PIECE_ROWS * _PIECE_ROWS)
    return [slice(start, start + step) for start in range(0, max(1, q), step)]


def _exact_product(rows: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    if rows.device.type == "cpu" and _has_avx512_kernel():
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, matrix, None, "none", [], "")
        return product
    return rows @ matrix.T


def gram_product(left: torch.Tensor, right: torch.Tensor, *, exact: bool) -> torch.Tensor:
    """Multiply (p, n) by the transpose of (q, n), summed in float64: (p, q).

    Exact is float64 throughout; else products of a few columns at a time are float32, and only their sum is float64.
    """
    wide = torch.float32 if left.device.type == "mps" else torch.float64  # no float64 there
    dtype = wide if exact else torch.float32
    result = torch.zeros(left.shape[0], right.shape[0], dtype=wide, device=left.device)
    for start in range(0, int(left.shape[1]), _COLUMNS):
        check()
        stop = start + _COLUMNS
        piece = left[:, start:stop].to(dtype)
        other = piece if right is left else right[:, start:stop].to(dtype)
        result.add_(piece @ other.T)
    return result


def add_gram(gram: torch.Tensor, piece: torch.Tensor) -> None:
    """Add piece @ piece.T to a (k, k) float64 matrix, only the blocks on and above the diagonal; piece is (k, n)."""
    for top, stop in _stripes(len(gram)):
        gram[top:stop, top:].addmm_(piece[top:stop], piece[top:].T)


def fill_below(gram: torch.Tensor) -> None:
    """Copy what `add_gram` summed above the diagonal to below it."""
    for top, stop in _stripes(len(gram)):
        gram[stop:, top:stop] = gram[top:stop, stop:].T


def _stripes(side: int) -> list[tuple[int, int]]:
    """First and last row of stripes: of `_STRIPE_ROWS` at least, and no more of them than `_STRIPES`."""
    rows = max(_STRIPE_ROWS, -(-side // _STRIPES))
    return [(top, top + rows) for top in range(0, side, rows)]


@functools.cache
def _has_avx512_kernel() -> bool:
    """Whether oneDNN's own product is there, uses AVX-512, and gives what a product should give."""
    if not _processor().get("avx512_f"):
        return False
    rows, matrix = torch.arange(12.0).reshape(3, 4), torch.arange(20.0).reshape(5, 4)
    try:
        product = torch.ops.mkldnn._linear_pointwise(rows, matrix, None, "none", [], "")
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):  # not in this build of torch
        return False
    return bool(torch.equal(product, rows @ matrix.T))


def _processor() -> Mapping[str, object]:
    """What the processor can do, where this torch tells."""
    describe = getattr(torch.cpu, "get_capabilities", None)
    able: Mapping[str, object] = describe() if describe is not None else {}
    return able
