"""Which records of finished layers a run can reuse, decided from their fields alone: nothing is loaded.

A record is a truncated decomposition. Any smaller rank is a prefix of it, so a record answers every run of the same
pair, solver and seed whose rank it reaches, whatever dtype, clamping, format or adaptive value that run has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any

import numpy as np

from engine.checkpoints.stored import RAW
from engine.decompose.method import LayerMethod, StoringRule
from engine.decompose.rank_rules import RankPolicy, Values
from engine.decompose.seed import CUT_VERSION, SOLVER_VERSION
from engine.models.pairing import PairedWeight
from engine.planning.costs import matrix_shape
from engine.results import LeaveOutReason
from engine.store.journal import Entry

_LAYOUTS_BEFORE = ("native", "open_clip", "clip_2022")  # those that records without their sides may have had
_CLAMPING = ("clamp_quantile", "clamp_max_loss")
_ALWAYS = ("output_dtype", *_CLAMPING)
_RANKS = ("rank", "ranks")
STORING_VERSION = 1  # raised when the same decomposition and decisions may give other tensors


def find(entries: Iterable[Entry], weight: PairedWeight, method: LayerMethod) -> Entry | None:
    """The best record for a layer of a run: one made with the very same settings, else the newest that can answer."""
    able = [entry for entry in entries if _answers(entry.fields, weight, method)]
    same = (entry for entry in able if same_run(entry.fields, method, weight.name))
    return next(same, able[0] if able else None)


def find_measured(entries: Iterable[Entry], weight: PairedWeight) -> tuple[float, float] | None:
    """|delta|^2 of a weight and the energy of what it has grown by, from any record of it."""
    found = (entry.fields for entry in entries if _same_weight(entry.fields, weight))
    return next(((float(fields["delta_energy"]), grown_energy(fields)) for fields in found), None)


def find_noise(entries: Iterable[Entry], weight: PairedWeight) -> dict[str, Any] | None:
    """What is known of the rounding errors of a weight, from any record that says it; of one to the highest rank."""
    found = [fields for fields in (entry.fields for entry in entries) if _same_weight(fields, weight)]
    said: list[dict[str, Any]] = [fields["noise"] for fields in found if fields.get("noise") is not None]
    return max(said, key=lambda noise: len(noise["left"]), default=None)


def superseded(old: Entry, new: Entry) -> bool:
    """Whether whatever an old record can answer, a new one can."""
    mine, other = new.fields, old.fields
    if not _of_sides(other, mine.get("sides")) or mine.get("rounding") != other.get("rounding"):
        return False
    if other.get("noise") is not None and mine.get("noise") is None:
        return False
    if other.get("what") == "written":  # nothing but the file it speaks of
        return bool(mine.get("what") == "written" and mine.get("part") == other.get("part"))
    if other.get("what") == LeaveOutReason.ONLY_NOISE.value:
        return all(mine.get(name) == other.get(name) for name in ("what", "noise_seed", "cut_version"))
    if other.get("what") != "factors":
        return bool(mine.get("what") == other.get("what") or mine.get("what") in ("factors", "difference"))
    if mine.get("what") != "factors" or mine.get("solver_key") != other.get("solver_key"):
        return False
    return bool(mine["stored_rank"] >= other["stored_rank"] and mine["policy"][0] == other["policy"][0])


def _answers(fields: dict[str, Any], weight: PairedWeight, method: LayerMethod) -> bool:
    if not _same_weight(fields, weight) or fields.get("what") == "measured":  # where a NaN was measured it says 0
        return False
    if left_out_reason(fields, method) is not None:
        return True
    if fields.get("storing_version") != STORING_VERSION:
        return False
    if not method.stores_factors(weight.kind):
        return bool(fields["what"] == "difference" and not method.full)
    if fields["what"] != "factors" or fields["solver_key"] != solver_key(method, weight.name):
        return False
    policy = method.policy_for(weight.name)
    if fields["policy"] == policy_key(policy):
        return True
    return rank_of(fields, weight, policy)[0] is not None


def of_decomposition(fields: dict[str, Any], weight: PairedWeight, method: LayerMethod) -> bool:
    """Whether a record tells of a layer's decomposition, to whatever rank, or that the layer is left out."""
    if not _same_weight(fields, weight) or fields.get("what") == "measured":
        return False
    if left_out_reason(fields, method) is not None:
        return True
    current = fields.get("storing_version") == STORING_VERSION and fields["what"] == "factors"
    return bool(current and fields["solver_key"] == solver_key(method, weight.name))


