"""The ways to choose another rank after a run: by rank, by a rule, by file size; ranges and what a value stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.text.translation import translator
from engine.analysis.exploration import Answer, Exploration
from engine.decompose.rank_rules import RankPolicy
from engine.settings import RECOMMENDED_ADAPTIVE_PARAM, LoraType

_tr = translator("rank_modes")

REACH = 4  # a slider goes up to so many times the rank computed; higher ones can be typed
MEGABYTE, KILOBYTE = 10**6, 10**3
_FEW_MEGABYTES = 20 * MEGABYTE
_SAMPLES = 24


@dataclass(frozen=True)
class Way:
    """One way to choose.

    Attributes:
        title: short, for a drop-down list.
        meaning: what its value does.
        rule: the rule that it sets; None where a file size is given instead.
        low, high, step: range of its value.
        stops: values that its slider stops at; empty where it moves evenly.
        percent: whether the value is shown as a percentage.
        unit: bytes that one of its values stands for; 0 where it is no size.
    """

    title: str
    meaning: str
    rule: LoraType | None
    low: float
    high: float
    step: float = 1.0
    stops: tuple[int, ...] = ()
    percent: bool = False
    unit: int = 0

    def policy(self, exploration: Exploration, value: float) -> RankPolicy:
        """The rule that a value stands for."""
        if self.rule is None:
            rank = max(1, exploration.rank_within(value * self.unit))
            return RankPolicy("standard", rank, exploration.settings.adaptive_param)
        if self.rule == "standard":
            return RankPolicy("standard", round(value), exploration.settings.adaptive_param)
        if self.rule == "adaptive_noise":
            return RankPolicy(self.rule, round(value), 0.0)
        return RankPolicy(self.rule, max(exploration.settings.rank, exploration.computed_rank), value)

    def value_near(self, exploration: Exploration, answer: Answer) -> float:
        """The value to begin with after a choice made in another way: the same, as large a file, or the usual one."""
        policy = answer.policy
        if self.rule is None:
            return -(-answer.size.high // self.unit)
        if self.rule == "standard":
            return policy.rank if policy.lora_type == "standard" else max(1, exploration.rank_within(answer.size.high))
        if self.rule == "adaptive_noise":
            return policy.rank if policy.lora_type == self.rule else max(1, exploration.computed_rank)
        return policy.adaptive_param if policy.lora_type == self.rule else RECOMMENDED_ADAPTIVE_PARAM[self.rule][2]

    def samples(self) -> tuple[float, ...]:
        """Some values over the slider's whole range."""
        if self.stops:
            return self.stops
        return tuple(np.linspace(self.low, self.high, _SAMPLES).round(6).tolist())


def ways(exploration: Exploration, rank_stops: tuple[int, ...]) -> tuple[Way, ...]:
    """The ways that make sense after a run with factors; the rarer rules only where the run was made with them.

    Args:
        exploration: of the run.
        rank_stops: ranks that a slider usually stops at.
    """
    settings, computed = exploration.settings, exploration.computed_rank
    own = settings.rank if settings.lora_type == "standard" else computed
    top = min(exploration.largest_rank, REACH * max(computed, own))
    stops = tuple(sorted({rank for rank in (*rank_stops, computed, own, top) if 1 <= rank <= top}))
    least, most = exploration.at_rank(1).size.high, exploration.at_rank(top).size.high
    unit = MEGABYTE if most >= _FEW_MEGABYTES else KILOBYTE
    every = (
        Way(_tr("Rank"), _tr("One rank for all layers."), "standard", 1, exploration.largest_rank, stops=stops),
        Way(
            _tr("Kept per layer"),
            _tr("Each layer gets the smallest rank that keeps this share of its change."),
            "adaptive_energy",
            0.5,
            0.99,
            step=0.01,
            percent=True,
        ),
        Way(
            _tr("Ratio"),
            _tr("Each layer keeps the singular values that are larger than this part of its largest one."),
            "adaptive_ratio",
            0.01,
            0.5,
            step=0.01,
        ),
        Way(
            _tr("Frobenius"),
            _tr("Each layer gets the smallest rank that keeps this part of the norm of its change."),
            "adaptive_fro",
            0.5,
            0.99,
            step=0.01,
        ),
        Way(
            _tr("Quantile"),
            _tr("Each layer keeps this part of the sum of its singular values."),
            "adaptive_quantile",
            0.05,
            0.95,
            step=0.01,
        ),
        Way(
            _tr("Above noise"),
            _tr("Each layer keeps the singular values above rounding noise, at most so many."),
            "adaptive_noise",
            1,
            exploration.largest_rank,
            stops=stops,
        ),
        Way(
            _tr("File size"),
            _tr("The largest rank for all layers whose file is at most this large."),
            None,
            -(-least // unit),
            -(-most // unit),
            unit=unit,
        ),
    )
    usual = ("standard", "adaptive_energy", "adaptive_ratio", None, settings.lora_type)
    return tuple(way for way in every if way.rule in usual)
