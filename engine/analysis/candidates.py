"""What a search for the original of a model finds. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from engine.errors import EngineError


class SkipReason(str, Enum):
    """Why a model in the folders is no candidate. The values are part of the command line's JSON."""

    SAME_FILE = "same_file"
    SAME_BYTES = "same_bytes"
    SAME_NUMBERS = "same_numbers"
    ROUNDED_COPY = "rounded_copy"
    OTHER_MODEL = "other_model"
    LINK_LOOP = "link_loop"
    DEAD_LINK = "dead_link"
    NON_FINITE = "non_finite"
    ERROR = "error"


ITSELF = (SkipReason.SAME_FILE, SkipReason.SAME_BYTES, SkipReason.SAME_NUMBERS, SkipReason.ROUNDED_COPY)
"""The model itself, in whatever form: none of these is its original."""


@dataclass(frozen=True)
class Skipped:
    """A place in the folders that is no candidate.

    Attributes:
        path: it.
        reason: why.
        error: of `SkipReason.ERROR`, what opening or reading it raised.
    """

    path: Path
    reason: SkipReason
    error: EngineError | None = None

    @property
    def code(self) -> str:
        """The reason as a stable word: of an error its own code."""
        return self.reason.value if self.error is None else self.error.code.value


@dataclass(frozen=True)
class Candidate:
    """A model that could be the original.

    Attributes:
        path: it.
        relative_distance: |model - candidate| / |candidate| over the sampled numbers, Frobenius norms.
        matched: weights that both have in the same shape.
        matched_share: of the parameters of the model's part that is compared.
        changed_share: of the sampled layers, those that differ by more than half.
        encoding: how its numbers are stored, in words.
        within_rounding: it is quantised, and differs from the model by no more than that explains: it may be a copy of
            the model as well as one of its original.
        copy_of: path of a nearer candidate that it differs from by rounding alone; None where there is none.
        coefficient: of a merge, this one's share; None where there is no merge, 0 where it is not part of it.
        interval: of the coefficient.
    """

    path: Path
    relative_distance: float
    matched: int
    matched_share: float
    changed_share: float
    encoding: str
    within_rounding: bool = False
    copy_of: Path | None = None
    coefficient: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def unrelated(self) -> bool:
        """Whether most layers differ by more than half: it is no original, and no relative of one."""
        return self.changed_share > 0.5


@dataclass(frozen=True)
class Merge:
    """A model that is a weighted mean of several candidates, whose coefficients are in `Candidate.coefficient`.

    Attributes:
        explained: share of the squared distance to the nearest candidate that the mean explains, rounding apart.
    """

    explained: float


@dataclass(frozen=True)
class OriginalSearch:
    """What was found.

    Attributes:
        model: whose original was searched.
        candidates: the nearest first; of two that are the same where both match, the one that matches in more.
        skipped: in the order of the folders.
        merge: None where the nearest candidate says it all, or none is near.
        known: how many of the candidates came from the index.
    """

    model: Path
    candidates: tuple[Candidate, ...]
    skipped: tuple[Skipped, ...]
    merge: Merge | None = None
    known: int = 0

    @property
    def best(self) -> Candidate | None:
        """The nearest candidate; None where none is related."""
        return next((one for one in self.candidates[:1] if not one.unrelated), None)

    @property
    def margin(self) -> float | None:
        """How much farther the second candidate is, as a relative distance; None without a second or a best one."""
        if self.best is None or len(self.candidates) < 2:
            return None
        return max(0.0, self.candidates[1].relative_distance - self.candidates[0].relative_distance)

    @property
    def runner_up(self) -> Candidate | None:
        """The nearest candidate that is not the best one in another form."""
        return next((one for one in self.candidates[1:] if one.copy_of is None), None)

    @property
    def itself(self) -> tuple[Skipped, ...]:
        """Places that hold the model itself."""
        return tuple(item for item in self.skipped if item.reason in ITSELF)


@dataclass(frozen=True)
class SearchProgress:
    """How far a search is.

    Attributes:
        done: models that were looked at.
        total: of all that were found; None while the folders are still listed.
        path: the one that is looked at now.
    """

    done: int
    total: int | None
    path: Path
