"""The order of the rooms is held by a machine: an import against it is refused, and no files import each other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise, permutations
from pathlib import Path
from shutil import copytree, ignore_patterns

import grimp
import pytest
from importlinter.api import read_configuration

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
MOST_FILES = {"engine": 12, "app": 8, "app/widgets": 4}


@dataclass(frozen=True)
class Planted:
    """An import that must be refused."""

    importer: str
    imported: str
    code: str

    def __str__(self) -> str:
        return f"{self.importer} -> {self.imported}"


def levels(contract: Mapping[str, list[str]]) -> list[list[str]]:
    """The modules of a ``layers`` contract, the uppermost first, siblings together."""
    (container,) = contract["containers"]
    return [[f"{container}.{name.strip()}" for name in level.split("|")] for level in contract["layers"]]


def against_the_order() -> list[Planted]:
    """From each level to the one above, and between siblings: inside functions, where no start would notice."""
    arrows = []
    for contract in CONTRACTS:
        if contract["type"] == "layers":
            found = levels(contract)
            arrows += [(low, high) for above, below in pairwise(found) for high in above for low in below]
            arrows += [pair for level in found for pair in permutations(level, 2)]
    return [Planted(*arrow, f"def _planted() -> None:\n    import {arrow[1]}\n") for arrow in arrows]


def against_the_bans() -> list[Planted]:
    """From each module to all that is forbidden to it: for types alone, which do not load it."""
    arrows = [
        (source, forbidden)
        for contract in CONTRACTS
        if contract["type"] == "forbidden"
        for source in contract["source_modules"]
        for forbidden in contract["forbidden_modules"]
    ]
    code = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import {}\n"
    # A file beside the rooms would have no level: the engine's own bans are tried in one of them.
    rooms = {"engine": "engine.checkpoints"}
    return [Planted(rooms.get(source, source), forbidden, code.format(forbidden)) for source, forbidden in arrows]


ORDER, BANS = against_the_order(), against_the_bans()


def plant(tree: Path, planted: Planted) -> str:
    """Add an import to a tree, in a new file where the importer is a folder; returns the arrow as it is reported."""
    folder = tree.joinpath(*planted.importer.split("."))
    file = folder / f"planted_{planted.imported.replace('.', '_')}.py" if folder.is_dir() else folder.with_suffix(".py")
    with file.open("a", encoding="utf-8") as text:
        text.write(f"\n\n{planted.code}")
    importer = f"{planted.importer}.{file.stem}" if folder.is_dir() else planted.importer
    return f"{importer} -> {planted.imported} (l."


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[Planted, str]]:
    """What import-linter says of a copy of the tree with everything planted, and how it would name each import."""
    tree = tmp_path_factory.mktemp("tree")
    for package in ("app", "engine", "resources"):
        copytree(ROOT / package, tree / package, ignore=lambda folder, names: _all_but_python(folder, names))
    (tree / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    arrows = {planted: plant(tree, planted) for planted in (*ORDER, *BANS)}
    (tree / "engine" / "attic.py").write_text("")
    lint = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False
    )
    assert lint.returncode == 1, lint.stderr
    return lint.stdout, arrows


def _all_but_python(folder: str, names: list[str]) -> set[str]:
    bytecode = ignore_patterns("__pycache__")(folder, names)
    return bytecode | {name for name in names if not name.endswith(".py") and not Path(folder, name).is_dir()}


@pytest.mark.parametrize("planted", ORDER, ids=str)
def test_an_import_against_the_order_of_the_rooms_is_refused(
    report: tuple[str, dict[Planted, str]], planted: Planted
) -> None:
    said, arrows = report
    assert arrows[planted] in said


@pytest.mark.parametrize("planted", BANS, ids=str)
def test_an_import_of_what_a_room_must_not_know_is_refused(
    report: tuple[str, dict[Planted, str]], planted: Planted
) -> None:
    said, arrows = report
    assert arrows[planted] in said


def test_a_file_that_has_no_level_is_refused(report: tuple[str, dict[Planted, str]]) -> None:
    assert "engine.attic" in report[0]


def imports_of(*packages: str) -> dict[str, set[str]]:
    """What each file imports of these packages, inside functions and for types too."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """The sets of files that import each other, by whatever detour."""
    reached = {module: _reached(imports, module) for module in imports}
    found = {frozenset(other for other in reached[module] if module in reached[other]) for module in imports}
    return sorted(sorted(circle) for circle in found if circle)


def _reached(imports: Mapping[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = imports[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached


def test_no_files_import_each_other() -> None:
    assert circles(imports_of("app", "engine")) == []


def test_a_circle_is_found_through_functions_and_through_imports_for_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "turning"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "first.py").write_text("from turning.second import two\n")
    (package / "second.py").write_text("def two() -> None:\n    from turning import third\n")
    (package / "third.py").write_text("TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import turning.first\n")
    (package / "outside.py").write_text("import turning.first\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert circles(imports_of("turning")) == [["turning.first", "turning.second", "turning.third"]]


@pytest.mark.parametrize(("folder", "most"), MOST_FILES.items())
def test_what_belongs_to_a_room_does_not_lie_in_front_of_it(folder: str, most: int) -> None:
    files = sorted(file.name for file in (ROOT / folder).glob("*.py"))
    assert len(files) <= most, files
