"""What is shown as left of a run: it follows what the run shows, without jumps, and says when it takes longer."""

import random
from itertools import pairwise

import pytest

from app.text.estimates import time_parts
from app.work.time_left import TimeLeft
from engine.events import Progress


def progress(share: float, elapsed: float, remaining: float | None) -> Progress:
    return Progress(0, 10, share, elapsed, remaining, None)


def shown_totals(expected: float | None, took: float, noise: float = 0.0, seed: int = 0) -> list[float]:
    """Elapsed and left together, four times a second, for a run that judges itself with some noise."""
    left, dice, totals = TimeLeft(expected), random.Random(seed), []
    for quarter in range(1, round(4 * took) + 1):
        elapsed = quarter / 4
        share = min(1.0, elapsed / took)
        own = None if share < 0.01 else (took - elapsed) * (1.0 + dice.uniform(-noise, noise))
        seconds = left.take(progress(share, elapsed, own))
        if seconds is not None:
            assert seconds >= 0.0
            totals.append(elapsed + seconds)
    return totals


@pytest.mark.parametrize("factor", [0.2, 0.5, 1.0, 2.0, 4.0])
def test_whatever_was_estimated_before_a_run_of_a_minute_is_known_after_ten_seconds(factor: float) -> None:
    totals = shown_totals(60.0 * factor, 60.0)
    assert totals[0] == pytest.approx(60.0 * factor, rel=0.05), "at first what was estimated"
    assert all(60 / 1.25 < total < 60 * 1.25 for total in totals[40:])


def test_nothing_is_shown_before_anything_is_known() -> None:
    left = TimeLeft(None)
    assert left.take(progress(0.0, 0.1, None)) is None
    assert left.take(progress(0.1, 1.0, 9.0)) == pytest.approx(9.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_time_left_never_jumps_though_the_run_judges_itself_by_fits_and_starts(seed: int) -> None:
    totals = shown_totals(60.0, 60.0, noise=0.6, seed=seed)
    assert max(abs(new / old - 1.0) for old, new in pairwise(totals)) < 0.15


def test_what_is_left_is_counted_down_while_a_long_layer_says_nothing() -> None:
    left = TimeLeft(20.0)
    assert [left.take(progress(0.0, elapsed, None)) for elapsed in (1.0, 5.0, 19.0, 30.0)] == [19.0, 15.0, 1.0, 0.0]


def test_a_run_that_takes_longer_than_was_estimated_says_so() -> None:
    assert time_parts(progress(0.5, 30.0, 30.0), 58.0) == ["30 s gone", "30 s left"]
    assert time_parts(progress(0.5, 30.0, 60.0), 58.0) == [
        "30 s gone",
        "1 min 00 s left",
        "longer than estimated (about 1 min)",
    ]
    assert time_parts(progress(0.0, 3.0, None), None) == ["3.0 s gone"]
