"""The licences of everything that the program is made of, for the About box and for the bundle's file.

A bundle carries the file that its build collected. Started from the sources, the program collects the same from what
pip installed; Python and the system's libraries are not part of it then.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import resources

FILE = "THIRD_PARTY_LICENSES.txt"
OURS = "lora-extractor"
TEXTS = Path(resources.__file__).parent / "licences"
_DEMO = (
    "The models in resources/demo were trained on handwritten digits: Optical Recognition of Handwritten Digits,\n"
    "E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, under the licence Creative Commons Attribution 4.0\n"
    "International, https://creativecommons.org/licenses/by/4.0/. Changes: scaled, split, slanted and inverted."
)
_LICENCE_FILE = re.compile(r"licen[cs]e|copying|notice|authors", re.IGNORECASE)
_RULE = "=" * 100
# Packages that ship no text of their licence, and what it is. PySide and Qt are used under the LGPL.
_TEXTS_OF = {"LGPL": ("LGPL-3.0.txt", "GPL-3.0.txt")}
_QT_NOTE = (
    "Used under the GNU Lesser General Public License, version 3: the libraries lie as separate files in the\n"
    "program's folder, and may be replaced by others of the same interface. Qt itself contains code under further\n"
    "licences; the Qt Project lists them under https://doc.qt.io/qt-6/licenses-used-in-qt.html\n"
    "Copyright (C) The Qt Company Ltd. and other contributors. The source of this version:\n"
    "https://download.qt.io/official_releases/qt/ and https://download.qt.io/official_releases/QtForPython/pyside6/"
)


@dataclass(frozen=True)
class Component:
    """Something that the program contains.

    Attributes:
        name: as its project calls it.
        version: of what is used here.
        licence: its short name, best as an SPDX expression.
        home: where its project is found, or empty.
        texts: file names and texts of the licence and the notices.
    """

    name: str
    version: str
    licence: str
    home: str
    texts: tuple[tuple[str, str], ...]


DEMO_DIGITS = Component(
    "Demo digits", "1998", "CC-BY-4.0", "https://archive.ics.uci.edu/dataset/80", (("attribution", _DEMO),)
)
"""What the demo's models learnt from; no package says so."""


def licence_text() -> str:
    """The licences of all components; reads files, so not on the GUI thread while something moves.

    Raises:
        OSError: the bundle's file is gone.
    """
    folder = getattr(sys, "_MEIPASS", None)
    if folder is not None:
        return (Path(folder) / FILE).read_text(encoding="utf-8")
    return render(component(name) for name in requirements(OURS))


def requirements(name: str) -> list[str]:
    """The distributions that one needs, and they need, as far as they are installed; without extras, by name."""
    found: dict[str, str] = {}
    waiting = [name]
    while waiting:
        try:
            distribution = metadata.distribution(waiting.pop())
        except metadata.PackageNotFoundError:
            continue  # for another system or Python
        key = normalised(distribution.metadata["Name"])
        if key in found:
            continue
        found[key] = distribution.metadata["Name"]
        for line in distribution.requires or ():
            if "extra ==" not in line:
                waiting.append(re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0])
    return [found[key] for key in sorted(found) if key != normalised(name)]


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def component(name: str) -> Component:
    """What an installed distribution says of itself, with every licence and notice that it ships.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.
    """
    distribution = metadata.distribution(name)
    about = distribution.metadata
    licence = _licence_of(about)
    texts = []
    for file in distribution.files or ():
        folder = next((part for part in file.parts if part.endswith(".dist-info")), None)
        if folder is None or not (_LICENCE_FILE.search(file.name) or "licenses" in file.parts[1:-1]):
            continue
        place = Path(str(distribution.locate_file(file)))
        if place.is_file():
            title = "/".join(file.parts[file.parts.index(folder) + 1 :]).removeprefix("licenses/")
            texts.append((title, place.read_text(encoding="utf-8", errors="replace")))
    if not texts:
        texts = own_texts(licence)
    return Component(about["Name"], about["Version"], licence, _home_of(about), tuple(texts))


def own_texts(licence: str) -> list[tuple[str, str]]:
    """Texts that lie with the program, for components that ship none of a well-known licence."""
    for mark, files in _TEXTS_OF.items():
        if mark in licence:
            return [("note", _QT_NOTE), *((file, (TEXTS / file).read_text(encoding="utf-8")) for file in files)]
    return []


def render(components: Iterable[Component]) -> str:
    """One readable text of all components; a text that was printed before is referred to."""
    everything = sorted((*components, DEMO_DIGITS), key=lambda each: each.name.lower())
    lines = ["LoRA Extractor is licensed under the Apache License, version 2.0. It contains:", ""]
    lines += [f"  {each.name} {each.version}: {each.licence}" for each in everything]
    printed: dict[str, str] = {}
    for each in everything:
        lines += ["", _RULE, f"{each.name} {each.version}", f"Licence: {each.licence}"]
        lines += [each.home] if each.home else []
        for title, text in each.texts:
            body = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
            here = f"{each.name}, {title}"
            lines += ["", f"--- {title}", ""]
            lines.append(f"The same text as above: {printed[body]}" if body in printed else body)
            printed.setdefault(body, here)
    return "\n".join(lines) + "\n"


def _licence_of(about: metadata.PackageMetadata) -> str:
    """The expression, the short text, or the classifiers, whichever there is first."""
    expression, short = _first(about, "License-Expression"), _first(about, "License")
    if expression or (short and "\n" not in short and len(short) < 100):
        return expression or short
    classes = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if line.startswith("License ::")
    ]
    return ", ".join(classes) or "see its text"


def _home_of(about: metadata.PackageMetadata) -> str:
    links = dict(line.split(", ", 1) for line in about.get_all("Project-URL") or () if ", " in line)
    named = {key.lower(): value for key, value in links.items()}
    wanted = ("homepage", "source", "source code", "repository", "code", "github")
    return _first(about, "Home-page") or next((named[key] for key in wanted if key in named), "")


def _first(about: metadata.PackageMetadata, field: str) -> str:
    return next(iter(about.get_all(field) or ()), "")
