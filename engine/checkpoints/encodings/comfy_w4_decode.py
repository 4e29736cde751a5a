"""Decoding of `engine.checkpoints.encodings.comfy_w4`."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.checkpoints.encodings.grouped_decode import over_groups, rotate, unpacked
from engine.checkpoints.stored import WeightSource


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
