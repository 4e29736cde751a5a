"""How good a LoRA is: a level, what fell short, and what would help most. Data and pure functions, no words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from engine.analysis.exploration import LARGEST_RANK, Exploration, Span
from engine.presets import RANK_STOPS
from engine.results import Coverage, ExtractionResult, LargeChange, LayerResult, LeaveOutReason
from engine.settings import ExtractionSettings

SHORT = 0.8
"""The one threshold of warnings: a LoRA or a layer that keeps less is marked and named; from here on it is green."""
_LEFT_OUT_MATTERS = 0.05  # of the whole change
_CLAMPING_MATTERS = 0.01  # of a layer's change
_ENOUGH, _AMPLE, _STILL_AMPLE = 0.95, 0.99, 0.98
_SMALLER = 0.7  # of the size, or a smaller rank is not worth a word
_RANKS = tuple(rank for rank in RANK_STOPS if rank in (1, 2, 4) or rank % 8 == 0)  # round ones to advise
_BY_CHOICE = (
    LeaveOutReason.COMPONENT_NOT_CHOSEN,
    LeaveOutReason.EXCLUDED,
    LeaveOutReason.BIASES_OFF,
    LeaveOutReason.BELOW_MIN_CHANGE,
)


class Level(float, Enum):
    """How much of the change a file keeps: each value is the least share that earns the level."""

    NEARLY_ALL = 0.98
    MOST = 0.9
    MUCH = SHORT
    PART = 0.5
    LITTLE = 0.0

    @property
    def good(self) -> bool:
        """Whether there is nothing to warn of."""
        return self.value >= SHORT


class Step(Enum):
    """What would help most."""

    HIGHER_RANK = "higher_rank"
    HIGHER_LIMIT = "higher_limit"
    SMALLER_RANK = "smaller_rank"
    LARGER_VALUE = "larger_value"
    SMALLER_VALUE = "smaller_value"
    RANK_PER_LAYER = "rank_per_layer"
    MORE_PARTS = "more_parts"


@dataclass(frozen=True)
class Advice:
    """What to try next; `rank`, `mean` and `size_bytes` say what it would give, where that is known."""

    step: Step
    rank: int | None = None
    mean: Span | None = None
    size_bytes: float | None = None


@dataclass(frozen=True)
class Quality:
    """What there is to say about a finished LoRA.

    Attributes:
        level: how much of the change it keeps.
        mean: the share.
        real: of the change that is no rounding noise the share that it keeps, by which it is judged; None where that is
            not known, and `mean` is judged.
        short: layers that keep less than `SHORT`, the weakest first.
        weakest: the layer that keeps least; None where there is none.
        capped: layers that the rank limit cut short.
        limit: that limit.
        clamping_cost: layers that lost a visible share to clamping.
        unchanged: layers that turned out to be the same in both models.
        unclamped: layers that stayed unclamped because clamping would have cost more than the person allows.
        wider: layers stored in fp32 because the chosen precision would have damaged them.
        broken: layers left out because they hold NaN or infinite values.
        left_out_share: share of the change in weights that are not in the file.
        advice: what to try next; None where nothing is worth it.
        coverage: of how much of the models the share speaks.
        large_changes: layers that changed beyond recognition.
        rounded: of the unchanged layers those that are the same but for rounding.
    """

    level: Level
    mean: float
    short: tuple[LayerResult, ...]
    weakest: LayerResult | None
    capped: int
    limit: int
    clamping_cost: int
    unchanged: int
    unclamped: int
    wider: int
    broken: int
    left_out_share: float
    advice: Advice | None
    coverage: Coverage
    large_changes: LargeChange
    rounded: int = 0
    real: float | None = None

    @property
    def good(self) -> bool:
        """Whether there is nothing to warn of."""
        return self.level.good and not self.broken and not self.clamping_cost and self.speaks

    @property
    def speaks(self) -> bool:
        """Whether the share says something: enough was compared, with an original that belongs to it."""
        return self.coverage.enough and not self.large_changes.unrelated


def judge(settings: ExtractionSettings, result: ExtractionResult, exploration: Exploration) -> Quality:
    """Weigh up a finished run.

    Args:
        settings: of the run.
        result: of the run.
        exploration: of the run.
    """
    mean, noise = result.outputs[0].mean_energy_retained, result.outputs[0].noise
    real = None if noise is None else noise.real_energy_retained
    share = mean if real is None else real
    rows = sorted(result.rows, key=lambda row: row.energy_retained)
    reasons = Counter(item.reason for item in result.left_out)
    level = next(level for level in Level if share >= level.value or level is Level.LITTLE)
    lost = [
        row for row in rows if row.clamp == "clamped" and row.energy_before - row.energy_retained > _CLAMPING_MATTERS
    ]
    by_choice = any(reasons[reason] for reason in _BY_CHOICE)
    return Quality(
        level=level,
        mean=mean,
        short=tuple(row for row in rows if _judged(row) < SHORT),
        weakest=rows[0] if rows else None,
        capped=result.capped,
        limit=settings.rank,
        clamping_cost=len(lost),
        unchanged=reasons[LeaveOutReason.UNCHANGED],
        unclamped=result.kept_unclamped if settings.own_clamp_limit else 0,
        wider=sum(row.stored_dtype == "F32" for row in rows) if settings.output_dtype != "fp32" else 0,
        broken=reasons[LeaveOutReason.NON_FINITE],
        left_out_share=exploration.left_out_share,
        advice=_advice(settings, share, rows, exploration, left_out_by_choice=by_choice),
        coverage=result.coverage,
        large_changes=result.large_changes,
        rounded=sum(bool(item.rounded_to) for item in result.left_out),
        real=real,
    )


def _judged(row: LayerResult) -> float:
    """The share by which a layer is judged; one that is all noise has nothing that it could keep less of."""
    if row.noise is None:
        return row.energy_retained
    return 1.0 if row.noise.real_energy_retained is None else row.noise.real_energy_retained


def _advice(
    settings: ExtractionSettings,
    mean: float,
    rows: list[LayerResult],
    exploration: Exploration,
    *,
    left_out_by_choice: bool,
) -> Advice | None:
    reachable = 1.0 - exploration.left_out_share
    if left_out_by_choice and exploration.left_out_share > _LEFT_OUT_MATTERS:
        return Advice(Step.MORE_PARTS)
    if not exploration.names:
        return None
    if settings.lora_type == "standard":
        if mean < Level.MOST * reachable:
            return _rank_advice(exploration, exploration.policy.rank, reachable)
        if mean >= _AMPLE * reachable:
            return _smaller_advice(exploration, exploration.policy.rank, reachable)
        return Advice(Step.RANK_PER_LAYER) if rows[0].energy_retained < SHORT else None
    if any(row.capped for row in rows):
        return Advice(Step.HIGHER_LIMIT, min(2 * settings.rank, LARGEST_RANK)) if settings.rank < LARGEST_RANK else None
    if settings.lora_type == "adaptive_noise":  # which has no value to change
        return None
    step = Step.SMALLER_VALUE if settings.lora_type == "adaptive_ratio" else Step.LARGER_VALUE
    return Advice(step) if mean < Level.MOST * reachable else None


def _rank_advice(exploration: Exploration, rank: int, reachable: float) -> Advice | None:
    """The first rank that surely keeps enough, but not more than twice the rank, whose bounds are still narrow."""
    higher = [other for other in _RANKS if rank < other <= min(2 * rank, exploration.largest_rank)]
    if not higher:
        return None
    answers = [exploration.at_rank(other) for other in higher]
    best = next((answer for answer in answers if answer.mean.low >= _ENOUGH * reachable), answers[-1])
    return Advice(Step.HIGHER_RANK, best.policy.rank, best.mean, best.size.high)


def _smaller_advice(exploration: Exploration, rank: int, reachable: float) -> Advice | None:
    """The smallest rank that keeps nearly as much, where the file becomes clearly smaller."""
    now = exploration.at_rank(rank).size.high
    for other in (other for other in _RANKS if other < rank):
        answer = exploration.at_rank(other)
        if answer.mean.low >= _STILL_AMPLE * reachable:
            smaller = answer.size.high <= _SMALLER * now
            return Advice(Step.SMALLER_RANK, other, answer.mean, answer.size.high) if smaller else None
    return None
