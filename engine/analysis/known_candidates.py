"""A candidate as far as it was sampled: the numbers that were read of it, and how the index keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.analysis.sample_choice import Rows
from engine.checkpoints.collection import FoundModel

Values = NDArray[np.float32]


@dataclass
class Sampled:
    """Numbers of a model: those of `rows`, one after the other, and the expected energy of their rounding."""

    rows: tuple[Rows, ...] = ()
    values: Values = field(default_factory=lambda: np.zeros(0, np.float32))
    noise: tuple[float, ...] = ()

    @cached_property
    def places(self) -> dict[Rows, slice]:
        """Where the numbers of each run lie."""
        ends = np.cumsum([rows.count for rows in self.rows], dtype=np.int64).tolist()
        return {rows: slice(end - rows.count, end) for rows, end in zip(self.rows, ends, strict=True)}

    @cached_property
    def energies(self) -> dict[Rows, float]:
        """Of the rounding of each run."""
        return dict(zip(self.rows, self.noise, strict=True))

    def take(self, rows: Sequence[Rows]) -> Values:
        """The numbers of some runs, one after the other."""
        if tuple(rows) == self.rows:
            return self.values
        parts = [self.values[self.places[run]] for run in rows]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


@dataclass(frozen=True)
class KnownCandidate:
    """A candidate, and once it was compared its distance.

    Attributes:
        found: where it lies.
        sampled: numbers of it.
        matched: weights that both have in the same shape.
        matched_share: of the parameters of the model's part that is compared.
        encoding: how most of it is stored, in words.
        forms: the same of every weight, see `form_of`.
        quantised: its numbers take fewer than 12 bits each.
        distance: relative, see `Candidate`.
        squared: |model - candidate|^2 over the sampled numbers.
        changed_share: of the sampled layers, those that differ by more than half.
    """

    found: FoundModel
    sampled: Sampled
    matched: int
    matched_share: float
    encoding: str
    forms: tuple[str, ...]
    quantised: bool
    distance: float = 0.0
    squared: float = 0.0
    changed_share: float = 0.0


def words_of(sampled: Sampled) -> list[list[Any]]:
    """Where the numbers lie and how much their rounding weighs, as JSON values for `sampled_of`."""
    return [
        [run.name, run.start, run.stop, run.skipped, run.count, noise]
        for run, noise in zip(sampled.rows, sampled.noise, strict=True)
    ]


def sampled_of(fields: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Sampled:
    """What was kept of a model: `words_of` as ``rows``, and its numbers as ``values``."""
    words = fields["rows"]
    return Sampled(
        tuple(Rows(*run[:5]) for run in words), arrays["values"].astype(np.float32), tuple(run[5] for run in words)
    )


def fields_of(known: KnownCandidate) -> dict[str, Any]:
    """What the index keeps of a candidate beside its numbers, as JSON values for `known_of`."""
    return {
        "rows": words_of(known.sampled),
        "matched": known.matched,
        "matched_share": known.matched_share,
        "encoding": known.encoding,
        "forms": list(known.forms),
        "quantised": known.quantised,
    }


def known_of(place: FoundModel, fields: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> KnownCandidate:
    """A candidate out of the index, not yet compared."""
    return KnownCandidate(
        place,
        sampled_of(fields, arrays),
        fields["matched"],
        fields["matched_share"],
        fields["encoding"],
        tuple(fields["forms"]),
        fields["quantised"],
    )


def alike(one: Sampled, other: Sampled) -> bool:
    """Whether all that two candidates have in common is the same."""
    common = [rows for rows in one.rows if rows in other.places]
    return 2 * len(common) >= len(one.rows) and np.array_equal(one.take(common), other.take(common))
