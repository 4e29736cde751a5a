"""``lora-extractor cache``: what is kept of earlier runs, how much of it may be, and how to be rid of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from pydantic import ByteSize, TypeAdapter, ValidationError

from app.cli.progress import Console
from app.storage.decompositions import cache_bytes, clear_cache, limit_cache, open_samples, open_store
from app.text.notices import counted, format_bytes
from engine.errors import EngineError, ErrorCode
from engine.store import PairUsage


def show_cache(parsed: argparse.Namespace) -> dict[str, Any]:
    """``cache show``."""
    store, console = open_store(), Console()
    pairs = store.usage()
    for pair in pairs:
        console.answer(_words(pair), parsed.json)
    samples = open_samples().size_bytes
    if samples:
        console.answer(f"Samples of models that find-original looked at: {format_bytes(samples)}", parsed.json)
    console.answer(
        f"{format_bytes(cache_bytes())} of at most {format_bytes(store.limit_bytes)} in {store.folder}", parsed.json
    )
    return {
        "folder": str(store.folder),
        "size_bytes": store.size_bytes + samples,
        "limit_bytes": store.limit_bytes,
        "pairs": [_object(pair) for pair in pairs],
    }


def clear(parsed: argparse.Namespace) -> dict[str, Any]:
    """``cache clear``."""
    freed, left = clear_cache(), cache_bytes()
    remainder = f"{format_bytes(left)} are in use and stay" if left else "nothing is left"
    Console().line(f"Removed {format_bytes(freed)}; {remainder}.")
    return {"freed_bytes": freed, "size_bytes": left}


def limit(parsed: argparse.Namespace) -> dict[str, Any]:
    """``cache limit``."""
    most = _bytes_from(parsed.size)
    freed = limit_cache(most)
    Console().line(f"At most {format_bytes(most)} are kept; {format_bytes(freed)} were removed.")
    return {"limit_bytes": most, "freed_bytes": freed, "size_bytes": cache_bytes()}


ACTIONS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "show": show_cache,
    "clear": clear,
    "limit": limit,
}


def _bytes_from(text: str) -> int:
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError as error:
        reason = f"{text!r} is no size such as 20GB or 20GiB"
        raise EngineError(ErrorCode.SETTINGS_INVALID, reason=reason) from error


def _words(pair: PairUsage) -> str:
    finetuned, original = (title or "unknown" for title in pair.titles)
    state = " · being worked on" if pair.in_use else " · unfinished" if pair.unfinished else ""
    holds = f"{counted(pair.layers, 'layer')} · {format_bytes(pair.size_bytes)}"
    return (
        f"{pair.fingerprint[:8]}  {finetuned} from {original}: {holds}"
        f" · last used {pair.last_used.astimezone():%Y-%m-%d %H:%M}{state}"
    )


def _object(pair: PairUsage) -> dict[str, Any]:
    finetuned, original = pair.titles
    return {
        "finetuned": finetuned,
        "original": original,
        "fingerprint": pair.fingerprint,
        "layers": pair.layers,
        "size_bytes": pair.size_bytes,
        "last_used": pair.last_used.isoformat(timespec="seconds"),
        "unfinished": pair.unfinished,
        "in_use": pair.in_use,
    }
