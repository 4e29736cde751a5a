"""The documents say what the program does."""

from __future__ import annotations

import importlib.util
import itertools
import re
from pathlib import Path

import pytest
import tomllib

from engine.settings import ExtractionSettings, HardwareSettings

ROOT = Path(__file__).resolve().parents[2]


def generated_page() -> str:
    specification = importlib.util.spec_from_file_location("make_parameters", ROOT / "docs" / "make_parameters.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    page = module.render()
    assert isinstance(page, str)
    return page


def test_the_table_of_parameters_is_the_one_made_from_the_settings() -> None:
    assert (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8") == generated_page()


@pytest.mark.parametrize("model", [ExtractionSettings, HardwareSettings])
def test_the_table_has_a_row_for_every_field(model: type[ExtractionSettings] | type[HardwareSettings]) -> None:
    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    for name in model.model_fields:
        assert page.count(f"\n| `{name}` |") == 1


def test_the_map_can_be_kept_in_the_head() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) < 150


def test_every_folder_and_module_that_the_map_names_exists() -> None:
    rooms = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Rooms")[1].split("## Threads")[0]
    folder = ""
    for line in rooms.splitlines():
        words = line.split()
        if line.startswith("    ") and not line.startswith("     ") and words and words[0].endswith("/"):
            folder = words[0]
            assert (ROOT / folder).is_dir(), folder
        elif line.startswith("      ") and not line.startswith("       ") and words:
            assert (ROOT / folder / words[0]).exists(), folder + words[0]


@pytest.mark.parametrize("package", ["engine", "app"])
def test_the_map_lists_the_rooms_in_the_order_that_the_contract_holds(package: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    levels = next(contract["layers"] for contract in contracts if contract.get("containers") == [package])
    rooms = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Rooms")[1].split("## Where")[0]
    part = rooms.split(f"    {package}/\n")[1].split("\n    app/" if package == "engine" else "\n    resources/")[0]
    places = [[re.search(rf"\b{room.strip()}(/|\.py)", part) for room in level.split("|")] for level in levels]
    assert all(all(found) for found in places), "every room is on the map"
    spans = [[found.start() for found in level if found] for level in places]
    assert all(max(above) < min(below) for above, below in itertools.pairwise(spans))


def test_no_machine_path_and_no_registry_address_is_committed() -> None:
    names = ("constraints.txt", "pyproject.toml", "README.md", "docs/building.md", ".github/workflows/build.yml")
    for path in (ROOT / name for name in names):
        text = path.read_text(encoding="utf-8")
        assert "file://" not in text
        assert "--index-url" not in text
