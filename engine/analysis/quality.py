"""How good a LoRA is: a level, what fell short, and what would help most. Data and pure functions, no words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from engine.analysis.exploration import LARGEST_RANK, Exploration, Span
from engine.presets import RANK_STOPS
from engine.results import Coverage, ExtractionResult, LargeChange, LayerResult, LeaveOutReason, NoiseFigures
from engine.settings import ExtractionSettings

SHORT = 0.6
"""A layer that keeps less is marked and named.

Putting one such layer back whole recovered up to 15 % of a trained task, one that keeps more at most 1.5 %
(`benchmarks.good_enough`).
"""
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
    """How much of the change a file keeps: each value is the least share that earns the level.

    The steps are those at which trained tasks lost more (`benchmarks.good_enough`): from MOST on nearly nothing, from
    MUCH on up to 14 %, below it up to half and more.
    """

    NEARLY_ALL = 0.95
    MOST = 0.9
    MUCH = 0.75
    PART = 0.5
    LITTLE = 0.0

    @classmethod
    def of(cls, share: float) -> Level:
        """The level that a share earns."""
        return next(level for level in cls if share >= level.value or level is cls.LITTLE)

    @property
    def good(self) -> bool:
        """Whether there is nothing to warn of."""
        return self.value >= Level.MUCH.value

    @property
    def sure(self) -> bool:
        """Whether no task that was tried lost much, so that it may be called good without trying."""
        return self.value >= Level.MOST.value


def judged_share(mean: float, noise: NoiseFigures | None) -> float:
    """What a file is judged by: its share of the stored difference, or the least of the real change where that is more.

    The share of the stored difference counts rounding that was left out as missing, which no task misses. That of the
    real change counts rounding that came along as wrong, which the fine-tuned model has as well: the whole difference
    gives that model exactly, whatever it is made of. Trained tasks follow the higher one (`benchmarks.good_enough`).

    Args:
        mean: the share of the stored difference that it keeps.
        noise: what of that is rounding; None where that was not measured.
    """
    return mean if noise is None or noise.real_energy_interval is None else max(mean, noise.real_energy_interval[0])


def layer_share(row: LayerResult) -> float:
    """What a layer is judged by, as `judged_share`; 1 where all of its difference is rounding."""
    return 1.0 if row.noise is not None and row.noise.all_noise else judged_share(row.energy_retained, row.noise)


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
        level: how much of the change it keeps, by `judged_share`.
        mean: the share of the difference as it is stored.
        noise: what of that is rounding; None where that was not measured.
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
    noise: NoiseFigures | None = None

    @property
    def good(self) -> bool:
        """Whether there is nothing to warn of."""
        kept = self.level.good and not self.all_noise
        return kept and not self.broken and not self.clamping_cost and self.speaks

    @property
    def all_noise(self) -> bool:
        """Whether nothing in the difference can be told from rounding."""
        return self.noise is not None and self.noise.all_noise

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
    share, rows = judged_share(mean, noise), sorted(result.rows, key=layer_share)
    reasons = Counter(item.reason for item in result.left_out)
    lost = [
        row for row in rows if row.clamp == "clamped" and row.energy_before - row.energy_retained > _CLAMPING_MATTERS
    ]
    by_choice = any(reasons[reason] for reason in _BY_CHOICE)
    return Quality(
        level=Level.of(share),
        mean=mean,
        short=tuple(row for row in rows if layer_share(row) < SHORT),
        weakest=rows[0] if rows else None,
        capped=result.capped,
        limit=settings.rank,
        clamping_cost=len(lost),
        unchanged=reasons[LeaveOutReason.UNCHANGED],
        unclamped=result.kept_unclamped if settings.own_clamp_limit else 0,
        wider=sum(row.stored_dtype == "F32" for row in rows) if settings.output_dtype != "fp32" else 0,
        broken=reasons[LeaveOutReason.NON_FINITE],
        left_out_share=exploration.left_out_share,
        advice=None
        if noise is not None and noise.all_noise
        else _advice(settings, share, rows, exploration, left_out_by_choice=by_choice),
        coverage=result.coverage,
        large_changes=result.large_changes,
        rounded=sum(bool(item.rounded_to) for item in result.left_out),
        noise=noise,
    )


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
        return Advice(Step.RANK_PER_LAYER) if layer_share(rows[0]) < SHORT else None
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