def rank_of(fields: dict[str, Any], weight: PairedWeight, policy: RankPolicy) -> tuple[int | None, bool]:
    """The rank that a rule gives a recorded decomposition; None where the record does not reach far enough."""
    shape, stored = matrix_shape(weight.shape), int(fields["stored_rank"])
    if fields["policy"] == policy_key(policy):
        return stored, bool(fields["capped"])
    cap = policy.cap(shape)
    if policy.lora_type == "adaptive_noise":
        if fields.get("noise_cut") is None or fields.get("cut_version") != CUT_VERSION:
            return None, False
        policy = replace(policy, noise_cut=float(fields["noise_cut"]))
    if policy.lora_type == "standard":
        return (cap if cap <= stored else None), False
    values: Values = np.asarray(fields["values"])
    complete = len(values) == min(shape)
    if policy.needs_all_values and not complete:
        return None, False
    total = float(fields["delta_energy"])
    rank, capped = policy.choose(values, shape, energy=total, value_sum=float(values.sum()))
    # A count that reaches the end of what was computed might go on; where the cap is reached that changes nothing.
    open_end = not complete and rank >= len(values) and not capped and rank < cap
    return (None, False) if open_end or rank > stored else (rank, capped)


def left_out_reason(fields: dict[str, Any], method: LayerMethod) -> LeaveOutReason | None:
    """Why a recorded layer is left out of a run; None where it is not, as far as the record knows."""
    if fields["what"] in (LeaveOutReason.UNCHANGED.value, LeaveOutReason.NON_FINITE.value):
        return LeaveOutReason(fields["what"])
    norm, change = math.sqrt(number(fields["original_energy"])), math.sqrt(float(fields["delta_energy"]))
    if change <= method.min_change * norm:
        return LeaveOutReason.BELOW_MIN_CHANGE
    drawn = [LeaveOutReason.ONLY_NOISE.value, method.seed, CUT_VERSION]
    same = [fields["what"], fields.get("noise_seed"), fields.get("cut_version")] == drawn
    return LeaveOutReason.ONLY_NOISE if method.draws_noise and same else None


def _same_weight(fields: dict[str, Any], weight: PairedWeight) -> bool:
    if fields.get("shape") != list(weight.shape) or not _of_common_part(fields, weight):
        return False
    if fields.get("rounding") != rounding_key(weight):  # the first version's say nothing, and rounded nothing
        return False
    return _of_sides(fields, sides_key(weight))


def rounding_key(weight: PairedWeight) -> str | None:
    """Which side was rounded before they were subtracted; None where both are stored in the same form.

    That neither was is another key than None: what was found of a weight that differs by rounding alone is so too.
    """
    return None if weight.rounding is None else weight.rounding.key


def _of_common_part(fields: dict[str, Any], weight: PairedWeight) -> bool:
    """Whether a record is of the same part of the weight; the first version noted the rows, and no grown energy."""
    if "common" in fields or weight.common is None:
        return bool(fields.get("common") == (weight.common and list(weight.common)) and not fields.get("common_rows"))
    rows_alone = weight.common[1:] == weight.shape[1:]
    return bool(rows_alone and not weight.grown_numel and fields.get("common_rows") == weight.common[0])


def grown_energy(fields: dict[str, Any]) -> float:
    """What a record's weight has beyond the original's shape; 0 for records of weights that have nothing there."""
    return float(fields.get("grown_energy", 0.0))


