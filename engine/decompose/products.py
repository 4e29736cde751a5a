"""Which matrix products are fast here: the dtype for a sketch, the kernel for exact float32, and sums in float64."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch

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
        stop = start + _COLUMNS
        piece = left[:, start:stop].to(dtype)
        other = piece if right is left else right[:, start:stop].to(dtype)
        result.add_(piece @ other.T)
    return result


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
