"""What a record knows of a layer before ranks are shared, from its fields alone: nothing is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from engine.decompose.method import LayerMethod
from engine.models.pairing import PairedWeight
from engine.planning.costs import matrix_shape
from engine.planning.output import Output
from engine.planning.sizing import FoundLayer
from engine.results import LeaveOutReason
from engine.resume.reuse import export_key, left_out_reason, number, of_decomposition
from engine.store import Entry


def furthest(entries: Iterable[Entry], weight: PairedWeight, method: LayerMethod) -> Entry | None:
    """The record of a layer's decomposition that reaches furthest, to whatever rank."""
    able = [entry for entry in entries if of_decomposition(entry.fields, weight, method)]
    return max(able, key=lambda entry: int(entry.fields.get("stored_rank", 0)), default=None)


def found_layer(
    fields: dict[str, Any], weight: PairedWeight, method: LayerMethod, outputs: Sequence[Output]
) -> FoundLayer | None:
    """What a record of factors, or of a layer that is left out, knows; None where the layer is not finite."""
    energy, original = float(fields["delta_energy"]), number(fields["original_energy"])
    reason = left_out_reason(fields, method)
    if reason is LeaveOutReason.NON_FINITE:
        return None
    if reason is not None:
        return FoundLayer(np.zeros(0), energy, original, left_out=True)
    values = np.asarray(fields["values"], np.float64)
    if len(values) < min(matrix_shape(weight.shape)):  # those behind the rank are no better than estimates
        values = values[: int(fields["stored_rank"])]
    return FoundLayer(values, energy, original, wide=_wide(fields, outputs))


def _wide(fields: Mapping[str, Any], outputs: Sequence[Output]) -> frozenset[int]:
    """The files whose dtype was too coarse for the layer when it was recorded, where they store it alike."""
    stored: Iterable[Mapping[str, Any]] = (fields, *fields.get("also", ()))
    fallen = [{**item["export"], "alpha": None, "rank": None} for item in stored if item["how"]["fallback"]]
    wanted = [{**export_key(output.storing), "alpha": None, "rank": None} for output in outputs]
    return frozenset(index for index, export in enumerate(wanted) if export in fallen)
