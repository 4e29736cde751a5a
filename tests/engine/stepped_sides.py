"""Both sides of a weight subtracted as a run does it: the steps of their numbers are gone over first."""

from __future__ import annotations

import torch

from engine.checkpoints.rounding import Rounding
from engine.checkpoints.steps import steps_of_sides
from engine.checkpoints.tensors import EncodedWeight
from engine.decompose.delta import Delta, subtract


def subtracted(
    sides: tuple[EncodedWeight, EncodedWeight],
    numbers: tuple[torch.Tensor, torch.Tensor],
    rounding: Rounding | None = None,
    *,
    at_once: int,
) -> Delta:
    """The difference of the numbers of two sides, after their steps were formed for `at_once` numbers at a time."""
    sources = [source for source in steps_of_sides(sides, rounding, numbers) if source is not None]
    count = numbers[1].numel()
    for start in range(0, count, at_once):
        taken = [source.values(start, min(count, start + at_once)) for source in sources]
        assert all(bool((steps >= 0).all()) for steps in taken)
        del taken
    del sources
    return subtract(*numbers)
