"""What the records of earlier runs know of a plan's layers before ranks are shared. Reads the journals' headers only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from engine.planning.costs import matrix_shape
from engine.planning.plan import Plan
from engine.planning.sizing import FoundLayer
from engine.resume.reuse import export_key, left_out_reason, number, of_decomposition
from engine.results import LeaveOutReason
from engine.settings import SAFETENSORS_DTYPES
from engine.store import Entry, PairStore


def known_layers(plan: Plan, pair: PairStore) -> dict[str, tuple[Entry, FoundLayer]]:
    """By layer the record that reaches furthest, of whatever rank, and what it knows; nothing of differences.

    Empty where ``resume`` is off.
    """
    found: dict[str, tuple[Entry, FoundLayer]] = {}
    for weight in plan.layers if plan.resume else ():
        if not plan.method.stores_factors(weight.kind):
            continue
        able = [entry for entry in pair.entries(weight.name) if of_decomposition(entry.fields, weight, plan.method)]
        furthest = max(able, key=lambda entry: int(entry.fields.get("stored_rank", 0)), default=None)
        if furthest is not None:
            found[weight.name] = furthest, _found(plan, furthest.fields, matrix_shape(weight.shape))
    return found


def _found(plan: Plan, fields: Mapping[str, Any], shape: tuple[int, int]) -> FoundLayer:
    energy, original = float(fields["delta_energy"]), number(fields["original_energy"])
    reason = left_out_reason(dict(fields), plan.method)
    if reason is not None:
        return FoundLayer(np.zeros(0), energy, original, left_out=True)
    values = np.asarray(fields["values"], np.float64)
    if len(values) < min(shape):  # those behind the rank are no better than estimates
        values = values[: int(fields["stored_rank"])]
    return FoundLayer(values, energy, original, wide=_wide(plan, fields))


def _wide(plan: Plan, fields: Mapping[str, Any]) -> frozenset[int]:
    """The outputs whose dtype was too coarse for the layer when it was recorded."""
    stored: Iterable[Mapping[str, Any]] = (fields, *fields.get("also", ()))
    fallen = [item["export"] for item in stored if item["how"]["fallback"]]
    return frozenset(
        index
        for index, output in enumerate(plan.outputs)
        if any({**export, "rank": None} == {**export_key(output.storing), "rank": None} for export in fallen)
    )
