"""``lora-extractor profiles``: the hardware profiles by name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.cli.options import given_values, validated
from app.cli.progress import Console
from app.storage.profiles import ProfileStore
from engine.errors import EngineError, ErrorCode
from engine.settings import HardwareSettings


def list_profiles(parsed: argparse.Namespace) -> dict[str, Any]:
    """``profiles list``."""
    store, console = ProfileStore(), Console()
    for name in store.names():
        console.answer(f"{name}{'  (shipped)' if store.is_shipped(name) else ''}", parsed.json)
    return {"profiles": [{"name": name, "shipped": store.is_shipped(name)} for name in store.names()]}


def show_profile(parsed: argparse.Namespace) -> dict[str, Any]:
    """``profiles show``."""
    store, console = ProfileStore(), Console()
    name = profile_name(store, parsed.name)
    values = store.get(name).model_dump(mode="json")
    for field, value in values.items():
        console.answer(f"{field}: {value}", parsed.json)
    return {"name": name, "shipped": store.is_shipped(name), "values": values}


def save_profile(parsed: argparse.Namespace) -> dict[str, Any]:
    """``profiles save``."""
    store = ProfileStore()
    base = store.get(parsed.name).model_dump() if parsed.name in store.own_names() else {}
    store.save(parsed.name, validated(HardwareSettings, {**base, **given_values(parsed, HardwareSettings)}))
    Console().line(f"Saved {parsed.name}.")
    return {"saved": parsed.name}


def delete_profile(parsed: argparse.Namespace) -> dict[str, Any]:
    """``profiles delete``."""
    store = ProfileStore()
    name = profile_name(store, parsed.name)
    store.delete(name)
    Console().line(f"Deleted {name}.")
    return {"deleted": name}


def import_profiles(parsed: argparse.Namespace) -> dict[str, Any]:
    """``profiles import``."""
    names = ProfileStore().import_file(parsed.file)
    Console().line(f"Imported {', '.join(names)}.")
    return {"imported": list(names)}


def export_profile(parsed: argparse.Namespace) -> dict[str, Any]:
    """``profiles export``."""
    store = ProfileStore()
    name = profile_name(store, parsed.name)
    _refuse_foreign(parsed.file)
    store.export_file(name, parsed.file)
    Console().line(f"Wrote {parsed.file}.")
    return {"exported": name, "file": str(parsed.file)}


ACTIONS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "list": list_profiles,
    "show": show_profile,
    "save": save_profile,
    "delete": delete_profile,
    "import": import_profiles,
    "export": export_profile,
}


def profile_name(store: ProfileStore, name: str) -> str:
    """A profile by its name, or by any start of it that fits only one: ``safe`` for ``Safe (8 GB)``."""
    if name in store.names():
        return name
    starts = [known for known in store.names() if known.casefold().startswith(name.casefold())]
    return starts[0] if len(starts) == 1 else name


def _refuse_foreign(file: Path) -> None:
    """An export replaces an older export, never anything else, and makes no folders."""
    if not file.absolute().parent.is_dir():
        raise EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=file, reason="its folder does not exist")
    if not file.exists():
        return
    try:
        known = "profiles" in json.loads(file.read_text(encoding="utf-8")) if file.stat().st_size < 1 << 20 else False
    except (OSError, ValueError, TypeError):
        known = False
    if not known:
        raise EngineError(ErrorCode.PROFILE_INVALID, file=file, reason="occupied")
