"""Files of a wanted size: what they take at which ranks, and the ranks once the layers' singular values are known.

Which layers changed and how their values fall is known only when all are decomposed. So a plan begins with the rank
that suits if every layer changed, and `shared` makes of it the plan with a rank for each layer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engine.decompose.method import LayerMethod, StoringRule
from engine.decompose.rank_rules import Values
from engine.errors import EngineError, ErrorCode
from engine.formats.lora_format import Place
from engine.models.pairing import PairedWeight
from engine.planning.costs import enlarging_bytes, journal_bytes, matrix_shape, measuring_work, stored_bytes, work
from engine.planning.output import Output
from engine.planning.plan import Plan
from engine.planning.ranks import FLOOR, LayerSpectrum, largest_for_all, least_bytes, share_ranks

_MORE = 8  # ranks at least by which a layer is decomposed further


@dataclass(frozen=True)
class LayerBytes:
    """What a layer takes in a file.

    Attributes:
        fixed: whatever its rank: alphas, what enlarges it, or the whole of a difference.
        rank: each rank; 0 for a difference.
        full: the largest rank that it may have; 0 for a difference.
    """

    fixed: int
    rank: int
    full: int


@dataclass(frozen=True)
class FoundLayer:
    """What is known of a layer that was decomposed.

    Attributes:
        values: leading singular values, descending; none of a difference.
        energy: |delta|^2.
        original_energy: |original|^2.
        left_out: it is not in the file, as it did not change, or not enough; its new part may be.
        wide: the outputs, by their place in the plan, that store it in float32, as their dtype would lose too much.
    """

    values: Values
    energy: float
    original_energy: float
    left_out: bool = False
    wide: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True)
class SizeRange:
    """Bytes that a file can have: with rank 1 of every layer, should all have changed, and with all ranks."""

    least: int
    most: int


def layer_bytes(
    weight: PairedWeight, method: LayerMethod, rule: StoringRule, places: Sequence[Place], cap: int
) -> LayerBytes:
    """Count from headers what a layer takes in a file.

    Args:
        weight: the layer.
        method: how layers are decomposed.
        rule: how the file stores them.
        places: where the layer stands in it.
        cap: the largest rank that any layer may have.
    """
    at_one = replace(method, policy=replace(method.policy, rank=1))

    def size(rank: int) -> int:
        fixed = replace(rule, rank=rank, ranks=None)
        enlarged = any("reshape" in place.keys for place in places)
        more = enlarging_bytes(weight, at_one, fixed) if enlarged else 0
        return stored_bytes(weight, at_one, fixed, places) + more

    if not method.stores_factors(weight.kind):
        return LayerBytes(size(1), 0, 0)
    return LayerBytes(size(0), size(1) - size(0), min(cap, *matrix_shape(weight.shape)))


def size_range(plan: Plan, output: Output, *, cap: int) -> SizeRange:
    """The sizes that a file of a plan can have, whatever its rank is now. Headers only.

    Args:
        plan: of a type with one rank, or for a size.
        output: one of its files.
        cap: the largest rank that any layer may have.
    """
    counted = _counted(plan, output, cap=cap).values()
    fixed = output.base_bytes + sum(layer.fixed for layer in counted)
    return SizeRange(
        fixed + sum(layer.rank for layer in counted), fixed + sum(layer.rank * layer.full for layer in counted)
    )


def begun(plan: Plan) -> Plan:
    """The plan with the ranks that layers are decomposed to at first.

    Raises:
        EngineError: ``size_too_small`` where not even the smallest layer would fit.
    """
    outputs = tuple(_begun(plan, output) for output in plan.outputs)
    return _with_outputs(plan, outputs)


def _begun(plan: Plan, output: Output) -> Output:
    goal = output.goal
    if goal is None:  # its rank is its own, whatever the others need
        return replace(output, storing=replace(output.storing, rank=output.storing.rank or output.rank))
    counted = list(_counted(plan, output, cap=goal.cap).values())
    sizes = size_range(plan, output, cap=goal.cap)
    if counted and goal.target < output.base_bytes + min(layer.fixed + layer.rank for layer in counted):
        raise too_small(output, sizes.least)
    factors = [layer for layer in counted if layer.rank]
    room = goal.target - output.base_bytes - sum(layer.fixed for layer in counted)
    rank = FLOOR
    if factors and room >= sum(layer.rank for layer in factors):
        costs, full = (np.array(column, np.int64) for column in zip(*((x.rank, x.full) for x in factors), strict=True))
        rank = largest_for_all(costs, full, room)
        rank = max(FLOOR, rank + 1 if goal.size_by == "uniform" else 2 * rank)
    rank = min(rank, goal.cap)
    rule = replace(output.storing, rank=rank, alpha=None if output.storing.alpha is None else float(rank))
    return replace(output, storing=rule, output_bytes=min(goal.target, sizes.most))


def may_be_too_small(plan: Plan) -> bool:
    """Whether a file would not hold rank 1 of every layer, should all have changed."""
    goals = [(output, output.goal) for output in plan.outputs]
    return any(goal is not None and goal.target < size_range(plan, one, cap=goal.cap).least for one, goal in goals)


def check_least(plan: Plan, found: Mapping[str, FoundLayer]) -> None:
    """Look whether rank 1 of every layer that changed fits; `values` of `found` may be missing.

    Raises:
        EngineError: ``size_too_small``, with the least possible size.
    """
    for number, output in enumerate(plan.outputs):
        if output.goal is not None:
            _room(plan, number, found)


def wanted(plan: Plan, found: Mapping[str, FoundLayer]) -> dict[str, int]:
    """By layer the rank to which it is to be decomposed further, as more of its values may decide; none at the end.

    Raises:
        EngineError: ``size_too_small``.
    """
    more: dict[str, int] = {}
    for number, output in enumerate(plan.outputs):
        if output.goal is None:
            continue
        for name, rank in _ranks(plan, number, found).items():
            known = len(found[name].values)
            if rank > known:
                more[name] = max(more.get(name, 0), min(rank, max(2 * known, known + _MORE)))
    return more


def further(plan: Plan, ranks: Mapping[str, int]) -> Plan:
    """The plan in which some layers are decomposed to other ranks."""
    rules = tuple(replace(rule, ranks={**(rule.ranks or {}), **ranks}) for rule in plan.method.storing)
    most = max((plan.method.policy.rank, *ranks.values()))
    return replace(
        plan, method=replace(plan.method, storing=rules, policy=replace(plan.method.policy, rank=most))
    )


def shared(plan: Plan, found: Mapping[str, FoundLayer]) -> Plan:
    """The plan with a rank for each layer of the files that have a wanted size.

    Raises:
        EngineError: ``size_too_small``.
    """
    outputs = []
    for number, output in enumerate(plan.outputs):
        if output.goal is not None:
            ranks = _ranks(plan, number, found)
            largest = max(ranks.values(), default=1)
            rule = replace(output.storing, rank=largest, ranks=ranks)
            if rule.alpha is not None:
                rule = replace(rule, alpha=float(largest))
            output = replace(output, storing=rule, output_bytes=_size(plan, number, found, ranks))
        outputs.append(output)
    return _with_outputs(plan, tuple(outputs))


def too_small(output: Output, least: int) -> EngineError:
    """The error for a size that a file cannot have."""
    assert output.goal is not None
    return EngineError(ErrorCode.SIZE_TOO_SMALL, size=output.goal.target, least=least, name=output.title)


def _with_outputs(plan: Plan, outputs: tuple[Output, ...]) -> Plan:
    """The plan with other rules of storing, decomposed as far as the largest of them needs."""
    rules = tuple(dict.fromkeys(output.storing for output in outputs))
    ranks = [plan.method.policy.rank if rule.rank is None else rule.rank for rule in rules]
    method = replace(plan.method, storing=rules, policy=replace(plan.method.policy, rank=max(ranks)))
    return replace(
        plan,
        method=method,
        outputs=outputs,
        costs=(*(work(weight, method) for weight in plan.layers), *map(measuring_work, plan.measured)),
        journal_bytes=sum(journal_bytes(weight, method) for weight in plan.layers),
    )


def _counted(
    plan: Plan, output: Output, *, cap: int, wide: Collection[str] = (), names: Collection[str] | None = None
) -> dict[str, LayerBytes]:
    """What each layer of a file takes.

    Args:
        plan: of the file.
        output: the file.
        cap: the largest rank that any layer may have.
        wide: the names of layers that are stored in float32.
        names: of the layers that are counted; None for all.
    """
    float32 = replace(output.storing, output_dtype="fp32")
    return {
        weight.name: layer_bytes(
            weight, plan.method, float32 if weight.name in wide else output.storing, output.places[weight.name], cap
        )
        for weight in plan.layers
        if weight.name in output.places and (names is None or weight.name in names)
    }


def _room(plan: Plan, number: int, found: Mapping[str, FoundLayer]) -> tuple[dict[str, LayerBytes], int]:
    """What the layers with factors take in a file, and the bytes that are there for their ranks."""
    output = plan.outputs[number]
    goal = output.goal
    assert goal is not None
    wide = {name for name, layer in found.items() if number in layer.wide}
    held = {name for name, layer in found.items() if not layer.left_out or name in output.enlarged}
    counted = _counted(plan, output, cap=goal.cap, wide=wide, names=held)
    fixed = output.base_bytes + sum(layer.fixed for layer in counted.values())
    factors = {name: layer for name, layer in counted.items() if layer.rank and not found[name].left_out}
    least = fixed + sum(layer.rank for layer in factors.values())
    if least > goal.target:
        raise too_small(output, least)
    return factors, goal.target - fixed


def _ranks(plan: Plan, number: int, found: Mapping[str, FoundLayer]) -> dict[str, int]:
    goal = plan.outputs[number].goal
    assert goal is not None
    factors, room = _room(plan, number, found)
    layers = [
        LayerSpectrum(
            layer.rank, layer.full, found[name].values, found[name].original_energy, found[name].energy
        )
        for name, layer in factors.items()
    ]
    return dict(zip(factors, share_ranks(layers, room, goal.size_by).ranks, strict=True))


def _size(plan: Plan, number: int, found: Mapping[str, FoundLayer], ranks: Mapping[str, int]) -> int:
    goal = plan.outputs[number].goal
    assert goal is not None
    factors, room = _room(plan, number, found)
    return goal.target - room + sum(layer.rank * ranks[name] for name, layer in factors.items())
