"""What the spec does beside PyInstaller: choose, strip, add the licences, and write down what was left out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from installers import licence_file
from installers.contents import Entry, LeftOut, sift
from installers.identity import BUILD, COMMAND, MAC_ID, MIME_TYPE, NAME, VERSION, WINDOW_PROGRAM
from installers.left_out import PARTS, SYSTEM_PART, is_stripped

LICENCES = BUILD / "THIRD_PARTY_LICENSES.txt"
LEFT_OUT = BUILD / "left-out.json"
# Whose versions a bug report names without loading them.
SPOKEN_OF = ("torch", "safetensors", "PySide6-Essentials")
# Each has the Python code inside, 20 MB. Only Windows and macOS know programs with and without a console; on Linux the
# second is a link to the first, made by the build.
PROGRAMS = ((COMMAND, True),) if sys.platform.startswith("linux") else ((COMMAND, True), (WINDOW_PROGRAM, False))


@dataclass(frozen=True)
class Stripped:
    """A library whose symbol table was taken off, and what that saved in bytes."""

    name: str
    saved: int


def choose(analysis: Any) -> None:
    """Change PyInstaller's analysis to what the program needs.

    Args:
        analysis: PyInstaller's ``Analysis``; its lists ``pure``, ``binaries`` and ``datas`` are replaced.

    Raises:
        RuntimeError: something that stays needs a file that was left out.
    """
    linux = sys.platform.startswith("linux")
    parts = PARTS if linux else tuple(part for part in PARTS if part is not SYSTEM_PART)
    left: list[LeftOut] = []
    for name in ("pure", "binaries", "datas"):
        kept, found = sift(getattr(analysis, name), parts)
        setattr(analysis, name, kept)
        left += found
    stripped: list[Stripped] = []
    if linux:
        refuse_missing(analysis.binaries, left)
        analysis.binaries, stripped = strip(analysis.binaries, BUILD / "stripped")
    files = [Path(source) for name in ("pure", "binaries", "datas") for _, source, _ in getattr(analysis, name)]
    LICENCES.write_text(licence_file.text_for(files), encoding="utf-8")
    analysis.datas.append((LICENCES.name, str(LICENCES), "DATA"))
    analysis.datas += [about(name) for name in SPOKEN_OF]
    LEFT_OUT.write_text(json.dumps(summary(left, stripped), indent=2), encoding="utf-8")


def about(name: str) -> Entry:
    """What an installed distribution says of itself, for the program to find at its usual place."""
    place = next(file for file in metadata.distribution(name).files or () if file.name == "METADATA")
    return (str(place), str(place.locate()), "DATA")


def summary(left: list[LeftOut], stripped: list[Stripped]) -> dict[str, Any]:
    """What was left out, part by part, the largest first; code counts as what it takes as a file."""
    parts: dict[str, dict[str, Any]] = {}
    for each in left:
        entry = parts.setdefault(each.part.title, {"reason": each.part.reason, "files": 0, "bytes": 0})
        entry["files"] += len(each.files)
        entry["bytes"] += each.bytes
    return {
        "parts": dict(sorted(parts.items(), key=lambda item: -item[1]["bytes"])),
        "stripped": {each.name: each.saved for each in sorted(stripped, key=lambda each: -each.saved)},
    }


def refuse_missing(binaries: list[Entry], left: list[LeftOut]) -> None:
    """Fail where a library that stays needs one that was left out and that no system provides.

    Raises:
        RuntimeError: names both.
    """
    gone = {Path(file).name for each in left if each.part is not SYSTEM_PART for file in each.files}
    gone -= {Path(name).name for name, _, _ in binaries}
    for name, source, kind in binaries:
        if kind != "SYMLINK":
            missing = gone & set(needed(Path(source)))
            if missing:
                raise RuntimeError(
                    f"{name} needs {', '.join(sorted(missing))}, which installers/left_out.py leaves out"
                )


def needed(library: Path) -> list[str]:
    """The shared libraries that an ELF file names as needed."""
    run = subprocess.run(["objdump", "-p", str(library)], capture_output=True, text=True)
    words = (line.split() for line in run.stdout.splitlines())
    return [line[1] for line in words if len(line) == 2 and line[0] == "NEEDED"]


def strip(binaries: list[Entry], folder: Path) -> tuple[list[Entry], list[Stripped]]:
    """Take the symbol tables off some libraries; their copies lie in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    entries: list[Entry] = []
    stripped: list[Stripped] = []
    for name, source, kind in binaries:
        if kind != "SYMLINK" and is_stripped(name):
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["strip", "--strip-unneeded", "-o", str(copy), source], check=True)
            stripped.append(Stripped(name, Path(source).stat().st_size - copy.stat().st_size))
            source = str(copy)
        entries.append((name, source, kind))
    return entries, stripped


def mac_properties() -> dict[str, Any]:
    """What macOS wants to know of the application: its documents, and that it draws sharp."""
    kind = f"{MAC_ID}.safetensors"
    return {
        "CFBundleName": NAME,
        "CFBundleExecutable": WINDOW_PROGRAM,
        "LSBackgroundOnly": False,
        "CFBundleDisplayName": NAME,
        "CFBundleVersion": VERSION,
        "CFBundleShortVersionString": VERSION,
        "LSApplicationCategoryType": "public.app-category.graphics-design",
        "NSHighResolutionCapable": True,
        "NSRequiresAquaSystemAppearance": False,
        "CFBundleDocumentTypes": [
            {
                "CFBundleTypeName": "Model weights",
                "CFBundleTypeRole": "Viewer",
                "LSHandlerRank": "Alternate",
                "LSItemContentTypes": [kind],
            }
        ],
        "UTImportedTypeDeclarations": [
            {
                "UTTypeIdentifier": kind,
                "UTTypeDescription": "Model weights (safetensors)",
                "UTTypeConformsTo": ["public.data"],
                "UTTypeTagSpecification": {
                    "public.filename-extension": ["safetensors"],
                    "public.mime-type": [MIME_TYPE],
                },
            }
        ],
    }
