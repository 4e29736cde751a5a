"""Factors in float8_e4m3fn: one is rounded, the other fitted to it by least squares and rounded, and so in turn.

A number of this format has four significant bits, of which 448 is the largest and 2^-6 the smallest with all four. So
both factors are scaled by powers of two, which the layer's alpha takes back, as far as activations of half precision
allow. Everything follows from the best factors alone, in float64 where sums are rounded: the same ones give the same
bytes on every device, after a resume, and in an export of an earlier run.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch

from engine.decompose.delta import energy
from engine.decompose.workspace import CHUNK_BYTES
from engine.steps import check

FP8 = torch.float8_e4m3fn
LARGEST, SMALLEST_NORMAL = 448.0, 2.0**-6
OUTLIER = 1000.0  # an activation as programs see them in a few channels, where the others have a mean square of 1
_HALF_LARGEST = 65504.0
_ROOM = 0.5  # of what a number may be at first: fitting lets single ones grow
SWEEPS = 2  # in which both factors are fitted once more: measured in docs/benchmarks.md
_DAMAGED = 2.0**-4  # the most that rounding to four bits changes a number by: beyond it some have fewer
_SMALLEST_POWER, _LARGEST_POWER = -57, 62  # alpha remains a normal float32
_OUTLIERS = 4  # channels of an activation
_NEARLY_DEPENDENT = 1e-3  # of a column beside the columns before it


@dataclass(frozen=True)
class Fp8Factors:
    """Two factors that are to be loaded as up @ down * 4^-power.

    Attributes:
        up: (out, r) float8_e4m3fn.
        down: (r, in) float8_e4m3fn.
        power: of two by which both were scaled up.
        shift: by which `up` was scaled up beside that, and `down` down.
        below: share of the best numbers that lie, scaled, below the smallest normal one without being 0.
        saturated: a number would have been larger than the format's largest.
        damaged: rounding changed a factor by more than it changes normal numbers.
    """

    up: torch.Tensor
    down: torch.Tensor
    power: int
    shift: int
    below: float
    saturated: bool
    damaged: bool

    def balanced(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Both in float32, scaled up alike."""
        up, down = self.up.to(torch.float32), self.down.to(torch.float32)
        return up.mul_(math.ldexp(1.0, -self.shift)), down.mul_(math.ldexp(1.0, self.shift))


