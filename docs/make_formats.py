"""Writes docs/formats.md from tests that ran: what kinds of models are read, and what of it was proved.

A test that reads a model of some kind and holds the outcome against something independent says so:
``@pytest.mark.shows(family=, layout=, container=, encoding=)``, keys of rows in `engine`, or ``refused=``, a scheme in
words; where they follow from the test's parameters, a function of these that gives a list of them comes first. A test
that writes a LoRA and has it loaded says for which program: ``@pytest.mark.shows(family=, program=)``, and ``format=``
too where that is not the program's own, as a Kohya file in diffusers. This runs those tests and writes down what
passed. Run it from the project's folder: ``python docs/make_formats.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.checkpoints.containers import CONTAINERS
from engine.checkpoints.encodings import ENCODINGS
from engine.formats.programs import PROGRAMS, Loads, Program
from engine.formats.registry import FORMATS, format_titles
from engine.models.families import FAMILIES, GENERIC, Family
from engine.models.layouts import LAYOUTS
from engine.models.text_encoders import TEXT_ENCODERS

TARGET = Path(__file__).with_name("formats.md")
MARKER = "shows"


@dataclass(frozen=True, order=True)
class Shown:
    """What one test proves: a key of a row on each axis that it concerns, empty on the others; or what is refused.

    Attributes:
        form: which form of the encoding, in words, where it has several.
        program: which loaded a LoRA of the family, or whose cited contract was held against one.
        format: of that LoRA; empty for the program's own.
    """

    family: str = ""
    layout: str = ""
    container: str = ""
    encoding: str = ""
    form: str = ""
    program: str = ""
    format: str = ""
    refused: str = ""


class Evidence:
    """A pytest plugin that notes what the marked tests of a run prove."""

    def __init__(self) -> None:
        self.passed: set[Shown] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Note a test that passed."""
        report = yield
        if report.when == "call" and report.passed:
            self.passed |= set(shown_by(item))
        return report


def shown_by(item: pytest.Item) -> list[Shown]:
    """What a test says that it proves.

    Raises:
        TypeError: for an axis that there is not.
    """
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    found = []
    for marker in item.iter_markers(MARKER):
        for rows in marker.args or (lambda **_: [{}],):
            wanted = {name: parameters[name] for name in inspect.signature(rows).parameters if name in parameters}
            found += [Shown(**{**marker.kwargs, **keys}) for keys in rows(**wanted)]
    return found


def render(evidence: Iterable[Shown]) -> str:
    """The whole page."""
    proved = sorted(set(evidence))
    names = {(shown.family, shown.layout) for shown in proved}
    return "\n".join(
        [
            "# Models that can be read, and LoRAs that come out",
            "",
            "This page is made by `docs/make_formats.py` from tests that ran. A model is read in independent steps: a",
            "container gives stored tensors, an encoding makes numbers of them, a layout of names says which weight is",
            "which, and a family what it is called. *Tested*: a test reads such a model from a file and compares the",
            "outcome with something independent. *By names only*: the names come from a cited source, and no test has",
            "held them against a program that ran. *Refused*: recognised and never read as if they were numbers.",
            "",
            "## Families and layouts of names",
            "",
            "| Family | Layout | Names | From |",
            "|---|---|---|---|",
            *_names(names),
            "",
            "Any other model is read as well where both files give their weights the same names.",
            "",
            "## Containers and encodings",
            "",
            "| Encoding | " + " | ".join(container.title for container in CONTAINERS) + " |",
            "|---|" + "---|" * len(CONTAINERS),
            *_encodings(proved),
            "",
            "A container may be one file, several files with or without an index, a model in diffusers' folders or a",
            "component of one, and a folder of Hugging Face's cache.",
            "",
            "Refused by name, with what to do: " + ", ".join(sorted({shown.refused for shown in proved} - {""})) + ".",
            "",
            "## LoRAs that come out",
            "",
            "`--for PROGRAM` writes what that program loads and nothing else, and says beforehand what it leaves out.",
            "",
            "| For | Format | " + " | ".join(_KINDS.values()) + " | fp8 | Ranks |",
            "|---|---|" + "---|" * (len(_KINDS) + 2),
            *(_program(program) for program in PROGRAMS),
            "",
            "None of them needs the same rank for the query, key and value of an attention.",
            "",
            "What is loaded of a family. *Tested*: a test writes such a LoRA and has it loaded, by the program itself,",
            "or, where that is no package, by a reader of the names that its cited source maps. *By table*: the source",
            "was read (`engine/formats/programs.py`). Empty: the program has no loader for such models. In diffusers",
            "the text encoders are tested with SDXL, whose names the others have.",
            "",
            "| Family | " + " | ".join(program.title for program in PROGRAMS) + " |",
            "|---|" + "---|" * len(PROGRAMS),
            *(_loaded(family, proved) for family in (*FAMILIES, _TEXT_ENCODER, GENERIC)),
            "",
            *_in_other_formats(proved),
            "## What ran together",
            "",
            "Every combination that a test went through from file to LoRA, or to compared numbers.",
            "",
            "| Family | Layout | Container | Encoding |",
            "|---|---|---|---|",
            *dict.fromkeys(_row(shown) for shown in proved if shown.container and (shown.layout or shown.encoding)),
            "",
        ]
    )


