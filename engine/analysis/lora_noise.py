"""Rounding noise in the judgement of a LoRA file: its part in each difference, and what the factors fitted of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engine.checkpoints.rounded import compared
from engine.checkpoints.steps import steps_of_sides
from engine.decompose.noise_model import NoiseModel, model_noise
from engine.decompose.real_change import Kept, LayerNoise, fitted_noise, fitted_share, noise_figures
from engine.decompose.rounding_noise import common_shape, measure_rounding
from engine.extraction.block_cache import Weights
from engine.models.pairing import PairedWeight
from engine.results import NoiseFigures
from engine.steps import check
from engine.streamed_delta import meter_of


@dataclass(frozen=True)
class AddedFactors:
    """What a file adds to some rows of a weight: scale * up @ down.

    Attributes:
        rows: the first one, and the one behind the last.
        up: (rows, r).
        down: (r, columns); None where `up` is a difference, (rows, columns).
        scale: of the product.
    """

    rows: tuple[int, int]
    up: torch.Tensor
    down: torch.Tensor | None
    scale: float


def rounding_in(weight: PairedWeight, weights: Weights) -> NoiseModel | None:
    """The rounding errors in a weight's difference; None where they cannot be told."""
    if weights.delta is not None:
        return weights.delta.noise
    assert weights.sides is not None
    numbers = compared(weights.sides, weight.rounding)
    if numbers is None:
        return None
    meter = meter_of(weight, common_shape(*numbers))
    return model_noise(measure_rounding(*numbers, meter, steps_of_sides(weights.sides, weight.rounding, numbers)))


def figures_of(
    model: NoiseModel | None, total: float, lost: float, added: Sequence[AddedFactors], *, fitted: bool
) -> NoiseFigures | None:
    """The figures of one weight.

    Args:
        model: of the rounding errors.
        total: |delta|^2.
        lost: |delta - what the file adds|^2.
        added: what it adds; nothing where it holds the fine-tuned weight as it is, or nothing of it.
        fitted: whether the factors are known to have been fitted to this very difference.

    Returns:
        None where the errors were not measured or the weights are not finite.
    """
    if model is None or not math.isfinite(total):
        return None
    retained = 1.0 - lost / total if total > 0.0 else 1.0
    factors = [part for part in added if part.down is not None]
    if not factors:
        return noise_figures(LayerNoise(model.estimate), Kept(total, 1.0, retained, (1, 1), None))
    columns = len(model.columns)
    norm = share = 0.0
    for part in factors:
        check()
        height = part.rows[1] - part.rows[0]
        within = NoiseModel(model.estimate, _part(model, part.rows), model.columns)
        u, values, vh = _singular(part)
        norm += float(values.square().sum())
        weight = float(within.rows.sum()) / max(1, len(model.rows))
        kept = Kept(weight * total, retained, retained, (height, columns), values.tolist())
        share += weight * fitted_share(fitted_noise(within, u, vh), kept)
    kept = Kept(total, retained, retained, (len(model.rows), columns), (), norm=norm, fitted=min(1.0, share))
    return noise_figures(LayerNoise(model.estimate), kept, least_fit=None if fitted else 0.0)


def _part(model: NoiseModel, rows: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = np.zeros(rows[1] - rows[0])
    there = model.rows[rows[0] : rows[1]]  # an enlarged weight has rows behind those
    found[: len(there)] = there
    return found


def _singular(part: AddedFactors) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The singular value decomposition of a product, from those of its factors, in float64."""
    assert part.down is not None
    left, upper = torch.linalg.qr(part.up.to(torch.float64))
    right, lower = torch.linalg.qr(part.down.to(torch.float64).T)
    u, values, vh = torch.linalg.svd(part.scale * (upper @ lower.T), full_matrices=False)
    return left @ u, values, vh @ right.T
