"""How much memory torch takes at most in a piece of work, for tests."""

from __future__ import annotations

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile


def peak_bytes(work: Callable[[], object]) -> int:
    """The most that torch held at once on top of what it held before, counted at every allocation."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = work()
    del result
    results = profiler.profiler.kineto_results  # type: ignore[union-attr]
    memory = sorted((event for event in results.events() if event.name() == "[memory]"), key=lambda e: e.start_ns())
    held = most = 0
    for event in memory:
        held += event.nbytes()
        most = max(most, held)
    return most