_KINDS = {
    "biases": "Biases",
    "norms": "Norms",
    "parameters": "Bare parameters",
    "convolutions": "Convolutions",
    "differences": "Type full",
    "whole": "New weights",
    "reshape": "Enlarged weights",
}
_TEXT_ENCODER = next(row.family for row in TEXT_ENCODERS)


def _program(program: Program) -> str:
    rows = [loads for loads in (*program.families.values(), program.text_encoder_files, program.other) if loads]
    cells = [_often([getattr(loads, kind) for loads in rows]) for kind in _KINDS]
    largest = max((loads.rank_limit or 0 for loads in rows), default=0)
    ranks = f"up to {largest}, above {program.rank_default} with `{program.rank_option}`" if largest else "any"
    fp8 = "yes" if all(loads.fp8 for loads in rows) else ""
    return (
        "| "
        + " | ".join((program.title, format_titles().get(program.format, program.format), *cells, fp8, ranks))
        + " |"
    )


def _often(values: list[bool]) -> str:
    return "yes" if all(values) else "of some families" if any(values) else ""


def _loaded(family: Family, proved: list[Shown]) -> str:
    title = {"generic": "Any other model"}.get(family.key, family.title)
    title = "Text encoders in files of their own" if family.text_encoder else title
    return f"| {title} | " + " | ".join(_cell_of(program, family, proved) for program in PROGRAMS) + " |"


def _cell_of(program: Program, family: Family, proved: list[Shown]) -> str:
    loads = program.loads(family)
    row = next((row for row in FORMATS if row.key == program.format), None)
    if loads is None or row is None or row.problem(family) is not None:
        return ""
    keys = {row.family.key for row in TEXT_ENCODERS} if family.text_encoder else {family.key}
    found = any(shown.family in keys and shown.program == program.key and not shown.format for shown in proved)
    extent = "" if family.text_encoder or family is GENERIC else _extent(loads)
    return ": ".join(filter(None, ("tested" if found else "by table", extent)))


def _extent(loads: Loads) -> str:
    """What is loaded of a family's models, where that is not all."""
    if loads.text_encoders is None:
        return loads.scope
    return ", ".join((loads.scope or "denoiser", *sorted(loads.text_encoders)))


def _in_other_formats(proved: list[Shown]) -> list[str]:
    """What was loaded by a program in a format that is not its own."""
    titles = {program.key: program.title for program in PROGRAMS}
    found: dict[tuple[str, str], list[str]] = {}
    for family in FAMILIES:
        for shown in proved:
            if shown.format and shown.family == family.key:
                found.setdefault((shown.format, titles[shown.program]), []).append(family.title)
    rows = [
        f"{format_titles().get(key, key)}'s format, loaded by {title} in a test: {', '.join(dict.fromkeys(families))}."
        for (key, title), families in sorted(found.items())
    ]
    return [line for row in rows for line in (row, "")]


def _names(proved: set[tuple[str, str]]) -> list[str]:
    rows = []
    for family in FAMILIES:
        layouts = [LAYOUTS["native"], *(layout for layout in LAYOUTS.values() if layout.family == family.key)]
        for layout in layouts:
            sure = "tested" if (family.key, layout.key) in proved else "by names only"
            source = family.source if layout.key == "native" else layout.source
            rows.append(f"| {family.title} | {layout.title} | {sure} | {_cell(source)} |")
    return rows


def _encodings(proved: list[Shown]) -> list[str]:
    rows = []
    for encoding in ENCODINGS:
        found = {shown.container for shown in proved if shown.encoding == encoding.key}
        forms = sorted({shown.form for shown in proved if shown.encoding == encoding.key} - {"", encoding.title})
        title = f"{encoding.title}: {', '.join(forms)}" if forms else encoding.title
        cells = ["tested" if container.title in found else "" for container in CONTAINERS]
        rows.append(f"| {title} | " + " | ".join(cells) + " |")
    return rows


def _row(shown: Shown) -> str:
    titles = (
        next((family.title for family in FAMILIES if family.key == shown.family), ""),
        LAYOUTS[shown.layout].title if shown.layout else "",
        shown.container,
        next((encoding.title for encoding in ENCODINGS if encoding.key == shown.encoding), ""),
    )
    return "| " + " | ".join(titles) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Run the tests that carry the marker, and write the page; exit status as pytest's."""
    evidence = Evidence()
    status = pytest.main(["-q", "-m", MARKER, "-p", "no:randomly", "tests/engine", "tests/cli"], plugins=[evidence])
    if status == pytest.ExitCode.OK:
        TARGET.write_text(render(evidence.passed), encoding="utf-8")
    return int(status)


if __name__ == "__main__":
    raise SystemExit(main())
