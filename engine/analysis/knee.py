"""Where the share kept stops to rise with the rank: the knee of a run's curve, from what is known of its spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.analysis.exploration import Answer, Exploration
from engine.presets import RANK_STOPS

LEAST_BEND = 0.15
"""A curve that rises above its chord by less, of its whole rise, has no knee: every rank adds about as much."""
_LEAST_GAIN = 1e-4  # of the change; a curve that rises by less is flat, and its first rank is enough


@dataclass(frozen=True)
class RankPoint:
    """What a rank gives: share of the change kept and bytes of the file, both known."""

    rank: int
    kept: float
    size_bytes: float


@dataclass(frozen=True)
class Knee:
    """A rank after which more ranks add little, beside the highest that is known.

    Attributes:
        at: the rank, what it keeps and how large its file is.
        top: the same of the highest rank that was computed.
        estimated: clamping may cost a visible share, or the values are approximations, so that shares are about right.
        beyond: what is known of the next usual rank above the computed ones, as bounds; None where there is none above.
    """

    at: RankPoint
    top: RankPoint
    estimated: bool = False
    beyond: Answer | None = None

    @property
    def adds(self) -> float:
        """Share of the change that the highest rank adds."""
        return self.top.kept - self.at.kept

    @property
    def more_bytes(self) -> float:
        """By how much its file is larger."""
        return self.top.size_bytes - self.at.size_bytes

    def document(self) -> dict[str, Any]:
        """As the command line's JSON has it."""
        beyond = None
        if self.beyond is not None:
            mean = self.beyond.mean
            beyond = {"rank": self.beyond.policy.rank, "at_least": mean.low, "at_most": mean.high}
        return {
            "rank": self.at.rank,
            "mean_energy_retained": self.at.kept,
            "size_bytes": round(self.at.size_bytes),
            "compared_rank": self.top.rank,
            "adds": self.adds,
            "more_bytes": round(self.more_bytes),
            "estimated": self.estimated,
            "beyond": beyond,
        }


def knee_of(points: Sequence[RankPoint]) -> RankPoint | None:
    """The point of a rising, flattening curve that is farthest above the line from its first to its last point.

    Both axes are taken as shares of their whole range, so that units do not count.

    Args:
        points: by rising rank.

    Returns:
        The point; None where there are fewer than three, and where the curve is about straight. Of a curve that does
        not rise the first.
    """
    if len(points) < 3:
        return None
    first, last = points[0], points[-1]
    rise, length = last.kept - first.kept, last.size_bytes - first.size_bytes
    if length <= 0.0:
        return None
    if rise < _LEAST_GAIN:
        return first

    def above(point: RankPoint) -> float:
        return (point.kept - first.kept) / rise - (point.size_bytes - first.size_bytes) / length

    best = max(points, key=above)
    return best if above(best) >= LEAST_BEND else None


def find_knee(exploration: Exploration) -> Knee | None:
    """The knee of a finished run with one rank for all layers, among the ranks that its decomposition gives exactly.

    Above them only bounds are known, in which a knee can be anywhere; so none is looked for there, and the bounds of
    the next usual rank are given instead.

    Args:
        exploration: of the run.

    Returns:
        None where the run chose ranks by a rule or by a size, where no layer has factors, and where the curve has none.
    """
    settings = exploration.settings
    if settings.lora_type != "standard" or settings.target_size is not None or not exploration.names:
        return None
    top = exploration.computed_rank
    ranks = sorted({rank for rank in RANK_STOPS if rank < top} | {top})
    answers = [exploration.at_rank(rank) for rank in ranks]
    known = [answer for answer in answers if answer.mean.exact]
    points = [RankPoint(answer.policy.rank, answer.mean.low, answer.size.high) for answer in known]
    at = knee_of(points)
    if at is None:
        return None
    higher = next((rank for rank in RANK_STOPS if points[-1].rank < rank <= exploration.largest_rank), None)
    beyond = None if higher is None else exploration.at_rank(higher)
    chosen = next(answer for answer in known if answer.policy.rank == at.rank)
    return Knee(at, points[-1], chosen.estimated, beyond)
