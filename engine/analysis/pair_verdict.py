"""What a sample of two models says of them: whether they are a model and its original. Data only, without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from engine.results import LargeChange


class PairVerdict(str, Enum):
    """What a sample of two models says of them. The values are part of the command line's JSON and never change."""

    RELATED = "related"
    UNRELATED = "unrelated"
    IDENTICAL = "identical"
    NEARLY_IDENTICAL = "nearly_identical"


ALL_ROUNDING = 2.5
"""How much of a change's energy rounding explains where about half of it is rounding, or more.

The estimate counts every number as rounded once. Where most are left unchanged it counts too much: of made changes of
numbers that lay on the dtype's grid it found three times the energy where half of it was rounding, see
docs/benchmarks.md.
"""
COARSE_SIDE = 0.75, 1.5
"""The same where one side is stored coarser, and its rounding is whole in the change.

A model that was trained from the coarse numbers themselves changed less than these were rounded: the share is larger.
"""
FEW_LAYERS = 0.05
"""Where a smaller share of the layers changed, and no kind of layer did as a whole, two models are nearly the same."""


@dataclass(frozen=True)
class PairSample:
    """Some rows of some layers of two models, subtracted before a run: what they say of the whole.

    Attributes:
        layers: how many layers were looked at.
        of: how many there are.
        whole: of those looked at every number was read.
        relative_change: norm of the difference beside that of the original, an estimate for the layers looked at: each
            counts by its size.
        changed: the layers looked at that differ by more than rounding to a coarser form.
        rounded: those that are the same once one side is rounded as the other one is stored.
        kinds_changed: whether the layers of one place of every block, such as all queries, changed.
        large: those that changed by more than `LARGE_CHANGE`, of the layers with factors, or of all where none has.
        rounding_share: of the energy of the change, how much the fine-tuned side's rounding explains, each number taken
            as rounded once; it can be more than 1. None where nothing changed.
        coarse_rounding_share: the same of the coarser side's rounding, of layers whose sides are stored in different
            forms and are subtracted as they are; `rounding_share` is of the others.
        read_bytes: of both models together.
    """

    layers: int
    of: int
    whole: bool
    relative_change: float
    changed: int
    rounded: int
    kinds_changed: bool
    large: LargeChange
    rounding_share: float | None
    coarse_rounding_share: float | None
    read_bytes: int

    @property
    def verdict(self) -> PairVerdict:
        """What it says."""
        if self.large.unrelated:
            return PairVerdict.UNRELATED
        if not self.changed:
            return PairVerdict.IDENTICAL
        return PairVerdict.NEARLY_IDENTICAL if self.only_rounding or self.few_layers else PairVerdict.RELATED

    @property
    def only_rounding(self) -> bool:
        """Whether what changed is hardly more than what rounding alone gives."""
        alike, coarse = self.rounding_share, self.coarse_rounding_share
        low, high = COARSE_SIDE
        explained = [] if alike is None else [alike >= ALL_ROUNDING]
        explained += [] if coarse is None else [low <= coarse <= high]
        return bool(explained) and all(explained)

    @property
    def few_layers(self) -> bool:
        """Whether hardly any layer changed, and no kind of layer as a whole."""
        return self.changed < FEW_LAYERS * self.layers and not self.kinds_changed

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "relative_change": self.relative_change,
            "verdict": self.verdict.value,
            "layers": self.layers,
            "of": self.of,
            "whole": self.whole,
            "changed": self.changed,
            "rounded": self.rounded,
            "large_changes": asdict(self.large),
            "rounding_share": self.rounding_share,
            "coarse_rounding_share": self.coarse_rounding_share,
            "read_bytes": self.read_bytes,
        }
