"""The page of readable models says what the tests of this run prove, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from engine.checkpoints.containers import CONTAINERS
from engine.checkpoints.encodings import ENCODINGS
from engine.formats.programs import PROGRAMS
from engine.formats.registry import FORMATS
from engine.models.families import FAMILIES, GENERIC
from engine.models.layouts import LAYOUTS
from engine.models.text_encoders import TEXT_ENCODERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "formats.md"


def maker() -> ModuleType:
    specification = importlib.util.spec_from_file_location("make_formats", ROOT / "docs" / "make_formats.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # where its dataclasses look for their types
    specification.loader.exec_module(module)
    return module


def marked(request: pytest.FixtureRequest) -> list[pytest.Item]:
    return [item for item in request.session.items if item.get_closest_marker("shows")]


def test_the_page_is_the_one_made_from_the_tests_of_this_run(request: pytest.FixtureRequest) -> None:
    rooms = {item.path.relative_to(ROOT).parts[1] for item in request.session.items}
    if not {"engine", "cli"} <= rooms:
        pytest.skip("only a part of the tests was collected")
    module = maker()
    evidence = {shown for item in marked(request) for shown in module.shown_by(item)}
    assert PAGE.read_text(encoding="utf-8") == module.render(evidence), "run: python docs/make_formats.py"


def test_what_a_test_says_that_it_shows_are_keys_of_rows(request: pytest.FixtureRequest) -> None:
    rows = {
        "family": {family.key for family in FAMILIES},
        "layout": set(LAYOUTS),
        "container": {container.title for container in CONTAINERS},
        "encoding": {encoding.key for encoding in ENCODINGS},
        "program": {program.key for program in PROGRAMS},
        "format": {row.key for row in FORMATS},
    }
    rows["family"] |= {row.family.key for row in TEXT_ENCODERS} | {GENERIC.key}
    module = maker()
    for item in marked(request):
        for shown in module.shown_by(item):
            for axis, keys in rows.items():
                assert getattr(shown, axis) in (*keys, ""), item.nodeid


@pytest.mark.parametrize("axis", ["family", "layout", "container", "encoding"])
def test_a_claim_that_no_test_makes_is_not_on_the_page(axis: str) -> None:
    module = maker()
    known = {"family": "flux", "layout": "native", "container": CONTAINERS[0].title, "encoding": ENCODINGS[0].key}
    page = module.render([module.Shown(**known)])
    without = module.render([module.Shown(**{name: key for name, key in known.items() if name != axis})])
    assert page != without
    assert "tested" not in module.render([]).split("## Families")[1]


def test_a_program_is_tested_with_a_family_only_where_a_test_says_so() -> None:
    module = maker()
    (row,) = [line for line in module.render([]).splitlines() if line.startswith("| Flux.1 | by table")]
    shown = [module.Shown(family="flux", program="comfyui"), module.Shown(family="sdxl", program="forge")]
    assert row.replace("by table", "tested", 1) in module.render(shown).splitlines()


def test_a_file_in_another_format_than_the_programs_own_is_named_by_itself() -> None:
    module = maker()
    page = module.render([module.Shown(family="sdxl", program="diffusers", format="kohya")])
    assert "Kohya's format, loaded by diffusers in a test: SDXL." in page
    assert "tested" not in page.split("## Families")[1]
