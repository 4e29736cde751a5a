"""Parts what PyInstaller collected for a bundle into what stays and what is left out: names, links and bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

Entry = tuple[str, str, str]  # PyInstaller's: name in the bundle, file on this machine, kind


@dataclass(frozen=True)
class Part:
    """Something that is left out.

    Attributes:
        title: what it is.
        reason: why the program does not need it.
        files: patterns of paths in the bundle, with forward slashes on every system.
        modules: packages of Python code; their modules go, and their sources.
        but: modules that stay all the same.
    """

    title: str
    reason: str
    files: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    but: tuple[str, ...] = ()

    def holds(self, name: str, kind: str) -> bool:
        """Whether an entry of PyInstaller's lists belongs to this part."""
        path = name.replace("\\", "/")
        if kind.startswith("PYMODULE"):
            return self._holds_module(name)
        if path.endswith(".py"):
            return self._holds_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        folders = (module.replace(".", "/") for module in self.modules)
        return any(path.startswith(f"{folder}/") for folder in folders) or any(
            fnmatchcase(path, pattern) for pattern in self.files
        )

    def _holds_module(self, name: str) -> bool:
        belongs = any(name == module or name.startswith(f"{module}.") for module in self.modules)
        return belongs and name not in self.but


@dataclass
class LeftOut:
    """The entries of one part, found in a build."""

    part: Part
    files: list[str] = field(default_factory=list)
    bytes: int = 0


def sift(entries: Iterable[Entry], parts: Sequence[Part]) -> tuple[list[Entry], list[LeftOut]]:
    """Part PyInstaller's list into what stays and what is left out.

    A link follows the file that it points to.

    Returns:
        what stays, in order; and each part of which something was there, with its files and bytes.
    """
    kept: list[Entry] = []
    found = {part: LeftOut(part) for part in parts}
    for entry in entries:
        name, source, kind = entry
        part = _part_of(name, source, kind, parts)
        if part is None:
            kept.append(entry)
            continue
        found[part].files.append(name)
        if kind != "SYMLINK" and Path(source).is_file():
            found[part].bytes += Path(source).stat().st_size
    return kept, [left for left in found.values() if left.files]


def _part_of(name: str, source: str, kind: str, parts: Sequence[Part]) -> Part | None:
    names = (name, source) if kind == "SYMLINK" else (name,)
    return next((part for part in parts if any(part.holds(each, kind) for each in names)), None)
