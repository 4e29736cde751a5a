"""The width of the interval whose numbers are stored as one: what rounding to it can have changed.

The error of a number that was rounded to a grid with distance `step` between its points is taken as uniform, with the
variance step^2 / 12. Where the points are at different distances the step of a point is the one that gives the variance
of numbers spread evenly over the interval from which they are rounded to it.
"""

from __future__ import annotations

import torch

CHUNK_VALUES = 1 << 18
"""Numbers whose groups are worked on at once: that takes little memory beside unpacking."""


def of_levels(levels: torch.Tensor, *, marked: bool = False) -> torch.Tensor:
    """The step of each point of a grid.

    Of a point v to which the numbers between l and r are rounded it is sqrt(4 ((r - v)^3 + (v - l)^3) / (r - l)).

    The lowest and the highest point are taken to reach as far outwards as inwards; that nothing is rounded from beyond
    them would give the same step.

    Args:
        levels: (n,), in any order, any of them more than once.
        marked: whether the steps of the lowest and the highest point are negative, for `settle_largest`.

    Returns:
        (n,) float32; NaN for what is not finite, 0 where there are no two different numbers.
    """
    numbers = levels.to("cpu", torch.float64)
    grid = numbers[torch.isfinite(numbers)].sort().values
    grid = torch.cat((grid[:1], grid[1:][grid.diff() > 0.0]))
    if len(grid) < 2:
        return levels.to(torch.float32) * 0.0
    halves = grid.diff() / 2
    below, above = torch.cat((halves[:1], halves)), torch.cat((halves, halves[-1:]))
    steps = (4 * (above**3 + below**3) / (above + below)).sqrt()
    if marked:
        steps[0].neg_(), steps[-1].neg_()
    place = torch.searchsorted(grid, numbers.nan_to_num(0.0, 0.0, 0.0)).clamp_(max=len(grid) - 1)
    return torch.where(torch.isfinite(numbers), steps[place], torch.nan).to(torch.float32).to(levels.device)


def settle_largest(steps: torch.Tensor, width: int) -> None:
    """The steps of numbers in groups whose scales make the largest of each an outermost point, in place.

    One of the numbers that are stored as an outermost point is the one that has made the scale, and is not rounded.
    Which one cannot be told where there are several, so that the variance of one is taken from all of them.

    Args:
        steps: (rows, columns), those of outermost points negative.
        width: columns of a group; the last one may be shorter.
    """
    rows, count = len(steps), steps.shape[1] // width
    for groups in (steps[:, : count * width].view(rows, count, width), steps[:, None, count * width :]):
        if groups.numel() == 0:
            continue
        for some in torch.split(groups, max(1, CHUNK_VALUES // max(1, steps.shape[1]))):
            largest = some.clamp(max=0.0)
            found = largest.sign().sum(dim=2, keepdim=True)  # how many of a group, negative
            share = (1.0 + found.reciprocal()).clamp_(min=0.0).sqrt_()
            some.addcmul_(largest, share + 1.0, value=-1.0)  # those alone, from -step to share * step
            del largest, some  # before the next ones are made


def of_bytes(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """The step of every byte of an 8-bit floating dtype, (256,) float32."""
    return of_levels(torch.arange(256, dtype=torch.uint8).view(dtype).to(torch.float32)).to(device)


def of_floats(stored: torch.Tensor) -> torch.Tensor:
    """The distance between floating-point numbers of a dtype at each number, in the same shape, float32.

    That is 2 to the exponent, times the dtype's epsilon; of subnormal numbers and 0 it is the least number. The double
    is taken as the float that it is read as.

    Args:
        stored: any shape and floating dtype.
    """
    if stored.dtype is torch.float64:
        stored = stored.to(torch.float32)
    if stored.dtype.itemsize == 1:
        table = of_bytes(stored.dtype, stored.device)
        return table.index_select(0, stored.reshape(-1).view(torch.uint8).to(torch.int32)).view(stored.shape)
    info = torch.finfo(stored.dtype)
    exponents = stored.to(torch.float32, copy=True).view(torch.int32).bitwise_and_(0x7F800000)
    return exponents.view(torch.float32).mul_(info.eps).clamp_(min=info.smallest_normal * info.eps)


def spread_over_groups(steps: torch.Tensor, group: int) -> None:
    """The steps of numbers that were rotated in groups after they were rounded: the same variance for all, in place.

    A rotation by a Hadamard matrix gives each number an equal share of the errors of all numbers of its group.

    Args:
        steps: (rows, columns), columns a multiple of the group; contiguous.
        group: size of the rotation.
    """
    groups = steps.view(-1, group)
    groups.copy_(torch.linalg.vector_norm(groups, dim=1, keepdim=True).mul_(group**-0.5))
