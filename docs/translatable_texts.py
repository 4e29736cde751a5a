"""Finds every text that the window translates, by reading the code as Python does, and what is wrong with such calls.

Qt's own lupdate knows neither wrappers such as ``_tr("...")`` nor texts that stand in tables of data.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PASSED_ON = ("context",)  # what a function calls a context that its own caller gives


@dataclass(frozen=True, order=True)
class Text:
    """A text to translate: Qt finds it by its context and the English words; `numerus` texts have plural forms."""

    context: str
    source: str
    numerus: bool = False


@dataclass
class Found:
    """What some code holds.

    Attributes:
        texts: where each text stands, as paths from the project's folder.
        tabled: contexts of tables of texts, which are looked up by a variable.
        lookups: context and place of calls that look up a variable.
        faults: calls that cannot be understood, with place and reason.
    """

    texts: dict[Text, set[str]] = field(default_factory=dict)
    tabled: set[str] = field(default_factory=set)
    lookups: set[tuple[str, str]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def add(self, text: Text, place: str) -> None:
        """Note a text."""
        self.texts.setdefault(text, set()).add(place)


def find_texts(files: Iterable[Path] | None = None) -> Found:
    """All texts of the application, from its code and from the tables of the engine."""
    found = Found()
    for file in sorted(files if files is not None else (ROOT / "app").rglob("*.py")):
        read_code(file.read_text(encoding="utf-8"), file.relative_to(ROOT).as_posix(), found)
    if files is None:
        for context, source, place in tables_of_data():
            found.add(Text(context, source), place)
            found.tabled.add(context)
        for context, place in sorted(found.lookups):
            if context not in found.tabled:
                found.faults.append(f"{place}: looks up a variable in {context!r}, of which no text is marked")
    return found


def tables_of_data() -> Iterator[tuple[str, str, str]]:
    """Context, text and place of what the window translates but the engine, which knows no languages, says."""
    from app.parameters import field_specs
    from app.widgets.layers.layer_model import COLUMNS
    from engine.presets import HARDWARE_PROFILES, PRESET_WORDS, PRESETS
    from engine.settings import ExtractionSettings, HardwareSettings

    for model in (ExtractionSettings, HardwareSettings):
        for spec in field_specs(model):
            titles = (title for title, choice in zip(spec.choice_titles, spec.choices, strict=True) if title != choice)
            yield from (("settings", text, "engine/settings.py") for text in (spec.title, spec.help, *titles))
    yield from (("settings", name, "engine/presets.py") for name in (*PRESETS, *PRESET_WORDS.values()))
    yield from (("profiles", name, "engine/presets.py") for name in HARDWARE_PROFILES)
    yield from (("LayerModel", column.title, "app/widgets/layers/layer_model.py") for column in COLUMNS)


def read_code(code: str, path: str, found: Found) -> None:
    """Add what one file holds."""
    tree = ast.parse(code)
    _Reader(path, found, _constants(tree), _wrappers(tree)).visit(tree)


class _Reader(ast.NodeVisitor):
    """Walks a file and knows in which class and function it is."""

    def __init__(self, path: str, found: Found, constants: dict[str, str], wrappers: dict[str, str]) -> None:
        self._path, self._found = path, found
        self._constants, self._wrappers = constants, wrappers
        self._classes: list[str] = []
        self._parameters: list[dict[str, str]] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._classes.append(node.name)
        self.generic_visit(node)
        self._classes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        self._parameters.append({item.arg: ast.unparse(item.annotation) for item in arguments if item.annotation})
        self.generic_visit(node)
        self._parameters.pop()

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        name, owner = _called(node.func)
        if name == "tr" and owner is not None:
            context = self._classes[-1] if owner == "self" and self._classes else self._type_of(owner)
            self._note(node, context, node.args[:1], numerus=len(node.args) > 2)
        elif name == "translate" and owner in (None, "QCoreApplication", "QApplication"):
            self._note(node, self._context(node), node.args[1:2], numerus=len(node.args) > 3)
        elif name in ("marked", "QT_TRANSLATE_NOOP"):
            context = self._context(node)
            self._note(node, context, node.args[1:2])
            self._found.tabled.add(context or "")
        elif name == "plural" and owner is None:
            self._note(node, self._context(node), node.args[2:3], numerus=True)
        elif owner is None and name in self._wrappers:
            self._note(node, self._wrappers[name], node.args[:1])

    def _note(self, node: ast.Call, context: str | None, where: list[ast.expr], *, numerus: bool = False) -> None:
        place = f"{self._path}:{node.lineno}"
        if context is None:
            if not (self._parameters and any(name in self._parameters[-1] for name in PASSED_ON)):
                self._found.faults.append(f"{place}: the context cannot be told")
            return
        sources = list(_literals(where[0])) if where else []
        if where and not sources and isinstance(where[0], (ast.Name, ast.Attribute, ast.Subscript)):
            self._found.lookups.add((context, place))
        elif not sources:
            self._found.faults.append(f"{place}: the text is no plain literal; use placeholders and .format()")
        for source in sources:
            self._found.add(Text(context, source, numerus), self._path)

    def _context(self, node: ast.Call) -> str | None:
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return first.value
        return self._constants.get(first.id) if isinstance(first, ast.Name) else None

    def _type_of(self, owner: str) -> str | None:
        """The class of a parameter, by its annotation."""
        return self._parameters[-1].get(owner) if self._parameters else None


def _called(function: ast.expr) -> tuple[str, str | None]:
    """Name of what is called, and of what it belongs to."""
    if isinstance(function, ast.Name):
        return function.id, None
    if isinstance(function, ast.Attribute):
        return function.attr, ast.unparse(function.value)
    return "", None


def _literals(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*_literals(node.body), *_literals(node.orelse))


def _constants(tree: ast.Module) -> dict[str, str]:
    """Texts with a name of their own."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _wrappers(tree: ast.Module) -> dict[str, str]:
    """Names of translators, as in ``_tr = translator("context")``, and their contexts."""
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        context = node.value.args[0] if node.value.args else None
        if _called(node.value.func)[0] == "translator" and isinstance(context, ast.Constant):
            found |= {target.id: str(context.value) for target in node.targets if isinstance(target, ast.Name)}
    return found