@dataclass(frozen=True)
class _Side:
    """A factor as its best values, (length, r) float32.

    Attributes:
        values: before they are scaled.
        scale: what they are multiplied by.
        limit: the largest size of the products.
        turned: it is written as (r, length).
    """

    values: torch.Tensor
    scale: float
    limit: float
    turned: bool

    def chunks(self) -> list[slice]:
        """Rows that are worked on at a time."""
        step = max(1, CHUNK_BYTES // (32 * max(1, self.values.shape[1])))
        return [slice(start, start + step) for start in range(0, len(self.values), step)]

    def below(self) -> int:
        """How many of the products lie below the smallest normal number of fp8 without being 0."""
        count = 0
        for rows in self.chunks():
            size = (self.values[rows] * self.scale).abs_()
            count += int(((size < SMALLEST_NORMAL) & (size > 0.0)).sum())
        return count

    def room(self) -> torch.Tensor:
        """Memory for the factor in fp8, (length, r)."""
        length, rank = self.values.shape
        if self.turned:
            return torch.empty(rank, length, dtype=FP8, device=self.values.device).T
        return torch.empty(length, rank, dtype=FP8, device=self.values.device)


@dataclass
class _Rounded:
    """A factor in fp8, (length, r), and where it was measured what rounding did to the scaled values."""

    codes: torch.Tensor
    largest: float = 0.0
    energy: float = 0.0
    lost: float = 0.0

    @property
    def damaged(self) -> bool:
        """Whether it changed them by more than it changes normal numbers."""
        return self.lost > _DAMAGED**2 * self.energy

    def put(self, rows: slice, values: torch.Tensor, limit: float, *, measured: bool) -> None:
        """Round some rows, (n, r) float32 that is used up; the outcome is never NaN."""
        values.clamp_(-limit, limit)
        if measured:
            self.largest = max(self.largest, _largest(values))
        codes = values.clamp(-LARGEST, LARGEST).to(FP8)
        self.codes[rows] = codes
        if measured:
            self.energy += energy(values)
            self.lost += energy(values - codes.to(torch.float32))


def fit_fp8(up: torch.Tensor, down: torch.Tensor, *, limit: float = math.inf) -> Fp8Factors | None:
    """The best factors in fp8 at the largest scale with which half precision does not overflow.

    Args:
        up: (out, r) float32.
        down: (r, in) float32; the fitted product is to be up @ down.
        limit: largest size of a number before it is scaled, where factors are clamped.

    Returns:
        None where too many numbers have fewer than four bits at that scale: such a layer needs a wider format.
    """
    up, down = _where_possible(up), _where_possible(down)
    activations = _activations(down)
    power = _first_power(up, down, activations)
    while True:
        fitted = fp8_at(up, down, power, limit=limit)
        if fitted.damaged or power == _SMALLEST_POWER:
            return None
        if not (fitted.saturated or _overflows(fitted, activations)):
            return fitted
        power -= 1


def fp8_at(
    up: torch.Tensor, down: torch.Tensor, power: int, *, limit: float = math.inf, sweeps: int = SWEEPS
) -> Fp8Factors:
    """The same at a given scale, whatever becomes of it."""
    up, down = _where_possible(up), _where_possible(down)
    shift, shape = _shift(up, down), (up.shape[0], down.shape[1])
    scales = math.ldexp(1.0, power + shift), math.ldexp(1.0, power - shift)
    factors = (up, down.T)
    sides = [_Side(factors[at], scales[at], limit * scales[at], turned=at == 1) for at in (0, 1)]
    # What fitting repairs of the first factor's rounding is the larger, the shorter that factor is.
    one, other = (0, 1) if shape[0] <= shape[1] else (1, 0)
    rounded = [_Rounded(sides[at].room()) for at in (0, 1)]
    _round(sides[one], rounded[one])
    damaged = rounded[one].damaged  # of which nothing may be left that could be damaged again
    steps = (other, *(one, other) * sweeps)
    for number, at in enumerate(steps, start=1):
        rounded[at] = _refit(sides[at], sides[1 - at], rounded[1 - at], measured=number >= len(steps) - 1)
    count = sum(side.values.numel() for side in sides)
    return Fp8Factors(
        up=rounded[0].codes,
        down=rounded[1].codes.T,
        power=power,
        shift=shift,
        below=sum(side.below() for side in sides) / count,
        saturated=max(item.largest for item in rounded) > LARGEST,
        damaged=damaged or any(item.damaged for item in rounded),
    )


def _round(side: _Side, rounded: _Rounded) -> None:
    for rows in side.chunks():
        rounded.put(rows, side.values[rows] * side.scale, side.limit, measured=True)


def _refit(side: _Side, fixed: _Side, codes: _Rounded, *, measured: bool) -> _Rounded:
    """Fit a factor by least squares to the other one as it was rounded, and round it.

    With A the other one's best values, X what they became and B this one's, |X Y^T - A B^T| is least at
    Y = B (A^T X) (X^T X)^-1.
    """
    rank = side.values.shape[1]
    gram = torch.zeros(rank, rank, dtype=torch.float64, device=side.values.device)
    cross = torch.zeros_like(gram)
    for rows in fixed.chunks():
        check()
        piece = codes.codes[rows].to(torch.float32).to(torch.float64)
        gram.addmm_(piece.T, piece)
        cross.addmm_(fixed.values[rows].to(torch.float64).T, piece)
    change = _solved(gram, cross.T).T.mul_(fixed.scale * side.scale)
    rounded = _Rounded(side.room())
    for rows in side.chunks():
        check()
        values = (side.values[rows].to(torch.float64) @ change).to(torch.float32)
        rounded.put(rows, values, side.limit, measured=measured)
    return rounded


def _solved(gram: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """gram^-1 @ right for the Gram matrix of nearly orthogonal columns of any length; 0 in the rows of columns of 0."""
    norms = gram.diagonal().sqrt()
    scale = torch.where(norms > 0.0, 1.0 / norms, 0.0)[:, None]
    normal = gram.mul_(scale).mul_(scale.T)
    normal.diagonal().fill_(1.0)
    lower, info = torch.linalg.cholesky_ex(normal)
    if int(info) != 0 or float(lower.diagonal().min()) < _NEARLY_DEPENDENT:
        normal.diagonal().add_(_NEARLY_DEPENDENT**2)
        lower = torch.linalg.cholesky(normal)
    return torch.cholesky_solve(right * scale, lower).mul_(scale)


def _shift(up: torch.Tensor, down: torch.Tensor) -> int:
    """The power of two that brings the numbers of both factors to the same size, whose columns and rows are as long."""
    return round(math.log2(up.shape[0] / down.shape[1]) / 4.0)


def _first_power(up: torch.Tensor, down: torch.Tensor, activations: torch.Tensor) -> int:
    """The largest power of two at which neither a number nor an activation is expected to overflow."""
    shift = _shift(up, down)
    largest = max(math.ldexp(_largest(up), shift), math.ldexp(_largest(down), -shift))
    power = max(_SMALLEST_POWER, min(_LARGEST_POWER, math.floor(math.log2(_ROOM * LARGEST / largest))))
    inner = (activations * math.ldexp(1.0, power - shift)) @ down.T
    outer = (inner * math.ldexp(1.0, power + shift)) @ up.T
    # Of the powers of two that are too many each takes one from the inner product, and two from the outer one.
    excess = [math.log2(max(1.0, _largest(item) / (_ROOM * _HALF_LARGEST))) for item in (inner, outer)]
    return max(_SMALLEST_POWER, power - max(math.ceil(excess[0]), math.ceil(excess[1] / 2.0)))


def _activations(down: torch.Tensor) -> torch.Tensor:
    """Inputs by which overflow is judged, (8, in) float32: of mean square 1, some with outliers of 1000.

    In two of them the outliers are where chance has it; in one where `down` reacts to them most, with the signs that
    its first row has; and one lies along that row.
    """
    size = down.shape[1]
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(8, size, generator=generator)
    count = min(_OUTLIERS, size)
    for row in rows[4:6]:
        at = torch.randperm(size, generator=generator)[:count]
        row[at] = OUTLIER * row[at].sign()
    signs = torch.where(down[0] < 0.0, -1.0, 1.0).cpu()
    worst = torch.linalg.vector_norm(down, dim=0).topk(count).indices.cpu()
    rows[6][worst] = OUTLIER * signs[worst]
    rows[7] = signs
    return rows.to(down.device)


def _overflows(fitted: Fp8Factors, activations: torch.Tensor) -> bool:
    """Whether (x down) up overflows half precision, as a program computes it that multiplies by alpha / rank then.

    That last step is no part of it: what overflows there is the change itself, at any scale.
    """
    inner = activations.to(torch.float16) @ fitted.down.to(torch.float16).T
    outer = inner @ fitted.up.to(torch.float16).T
    return not bool(torch.isfinite(outer).all())


def _largest(tensor: torch.Tensor) -> float:
    low, high = torch.aminmax(tensor)
    return max(-float(low), float(high))


def _where_possible(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor where it is, or on the processor where its device has no fp8 or no float64."""
    return tensor if _has_both(tensor.device.type) else tensor.cpu()


@functools.cache
def _has_both(kind: str) -> bool:
    try:
        return bool(torch.ones(1, device=kind).to(FP8).to(torch.float64) == 1.0)
    except (RuntimeError, TypeError, NotImplementedError):
        return False
