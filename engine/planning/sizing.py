"""Files of a wanted size: what they take at which ranks, and the ranks once the layers' singular values are known.

Which layers changed and how their values fall is known only when all are decomposed. So a run begins with the rank
that suits if every layer changed, see `begun`, and `Sizing.shared` gives each layer its own.
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
from engine.planning.costs import enlarging_bytes, matrix_shape, stored_bytes
from engine.planning.output import Output, SizeGoal
from engine.planning.ranks import FLOOR, LayerSpectrum, largest_for_all, share_ranks

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


def size_range(method: LayerMethod, output: Output, layers: Sequence[PairedWeight], *, cap: int) -> SizeRange:
    """The sizes that a file can have, whatever its ranks are now. Headers only.

    Args:
        method: of a type with one rank.
        output: the file.
        layers: of the plan.
        cap: the largest rank that any layer may have.
    """
    counted = _counted(method, output, layers, cap=cap).values()
    fixed = output.base_bytes + sum(output.kept_bytes.values()) + sum(layer.fixed for layer in counted)
    return SizeRange(
        fixed + sum(layer.rank for layer in counted), fixed + sum(layer.rank * layer.full for layer in counted)
    )


def begun(
    method: LayerMethod, outputs: tuple[Output, ...], layers: Sequence[PairedWeight]
) -> tuple[LayerMethod, tuple[Output, ...]]:
    """The method and the files with the ranks to which layers are decomposed at first.

    Args:
        method: with the largest rank that any file could need.
        outputs: the files.
        layers: those that at least one of them holds.

    Raises:
        EngineError: ``size_too_small`` where not even the smallest layer would fit.
    """
    if not any(output.goal for output in outputs):
        return replace(method, storing=_rules(outputs)), outputs
    outputs = tuple(_begun(method, output, layers) for output in outputs)
    return _for_outputs(method, outputs), outputs


def _begun(method: LayerMethod, output: Output, layers: Sequence[PairedWeight]) -> Output:
    goal = output.goal
    if goal is None:  # its rank is its own, whatever the others need
        return replace(output, storing=replace(output.storing, rank=output.storing.rank or output.rank))
    counted = list(_counted(method, output, layers, cap=goal.cap).values())
    least = size_range(method, output, layers, cap=goal.cap).least
    if counted and goal.target < output.base_bytes + min(layer.fixed + layer.rank for layer in counted):
        raise _too_small(output, least)
    factors = [layer for layer in counted if layer.rank]
    room = goal.target - output.base_bytes - sum(output.kept_bytes.values()) - sum(layer.fixed for layer in counted)
    rank = FLOOR
    if factors and goal.target >= least:
        costs = np.array([layer.rank for layer in factors], np.int64)
        rank = largest_for_all(costs, np.array([layer.full for layer in factors], np.int64), room)
        rank = max(FLOOR, rank + 1 if goal.size_by == "uniform" else 2 * rank)
    return replace(output, storing=_with_rank(output, min(rank, goal.cap)))


@dataclass(frozen=True)
class Sizing:
    """The files of a plan whose ranks are to be chosen.

    Attributes:
        method: by which layers are decomposed at first.
        outputs: the files, also those with ranks of their own.
        layers: of the plan.
        reserved: bytes that are left free in a file, by its place among the outputs, as it takes more than was counted.
    """

    method: LayerMethod
    outputs: tuple[Output, ...]
    layers: Sequence[PairedWeight]
    reserved: Mapping[int, int] = field(default_factory=dict)

    @property
    def doubtful(self) -> bool:
        """Whether a file would not hold rank 1 of every layer, should all have changed."""
        return any(
            goal.target < size_range(self.method, self.outputs[number], self.layers, cap=goal.cap).least
            for number, goal in self._goals()
        )

    def check_least(self, found: Mapping[str, FoundLayer]) -> None:
        """Look whether rank 1 of every layer that changed fits; no values are asked for.

        Raises:
            EngineError: ``size_too_small``, with the least possible size.
        """
        for number, goal in self._goals():
            self._room(number, goal, found)

    def wanted(self, found: Mapping[str, FoundLayer]) -> dict[str, int]:
        """By layer the rank to which it is to be decomposed further, as more of its values may decide; none at the end.

        Raises:
            EngineError: ``size_too_small``.
        """
        more: dict[str, int] = {}
        for number, goal in self._goals():
            for name, rank in self._ranks(number, goal, found).items():
                known = len(found[name].values)
                if rank > known:
                    more[name] = max(more.get(name, 0), min(rank, max(2 * known, known + _MORE)))
        return more

    def further(self, ranks: Mapping[str, int]) -> LayerMethod:
        """The method that decomposes some layers to other ranks, by name."""
        rules = tuple(replace(rule, ranks=dict(ranks)) for rule in self.method.storing)
        most = max((self.method.policy.rank, *ranks.values()))
        return replace(self.method, storing=rules, policy=replace(self.method.policy, rank=most))

    def shared(self, found: Mapping[str, FoundLayer]) -> tuple[LayerMethod, tuple[Output, ...]]:
        """The method and the files with a rank for each layer.

        Raises:
            EngineError: ``size_too_small``.
        """
        outputs = list(self.outputs)
        for number, goal in self._goals():
            ranks = self._ranks(number, goal, found)
            factors, room = self._room(number, goal, found)
            taken = sum(layer.rank * ranks[name] for name, layer in factors.items())
            rule = replace(_with_rank(outputs[number], max(ranks.values(), default=1)), ranks=ranks)
            outputs[number] = replace(outputs[number], storing=rule, output_bytes=goal.target - room + taken)
        return _for_outputs(self.method, tuple(outputs)), tuple(outputs)

    def _goals(self) -> list[tuple[int, SizeGoal]]:
        return [(number, output.goal) for number, output in enumerate(self.outputs) if output.goal is not None]

    def _room(self, number: int, goal: SizeGoal, found: Mapping[str, FoundLayer]) -> tuple[dict[str, LayerBytes], int]:
        """What the layers with factors take in a file, and the bytes that are there for their ranks."""
        output = self.outputs[number]
        wide = {name for name, layer in found.items() if number in layer.wide}
        held = {name for name, layer in found.items() if not layer.left_out or name in output.enlarged}
        counted = _counted(self.method, output, self.layers, cap=goal.cap, wide=wide, names=held)
        fixed = output.base_bytes + self.reserved.get(number, 0) + sum(layer.fixed for layer in counted.values())
        fixed += sum(size for name, size in output.kept_bytes.items() if not (name in found and found[name].left_out))
        factors = {name: layer for name, layer in counted.items() if layer.rank and not found[name].left_out}
        least = fixed + sum(layer.rank for layer in factors.values())
        if least > goal.target:
            raise _too_small(output, least)
        return factors, goal.target - fixed

    def _ranks(self, number: int, goal: SizeGoal, found: Mapping[str, FoundLayer]) -> dict[str, int]:
        factors, room = self._room(number, goal, found)
        layers = [
            LayerSpectrum(layer.rank, layer.full, one.values, one.original_energy, one.energy)
            for layer, one in ((layer, found[name]) for name, layer in factors.items())
        ]
        return dict(zip(factors, share_ranks(layers, room, goal.size_by).ranks, strict=True)) if layers else {}


def _too_small(output: Output, least: int) -> EngineError:
    assert output.goal is not None
    return EngineError(ErrorCode.SIZE_TOO_SMALL, size=output.goal.target, least=least, name=output.title)


def _with_rank(output: Output, rank: int) -> StoringRule:
    assert output.goal is not None
    rule = replace(output.storing, rank=rank)
    return replace(rule, alpha=float(rank)) if output.goal.one_alpha and not rule.baked else rule


def _rules(outputs: tuple[Output, ...]) -> tuple[StoringRule, ...]:
    """The different rules by which the outputs are stored, the first output's first."""
    return tuple(dict.fromkeys(output.storing for output in outputs))


def _for_outputs(method: LayerMethod, outputs: tuple[Output, ...]) -> LayerMethod:
    """The method with the files' rules, decomposing as far as the largest of them needs."""
    rules = _rules(outputs)
    most = max(method.policy.rank if rule.rank is None else rule.rank for rule in rules)
    return replace(method, storing=rules, policy=replace(method.policy, rank=most))


def _counted(
    method: LayerMethod,
    output: Output,
    layers: Sequence[PairedWeight],
    *,
    cap: int,
    wide: Collection[str] = (),
    names: Collection[str] | None = None,
) -> dict[str, LayerBytes]:
    """What each layer of a file takes.

    Args:
        method: how layers are decomposed.
        output: the file.
        layers: of the plan.
        cap: the largest rank that any layer may have.
        wide: the names of layers that are stored in float32.
        names: of the layers that are counted; None for all.
    """
    float32 = replace(output.storing, output_dtype="fp32")
    return {
        weight.name: layer_bytes(
            weight, method, float32 if weight.name in wide else output.storing, output.places[weight.name], cap
        )
        for weight in layers
        if weight.name in output.places and (names is None or weight.name in names)
    }
