"""What one layer costs in time. Headers only.

The unit is a nanosecond of one core of the processor that the figures were measured on (AMD Zen 5, AVX-512 with
bfloat16, torch 2.13); what other machines take is a multiple, which finished runs teach. Measured as processor time of
single layers, 18 shapes from 64 x 64 to 14336 x 4096 and ranks 8 to 256; see docs/benchmarks.md.
"""

from __future__ import annotations

from engine.checkpoints import WeightView
from engine.checkpoints.dtypes import DTYPES
from engine.decompose.method import LayerMethod
from engine.decompose.workspace import SMALL_SIDE, gram_first, whole_spectrum
from engine.models.pairing import PairedWeight
from engine.planning.costs import matrix_shape, stored_bytes

_LAYER = 1e6  # beside the work on its numbers, the record and its share of the syncing included
_READING, _DECODING = 5.0, 5.0  # a value of both sides, and one of a side that is stored in 8 bits or fewer
_STORING = 4.0  # a value of the factors in a file
_MEASURING = 0.06  # a value of the delta times a rank, for how much of the change a file keeps
_RESTORING, _RESTORED = 1.2e6, 4.0  # a layer from its record, and a byte of what is stored of it


def work(weight: PairedWeight, method: LayerMethod) -> float:
    """Estimated work on a weight: reading, subtracting, decomposing, and storing in each file."""
    reading = measuring_work(weight)
    further = len(method.storing) - 1
    if not method.stores_factors(weight.kind):
        return _LAYER + reading + _STORING * weight.numel * (1 + further)
    shape = matrix_shape(weight.shape)
    cap = method.policy_for(weight.name).cap(shape)
    storing = further * (_LAYER + _STORING * cap * sum(shape) + _MEASURING * cap * weight.numel)
    return _LAYER + reading + _decomposing(weight, method) + storing


def measuring_work(weight: PairedWeight) -> float:
    """The same where the change is only measured."""
    return (_READING + sum(_DECODING for view in (weight.finetuned, weight.original) if _coarse(view))) * weight.numel


def restoring_work(weight: PairedWeight, method: LayerMethod) -> float:
    """The same where the layer is taken from the record of an earlier run."""
    stored = sum(stored_bytes(weight, method, rule) for rule in method.storing)
    return _RESTORING * len(method.storing) + _RESTORED * stored


def _decomposing(weight: PairedWeight, method: LayerMethod) -> float:
    """Time of the solver that is tried first, at the largest rank that may be kept."""
    shape, policy = matrix_shape(weight.shape), method.policy_for(weight.name)
    short, long, rank = min(shape), max(shape), policy.cap(shape)
    values = float(short) * long
    if policy.needs_all_values and short > SMALL_SIDE and not gram_first(shape):
        return 6.8e6 + 0.031 * short * values + 0.074 * short**3 + 0.11 * rank * values
    if whole_spectrum(shape, policy, method.algorithm):
        return 1e6 + 0.0044 * short * values + 0.355 * short**3 + 0.11 * rank * values
    if method.algorithm == "svd_lowrank":
        return 3.3e6 + 3.2 * values + 0.17 * rank * values + 0.22 * rank**2 * sum(shape) + 8.0 * rank**3
    if policy.lora_type == "standard":
        return 5e6 + 4.1 * values + 0.2 * rank * values + 8.6 * rank**3
    if policy.lora_type == "adaptive_fro":
        return 1.2e6 + 4.0 * values + 0.062 * rank * values + 4.8 * rank**3
    return 3e6 + 12.5 * values + 0.2 * rank * values + 10.0 * rank**3


def _coarse(view: WeightView) -> bool:
    """Whether numbers of a side are decoded first."""
    return not view.plain or DTYPES[view.source.dtype].bits <= 8
