"""Advice from the knee of a run's spectrum, in words: for the result in the window and for the terminal."""

from __future__ import annotations

from app.text.notices import format_bytes
from app.text.quality import Line, Link, share_text, span_text
from app.text.translation import decimal, translator
from engine.analysis.knee import Knee

_tr = translator("knee")


def knee_line(knee: Knee | None) -> Line | None:
    """``48 keeps 96.4 % in 56 MB; 128 adds 0.7 % for 91 MB more.``, the rank a link; None without a knee."""
    if knee is None:
        return None
    text = _tr("{rank} keeps {share} in {size}; {top} adds {more} for {bytes} more.")
    if knee.estimated:
        text = _tr("{rank} keeps about {share} in {size}; {top} adds about {more} for {bytes} more.")
    words = text.format(
        rank="{0}",
        share=share_text(knee.at.kept),
        size=format_bytes(knee.at.size_bytes),
        top=knee.top.rank,
        more=points_text(knee.adds),
        bytes=format_bytes(knee.more_bytes),
    )
    return Line(words, (Link(_tr("Rank {rank}").format(rank=knee.at.rank), rank=knee.at.rank),))


def beyond_sentence(knee: Knee | None) -> str:
    """What is known of higher ranks than were computed: bounds; empty where there are none."""
    if knee is None or knee.beyond is None:
        return ""
    text = _tr("Above rank {top} only bounds are known: rank {rank} keeps {share}.")
    share = span_text(knee.beyond.mean)
    return text.format(top=knee.top.rank, rank=knee.beyond.policy.rank, share=share)


def points_text(share: float) -> str:
    """``0.7 %``, ``0.04 %``: a part of the change, with a digit that says something."""
    percent = 100.0 * max(0.0, share)
    digits = 0 if percent >= 9.95 else 1 if percent >= 0.095 or percent == 0.0 else 2
    return f"{decimal(percent, digits)} %"
