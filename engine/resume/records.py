"""Finished layers as the journal keeps them: making a record of an outcome, and the outcome again from a record.

`engine.resume.reuse` decides which record can be reused for what. Energies that only the delta could give, for settings
that the record was not made with, are lower bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.decompose.decomposition import TruncatedSvd
from engine.decompose.factors import Stored, Storing, restore_difference, restore_factors, store_factors
from engine.decompose.method import LayerMethod, StoringRule
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.real_change import LayerNoise
from engine.decompose.seed import CUT_VERSION
from engine.layer import LayerOutcome, layer_row, leading_part, left_out_of, stored_differences
from engine.models.pairing import PairedWeight
from engine.results import LeaveOutReason
from engine.resume.reuse import (
    STORING_VERSION,
    clamped_alike,
    decided,
    grown_energy,
    left_out_reason,
    number,
    policy_key,
    rank_of,
    recorded_export,
    rounding_key,
    same_run,
    sides_key,
    solver_key,
)
from engine.store.journal import Entry, Record

Sides = tuple[tuple[Path, ...], tuple[Path, ...]]


def make_record(
    weight: PairedWeight, outcome: LayerOutcome, method: LayerMethod, finetuned: tuple[Path, ...]
) -> Record:
    """The record of a finished layer.

    Args:
        weight: the layer.
        outcome: what came of it.
        method: how it was decomposed and stored.
        finetuned: files of the fine-tuned model, to note which side is broken where one is.
    """
    fields: dict[str, Any] = {
        "shape": list(weight.shape),
        "delta_energy": outcome.delta_energy,
        "original_energy": outcome.original_energy if math.isfinite(outcome.original_energy) else None,
        "common_rows": None,  # which the first version's records have instead of the common part
        "sides": sides_key(weight),
    }
    if weight.common is not None:
        fields |= {"common": list(weight.common), "grown_energy": outcome.grown_energy}
    if weight.rounding is not None:
        fields["rounding"] = rounding_key(weight)
    if outcome.noise is not None:
        fields["noise"] = outcome.noise.document()
    if outcome.left_out is not None:
        file = outcome.broken_file
        fields["finetuned_broken"] = None if file is None else file in finetuned
        fields["broken_file"] = None if file is None else file.name
        if outcome.left_out.reason is LeaveOutReason.ONLY_NOISE:
            fields |= {"noise_cut": outcome.noise_cut, "noise_seed": method.seed, "cut_version": CUT_VERSION}
        return Record(weight.name, fields | {"what": outcome.left_out.reason.value}, {})
    if not outcome.stored:
        return Record(weight.name, fields | {"what": "measured"}, {})
    first, *also = [
        {"export": recorded_export(method, rule, weight.name), "how": item.how.document()}
        for rule, item in zip(method.storing, outcome.stored, strict=True)
    ]
    fields |= first | {"storing_version": STORING_VERSION} | ({"also": also} if also else {})
    if outcome.svd is None:
        if outcome.difference is None:
            return Record(weight.name, fields | {"what": "written"}, {})
        return Record(weight.name, fields | {"what": "difference"}, {"delta": outcome.difference.numpy()})
    svd, policy = outcome.svd, method.policy_for(weight.name)
    fields |= {
        "what": "factors",
        "solver_key": solver_key(method, weight.name),
        "policy": policy_key(policy),
        "stored_rank": svd.rank,
        "capped": svd.capped,
        "solver": svd.solver,
        "iterations": svd.iterations,
        "residual_energy": svd.residual_energy,
        "largest_left": svd.largest_left,
    }
    if outcome.noise_cut is not None:
        fields |= {"noise_cut": outcome.noise_cut, "cut_version": CUT_VERSION}
    # Among the fields, because whether a record can answer an adaptive rule is asked before it is loaded.
    fields["values"] = np.asarray(svd.values, np.float64).tolist()
    arrays = {"u": svd.u.numpy(), "s": svd.s.numpy(), "vh": svd.vh.numpy()}
    return Record(weight.name, fields, arrays)


def restore(
    entry: Entry,
    weight: PairedWeight,
    method: LayerMethod,
    files: Sides,
    noise: Mapping[str, Any] | None = None,
) -> LayerOutcome:
    """The outcome of a layer from its record, as `engine.layer.work_on` would return it.

    Args:
        entry: a record that `find` chose.
        weight: the layer.
        method: of this run.
        files: of the fine-tuned model and of the original.
        noise: what any record says of the layer's rounding, see `find_noise`.

    Raises:
        EngineError: ``journal_invalid`` where the record turns out to be damaged, ``dtype_overflow``.
    """
    has_arrays = entry.fields["what"] in ("factors", "difference")
    record = entry.load() if has_arrays else Record(entry.name, entry.fields, {})
    fields = record.fields
    total, original = float(fields["delta_energy"]), number(fields["original_energy"])
    grown, errors = grown_energy(fields), LayerNoise.of(noise)
    reason = left_out_reason(fields, method)
    if reason is not None:
        broken = _broken_file(fields, files)
        left_out = left_out_of(weight, reason)
        if broken is not None:
            left_out = replace(left_out, detail=f"in {broken.name}")
        return LayerOutcome(
            None, left_out, total, original, grown_energy=grown, broken_file=broken, kept=True, noise=errors
        )
    svd, bound = None, False
    if fields["what"] == "difference":
        stored = _differences(record, method, total)
    elif fields["what"] == "written":
        stored = (Stored(None, Storing(**fields["how"])),)
    else:
        svd = _svd(record, weight, method.policy_for(weight.name))
        stored = tuple(_factors(fields, svd, weight, method, rule) for rule in method.storing)
        both = zip(stored, method.storing, strict=True)
        new = [item for item, rule in both if not decided(fields, method, rule, weight.name)]
        bound = any(item.how.clamp == "clamped" or item.how.dtype == "F8_E4M3" for item in new)
    row = layer_row(weight, svd, stored[0].how, total=total, original=original, grown=grown)
    if method.draws_noise and svd is not None:
        row = replace(row, noise_cut=float(fields["noise_cut"]))
    return LayerOutcome(
        row, None, total, original, grown_energy=grown, stored=stored, kept=True, bound=bound, noise=errors
    )


def _differences(record: Record, method: LayerMethod, total: float) -> tuple[Stored, ...]:
    delta = torch.from_numpy(record.arrays["delta"])
    if same_run(record.fields, method, record.name) and len(method.storing) == 1:
        how = decided(record.fields, method, method.storing[0], record.name)
        assert how is not None, "it was made with this rule"
        return (restore_difference(delta, method.storing[0], Storing(**how)),)
    return stored_differences(delta, method, total=total, layer=record.name)


def _factors(
    fields: dict[str, Any], svd: TruncatedSvd, weight: PairedWeight, method: LayerMethod, rule: StoringRule
) -> Stored:
    """The factors of a rule: those that the record's run stored, or new ones from its decomposition."""
    kernel, how = weight.shape[2:], decided(fields, method, rule, weight.name)
    svd = leading_part(svd, method, rule, weight.name)
    if how is not None:
        return restore_factors(svd, kernel, rule, Storing(**how))
    clamping = clamped_alike(fields, method, rule, weight.name)
    total, clamped = float(fields["delta_energy"]), None if clamping is None else Storing(**clamping)
    return store_factors(None, svd, kernel, rule, total=total, layer=weight.name, decided=clamped)


def _broken_file(fields: dict[str, Any], files: Sides) -> Path | None:
    """The file that was blamed; of records that do not name it the first one of its model."""
    if fields.get("finetuned_broken") is None:
        return None
    side = files[0 if fields["finetuned_broken"] else 1]
    return next((file for file in side if file.name == fields.get("broken_file")), side[0])


def _svd(record: Record, weight: PairedWeight, policy: RankPolicy) -> TruncatedSvd:
    """The leading part of a record's decomposition that a rule keeps."""
    fields, arrays = record.fields, record.arrays
    rank, capped = rank_of(fields, weight, policy)
    assert rank is not None, "find() chose a record that can answer"
    whole = TruncatedSvd(
        u=torch.from_numpy(arrays["u"]),
        s=torch.from_numpy(arrays["s"]),
        vh=torch.from_numpy(arrays["vh"]),
        values=np.asarray(fields["values"]),
        residual_energy=float(fields["residual_energy"]),
        largest_left=float(fields["largest_left"]),
        capped=capped,
        solver=fields["solver"],
        iterations=fields["iterations"],
    )
    return whole.leading(rank, capped=capped)