def _of_sides(fields: dict[str, Any], sides: Any) -> bool:
    """Whether a record was made from sides that came out of their files in this way, see `sides_key`."""
    if "sides" in fields or sides is None:
        return bool(fields.get("sides") == sides)
    return all(side[0] == [RAW] and side[1] in _LAYOUTS_BEFORE for side in sides)  # no others were read


def sides_key(weight: PairedWeight) -> list[list[Any]]:
    """How the numbers of either side came out of its files, JSON values.

    Its encodings, the layout of its names, and what the encodings were told, where that is anything: it may come from a
    file that the fingerprint does not cover.
    """
    views = weight.finetuned, weight.original
    return [[list(view.encodings), view.layout, *([view.parameters] if view.parameters else [])] for view in views]


def same_run(fields: dict[str, Any], method: LayerMethod, name: str) -> bool:
    """Whether a record was made with everything that decides its tensors, so that they come out the same to the bit."""
    return "export" in fields and all(decided(fields, method, rule, name) is not None for rule in method.storing)


def decided(fields: dict[str, Any], method: LayerMethod, rule: StoringRule, name: str) -> dict[str, Any] | None:
    """The fields of the `Storing` that a record holds for a rule; None where it was made with another rule or rank.

    What a file held whose cap is smaller than that of its run's decomposition is that of a run of its own, too.
    """
    mine = export_key(rule)
    return next((item["how"] for item in _alike(fields, method, rule, name) if _export(item) == mine), None)


def clamped_alike(fields: dict[str, Any], method: LayerMethod, rule: StoringRule, name: str) -> dict[str, Any] | None:
    """The fields of the `Storing` of factors that were clamped, or not, by the same rule at the same rank."""
    mine = [export_key(rule)[part] for part in _CLAMPING]
    for item in _alike(fields, method, rule, name):
        if [item["export"][part] for part in _CLAMPING] == mine:
            how: dict[str, Any] = item["how"]
            return how
    return None


def _alike(fields: dict[str, Any], method: LayerMethod, rule: StoringRule, name: str) -> list[dict[str, Any]]:
    """The storings of a record whose ranks were chosen as a file's are; of a difference all, which has no rank."""
    items = [fields, *fields.get("also", [])]
    if fields["what"] != "factors":
        return items
    kind, rank, parameter = fields["policy"]
    wanted = policy_key(replace(method.policy, rank=rule.limit(name, method.policy.rank)))
    return [item for item in items if [kind, item["export"].get("rank", rank), parameter] == wanted]


def _export(item: dict[str, Any]) -> dict[str, Any]:
    return {part: value for part, value in item["export"].items() if part != "rank"}


def recorded_export(method: LayerMethod, rule: StoringRule, name: str) -> dict[str, Any]:
    """How a rule stores a layer, for its record: with the rank where that is not the one of the decomposition."""
    rank = rule.limit(name, method.policy.rank)
    key = export_key(rule)
    return key if rank == method.policy_for(name).rank else key | {"rank": rank}


def solver_key(method: LayerMethod, name: str) -> list[Any]:
    """What decides the vectors of a decomposition beside the rank."""
    return [method.algorithm, method.iterations, method.layer_seed(name), SOLVER_VERSION]


def policy_key(policy: RankPolicy) -> list[Any]:
    """What decides the rank; the cut of a layer follows from its own numbers and the version."""
    parameters = {"standard": 0.0, "adaptive_noise": float(CUT_VERSION)}
    return [policy.lora_type, policy.rank, parameters.get(policy.lora_type, policy.adaptive_param)]


def export_key(rule: StoringRule) -> dict[str, Any]:
    """What decides how factors are stored, beside the rank: what the first version's records have, and what is set."""
    return {
        item.name: getattr(rule, item.name)
        for item in fields_of(rule)
        if item.name in _ALWAYS or (item.name not in _RANKS and getattr(rule, item.name) != item.default)
    }


def number(value: float | None) -> float:
    """A figure that may be infinite, which JSON cannot hold."""
    return math.inf if value is None else float(value)
