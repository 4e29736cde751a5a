"""Collects the licences of what a bundle really contains: from its files back to who made them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from app.support.licences import OURS, Component, component, normalised, render

# Part of every bundle by what it does: the small program that starts it.
STARTER = "pyinstaller"


def text_for(files: Iterable[Path]) -> str:
    """The licences of a bundle.

    Args:
        files: the files that went into it, where they lie on this machine.

    Returns:
        the text; distributions of Python packages, Python, and packages of the system if it is a Debian.

    Raises:
        RuntimeError: a component has no text of its licence.
    """
    everything = set(files)
    owners = distributions_of(everything)
    components = [component(name) for name in sorted({*owners, STARTER} - {OURS})]
    components.append(_python(components))
    components += system_components(everything)
    silent = [each.name for each in components if not each.texts]
    if silent:
        raise RuntimeError(
            f"No licence text was found for {', '.join(silent)}; app/support/licences.py says where texts come from."
        )
    return render(components)


def distributions_of(files: set[Path]) -> set[str]:
    """Names of the installed distributions that own at least one of the files."""
    paths = {str(file) for file in files}
    return {
        normalised(distribution.metadata["Name"])
        for distribution in metadata.distributions()
        if any(os.path.normpath(str(distribution.locate_file(file))) in paths for file in distribution.files or ())
    }


def _python(components: list[Component]) -> Component:
    """Python itself; where an installation lacks its licence, typing_extensions has the same text."""
    for place in (Path(sys.base_prefix), Path(sysconfig.get_path("stdlib"))):
        if (place / "LICENSE.txt").is_file():
            text = (place / "LICENSE.txt").read_text(encoding="utf-8", errors="replace")
            break
    else:
        text = next(each.texts[0][1] for each in components if each.name == "typing_extensions")
    return Component("Python", platform.python_version(), "PSF-2.0", "https://www.python.org", (("LICENSE", text),))


def system_components(files: set[Path]) -> list[Component]:
    """The Debian packages whose libraries are among the files, with their copyright files."""
    if shutil.which("dpkg-query") is None:
        return []
    libraries = [str(place) for file in files for place in _names(file) if ".so" in file.name and "/lib" in str(place)]
    if not libraries:
        return []
    run = subprocess.run(["dpkg-query", "--search", *libraries], capture_output=True, text=True)
    packages = {line.split(":", 1)[0] for line in run.stdout.splitlines() if ": /" in line}
    return [_debian_component(package) for package in sorted(packages)]


def _names(file: Path) -> set[Path]:
    """A file under the names that a package may list it by: links followed, and with /usr merged or not."""
    real = {file, file.resolve()}
    return real | {Path(str(each).removeprefix("/usr")) for each in real if str(each).startswith("/usr/lib")}


def _debian_component(package: str) -> Component:
    show = ["dpkg-query", "--show", "--showformat=${Version}\t${source:Package}\t${Homepage}", package]
    version, source, home = (
        subprocess.run(show, capture_output=True, text=True, check=True).stdout.split("\n")[0].split("\t")
    )
    place = Path("/usr/share/doc") / package / "copyright"
    text = ((str(place), place.read_text(encoding="utf-8", errors="replace")),) if place.exists() else ()
    return Component(f"{source} (Debian's {package})", version, "see its copyright file", home, text)
