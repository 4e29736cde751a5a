"""What a look into a pair finds: a model and its original, and a copy."""

from __future__ import annotations

from dataclasses import replace

from engine.analysis.pair_verdict import PairSample
from engine.results import LargeChange

RELATED = PairSample(
    layers=96,
    of=304,
    whole=False,
    relative_change=0.0123,
    changed=96,
    rounded=0,
    kinds_changed=True,
    large=LargeChange(0, 96),
    rounding_share=0.02,
    coarse_rounding_share=None,
    read_bytes=3_000_000,
)
COPY = replace(RELATED, relative_change=0.0, changed=0, kinds_changed=False, rounding_share=None)
