"""Which weights of two models may differ in shape, and the part that both have. Headers only.

A vocabulary with other rows and a first or last layer with more channels keep their old numbers in their first entries,
so that part can be compared. A weight of a model of another size has nothing to compare, whatever its shape. The two
are told apart by how much of the model differs: what was grown on purpose is a few weights, each in one dimension.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from engine.checkpoints import WeightView
from engine.models.families import VOCABULARY_NAMES

Shape = tuple[int, ...]
_MOST, _SHARE = 4, 50  # weights, or one of so many of the part, that may differ beside vocabularies
_NUMBER = re.compile(r"\d+")


def common_parts(tuned: Mapping[str, WeightView], base: Mapping[str, WeightView]) -> dict[str, Shape]:
    """The common part of every weight whose shapes differ and that can be paired all the same.

    Args:
        tuned: the fine-tuned model by canonical name.
        base: the original.

    Returns:
        By name, the shape of the first entries along each dimension that both sides have.
    """
    found: dict[str, Shape] = {}
    others: dict[str, list[str]] = defaultdict(list)  # by component
    alike: dict[str, int] = defaultdict(int)
    for name, view in base.items():
        other = tuned.get(name)
        if other is None or not (view.is_weight and other.is_weight):
            continue
        if other.shape == view.shape:
            alike[view.component] += 1
        elif is_vocabulary(name) and _differing(other.shape, view.shape) == [0]:
            found[name] = _common(other.shape, view.shape)
        else:
            others[view.component].append(name)
    for component, names in others.items():
        if _grown_on_purpose(names, alike[component]):
            shapes = {name: (tuned[name].shape, base[name].shape) for name in names}
            found |= {
                name: _common(*both) for name, both in shapes.items() if _differing(*both) in ([0], [1]) and all(both)
            }
    return {name: shape for name, shape in found.items() if 0 not in shape}


def is_vocabulary(name: str) -> bool:
    """Whether a weight has a row for every token."""
    return any(part in name for part in VOCABULARY_NAMES)


def _grown_on_purpose(names: list[str], alike: int) -> bool:
    """Whether so many weights of a part of a model differ as somebody would change by hand, none of them repeated."""
    kinds = {_NUMBER.sub("0", name) for name in names}
    return len(names) <= min(alike, max(_MOST, alike // _SHARE)) and len(kinds) == len(names)


def _differing(one: Shape, other: Shape) -> list[int] | None:
    """The dimensions in which two shapes differ; None where they have not as many."""
    if len(one) != len(other):
        return None
    return [at for at, sizes in enumerate(zip(one, other, strict=True)) if sizes[0] != sizes[1]]


def _common(one: Shape, other: Shape) -> Shape:
    return tuple(map(min, one, other))
