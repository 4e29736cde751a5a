"""Decoding of `engine.checkpoints.encodings.comfy_w4`."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.encodings import step_sizes
from engine.checkpoints.encodings.grouped_decode import over_groups, rotate, unpacked
from engine.checkpoints.stored import WeightSource

_FITTED = 0.85**0.5  # the encoder fits a table's scales: 0.85 of the variance was measured on normal and other numbers


def decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The numbers in float32, as `comfy_w4` says for each of its formats."""
    by_role = dict(zip(source.parameters["roles"], parts, strict=True))
    rows, columns = source.shape
    group = source.parameters["group"]
    weight, scale = by_role["weight"], by_role["scale"].to(torch.float32)
    values = unpacked(weight, "unsigned4", columns, table=by_role.get("table"))
    if source.parameters["format"] == "awq_w4a16":
        over_groups(values, scale.T, group)
    else:
        over_groups(values, scale, group)
        values.round_().clamp_(-127, 127).mul_(by_role["row_scale"].to(torch.float32)[:, None])
    if "shift" in by_role:
        values.view(rows, -1, group).add_(by_role["shift"].to(torch.float32).T[:, :, None])
    if "rotation" in source.parameters:
        rotate(values, source.parameters["rotation"])
    return values


def steps(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The steps of the table, or 1, times the scales; where products are whole numbers of a row's scale, 1 of those."""
    by_role = dict(zip(source.parameters["roles"], parts, strict=True))
    rows, columns = source.shape
    group, weight, scale = source.parameters["group"], by_role["weight"], by_role["scale"].to(torch.float32).abs()
    if "table" in by_role:
        found = unpacked(weight, "unsigned4", columns, table=_FITTED * step_sizes.of_levels(by_role["table"]))
    else:
        found = torch.ones((rows, columns), dtype=torch.float32, device=weight.device)
    if source.parameters["format"] == "awq_w4a16":
        over_groups(found, scale.T, group)
    else:
        over_groups(found, scale, group)
        found.clamp_(min=1.0).mul_(by_role["row_scale"].to(torch.float32).abs()[:, None])
    if "rotation" in source.parameters:
        step_sizes.spread_over_groups(found, source.parameters["rotation"])
    return found
