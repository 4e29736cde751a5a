"""Both sides of a weight subtracted as a run does it: their rounding is measured first."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.checkpoints.rounding import Rounding
from engine.checkpoints.steps import steps_of_sides
from engine.checkpoints.tensors import EncodedWeight
from engine.decompose import rounding_noise
from engine.decompose.delta import Delta, subtract
from engine.decompose.noise_model import model_noise
from engine.decompose.rounding_noise import Grids, RoundingMeter, common_shape, measure_rounding


def subtracted(
    sides: tuple[EncodedWeight, EncodedWeight],
    numbers: tuple[torch.Tensor, torch.Tensor],
    rounding: Rounding | None = None,
    *,
    at_once: int,
) -> Delta:
    """The difference of the numbers of two sides, whose rounding was measured `at_once` numbers at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounding_noise, "_CHECKED", at_once)
        meter = RoundingMeter(common_shape(*numbers), Grids.FREE)
        measured = measure_rounding(*numbers, meter, steps_of_sides(sides, rounding, numbers))
    noise = model_noise(measured)
    return replace(subtract(*numbers), noise=noise)
