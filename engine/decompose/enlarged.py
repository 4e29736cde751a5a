"""Factors that enlarge the weight they are added to: what it has more than the original stands in them as it is.

The program first fills the original's weight up with zeros. So the new columns or rows are added as a product with an
identity, beside the factors of the part that both models have.
"""

from __future__ import annotations

import math

import torch

from engine.decompose.fp8_factors import FP8
from engine.decompose.method import StoringRule
from engine.decompose.stored_layer import Factors
from engine.settings import SAFETENSORS_DTYPES

_DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}


def enlarged_rank(grown: tuple[int, int]) -> int:
    """The rank that a new part of so many rows and columns adds."""
    return min(grown)


def enlarge(
    factors: Factors | None, new: torch.Tensor, original: tuple[int, int], shape: tuple[int, ...], rule: StoringRule
) -> Factors:
    """Factors of the whole change, in the shape of the fine-tuned weight.

    Args:
        factors: of the common part; None where it did not change.
        new: the new rows (count, columns) or the new columns (rows, count), float32 on the host.
        original: rows and columns of the original, of a convolution with its kernel among the columns.
        shape: of the fine-tuned weight.
        rule: the strength, by which the new part is multiplied too, and the dtype where no factors have one.
    """
    rows, columns = original
    if factors is None:
        empty = _DTYPES[SAFETENSORS_DTYPES[rule.difference_dtype]]
        factors = Factors(torch.zeros(rows, 0, dtype=empty), torch.zeros(0, columns, dtype=empty), torch.tensor(0.0))
    rank, identity = factors.up.shape[1], torch.eye(enlarged_rank((new.shape[0], new.shape[1])))
    scale = float(factors.alpha) / rank if rank else 1.0
    root = math.sqrt(1.0 / scale)  # so that the product is what it is once it is multiplied by alpha / rank
    new = new if rule.strength == 1.0 else new * rule.strength
    left, right = (new, identity) if new.shape[0] >= new.shape[1] else (identity, new)
    blocks = _blocks(factors, root * left, root * right, by_rows=shape[0] > rows)
    dtype = torch.float16 if factors.up.dtype is FP8 else factors.up.dtype  # which holds all of fp8 as it is
    up, down = (block.to(dtype) for block in blocks)
    if not (bool(torch.isfinite(up).all()) and bool(torch.isfinite(down).all())):
        up, down = blocks
    alpha = torch.tensor(scale * up.shape[1], dtype=torch.float32)
    return Factors(up.contiguous(), down.contiguous(), alpha, shape[2:], shape)


def _blocks(
    factors: Factors, left: torch.Tensor, right: torch.Tensor, *, by_rows: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both pairs of factors as one: the new part stands below or beside the common one."""
    up, down = factors.up.to(torch.float32), factors.down.to(torch.float32)
    if by_rows:
        return _diagonal(up, left), torch.cat([down, right])
    return torch.cat([up, left], dim=1), _diagonal(down, right)


def _diagonal(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Both as one matrix, the second below and beside the first, with zeros around them."""
    rows, columns = first.shape
    both = torch.zeros(rows + second.shape[0], columns + second.shape[1])
    both[:rows, :columns], both[rows:, columns:] = first, second
    return both
