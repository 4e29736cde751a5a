"""What is left of a run, from the estimate before it and from what it shows, without jumps."""

from __future__ import annotations

import math

from engine.events import Progress

TRUST = 0.02  # of the work: as much says as much as the estimate before the run
TRUST_SECONDS = 4.0  # the first seconds hold beginnings that the rest has not
SETTLING = 2.0  # seconds in which what is shown follows by most of the way


class TimeLeft:
    """Follows one run.

    The seconds of the whole run are those of the estimate at first, more and more those that its progress shows, and
    never less than have gone. What is shown moves towards them over some seconds.

    Args:
        expected: the estimate before the run, seconds; None where there is none.
    """

    def __init__(self, expected: float | None) -> None:
        self._expected = expected if expected is not None and expected > 0.0 else None
        self._shown: float | None = None
        self._at = 0.0

    def take(self, progress: Progress) -> float | None:
        """Seconds that are left, to be shown after this progress; None while nothing is known."""
        whole = self._whole(progress)
        if whole is None:
            return None
        if self._shown is None:
            self._shown = whole
        else:
            gone = max(0.0, progress.elapsed - self._at)
            settling = min(SETTLING, 0.1 * max(self._shown, whole))
            self._shown += (whole - self._shown) * -math.expm1(-gone / max(1e-3, settling))
        self._at = progress.elapsed
        self._shown = max(self._shown, progress.elapsed)
        return self._shown - progress.elapsed

    def _whole(self, progress: Progress) -> float | None:
        """Seconds of the whole run as they are known now."""
        before = self._expected
        if progress.remaining is None:
            return before if before is None else max(before, progress.elapsed)
        seen = progress.elapsed + progress.remaining
        if before is None:
            return seen
        trust = (progress.share / TRUST) ** 2 * min(1.0, progress.elapsed / TRUST_SECONDS) ** 0.5
        trust = trust / (1.0 + trust)
        return max(progress.elapsed, math.exp(trust * math.log(max(seen, 1e-3)) + (1.0 - trust) * math.log(before)))
