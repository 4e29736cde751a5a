"""``lora-extractor find-original``: which model in some folders is the original of another, or which ones it merges."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from app.cli.progress import Console
from app.storage.decompositions import open_samples
from app.text.original_search import (
    candidate_remark,
    coefficient_text,
    distance_text,
    search_details,
    search_headline,
    skip_text,
    skipped_summary,
)
from engine.analysis.candidates import ITSELF, Candidate, OriginalSearch, SearchProgress, SkipReason
from engine.analysis.original_search import find_original
from engine.cancel import CancelToken
from engine.errors import Cancelled

_SHOWN = 8  # candidates, the nearest


def run_search(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    """Search, show what was found, and return what ``--json`` prints."""
    console = Console()
    found: OriginalSearch | None = None
    search = find_original(parsed.model, parsed.folders, open_samples(), cancel)
    try:
        with console.counting("looking", None) as step, closing(search) as events:
            for event in events:
                if not isinstance(event, SearchProgress):
                    found = event
                elif event.total is not None:
                    step(event.path.name, event.total)
    except Cancelled as stopped:
        raise Cancelled("What was compared is remembered; the same command goes on from there.") from stopped
    assert found is not None, "a search ends with what it found or an exception"
    _print(console, found, parsed.json)
    return search_object(found)


def search_object(search: OriginalSearch) -> dict[str, Any]:
    """The JSON of a search."""
    return {
        "model": str(search.model.absolute()),
        "best": str(search.best.path.absolute()) if search.best else None,
        "margin": search.margin,
        "candidates": [_object(one) for one in search.candidates],
        "merge": {"explained": search.merge.explained} if search.merge else None,
        "skipped": [
            {"path": str(item.path.absolute()), "reason": item.code, "text": skip_text(item)} for item in search.skipped
        ],
        "from_index": search.known,
    }


def _object(candidate: Candidate) -> dict[str, Any]:
    interval = candidate.interval
    return {
        "path": str(candidate.path.absolute()),
        "relative_distance": candidate.relative_distance,
        "matched": candidate.matched,
        "coefficient": candidate.coefficient,
        "interval": list(interval) if interval else None,
        "matched_share": candidate.matched_share,
        "related": not candidate.unrelated,
        "encoding": candidate.encoding,
        "within_rounding": candidate.within_rounding,
        "copy_of": str(candidate.copy_of.absolute()) if candidate.copy_of else None,
    }


def _print(console: Console, search: OriginalSearch, json_wanted: bool) -> None:
    for one in search.candidates[:_SHOWN]:
        facts = [distance_text(one), coefficient_text(one), one.encoding, candidate_remark(one)]
        console.line(f"  {one.path}: " + " \u00b7 ".join(fact for fact in facts if fact))
    if len(search.candidates) > _SHOWN:
        console.line(f"  ... and {len(search.candidates) - _SHOWN} farther ones")
    for item in search.skipped:
        if item.reason not in (*ITSELF, SkipReason.OTHER_MODEL):
            console.line(f"Skipped {item.path}: {skip_text(item)}")
    summary = skipped_summary(search)
    if summary:
        console.line(summary)
    console.answer(" ".join((search_headline(search), *search_details(search))), json_wanted)
