"""Every text that the window shows comes from `tr`, as a whole sentence."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))

from translatable_texts import ROOT, find_texts

# The command line speaks English, the same everywhere: scripts and reports of errors rely on its words.
ENGLISH = [*(ROOT / "app" / "cli").glob("*.py"), ROOT / "app" / "__main__.py"]
CODE = sorted({path for path in (ROOT / "app").rglob("*.py") if path not in ENGLISH})
SHOWN_FIRST = """
    QLabel QPushButton QCheckBox QRadioButton QAction QGroupBox QMenu setText setToolTip setStatusTip setWhatsThis
    setWindowTitle setTitle addAction addMenu setAccessibleName setAccessibleDescription setPlaceholderText addItem
    setInformativeText setSpecialValueText text_label wrapped_label push_button link_button LinkButton ElidedLabel
    KeyedButton Panel PlotPanel set_text showMessage setLabelText setCancelButtonText set_names
"""
SHOWN_LATER = {
    "addTab": (1,),
    "setTabText": (1,),
    "setItemText": (1,),
    "LegendEntry": (1,),
    "question": (1, 2),
    "warning": (1, 2),
    "information": (1, 2),
    "critical": (1, 2),
    "about": (1, 2),
    "getText": (1, 2),
    "getOpenFileName": (1, 3),
    "getSaveFileName": (1, 3),
    "getExistingDirectory": (1,),
    "PlotPanel": (0, 1),
    "addRow": (0,),
    "__init__": (0, 1),
}
SHOWN = {name: (0,) for name in SHOWN_FIRST.split()} | SHOWN_LATER
# Names of products and formats, units and keys: the same in every language.
NAMES = (
    "LoRA Extractor|ComfyUI|JSON|CSV|Apache|fp16|fp32|bf16|GB|MB|kB|TB|GiB|Ctrl|Esc|Tab|cuda|min|ms|"
    "json|csv|safetensors|sft"
)
TRANSLATING = ("tr", "translate", "_tr", "plural", "marked")
PROSE = re.compile(r"[A-Za-z]{2,}[,;:.]? [a-z]{2,}")


def words(text: str) -> str:
    """What is left of a text without placeholders, HTML and names that no language changes."""
    text = re.sub(r"\{[^{}]*\}|<[^<>]*>|&\w+;", "", text)
    text = re.sub(rf"\b(?:{NAMES})\b", "", text)
    return "".join(re.findall(r"[A-Za-z]{2,}", text))


def name_of(node: ast.AST) -> str:
    """Name of what is called; empty for what is no call."""
    function = getattr(node, "func", None)
    return str(getattr(function, "attr", getattr(function, "id", "")))


def untranslated_words(node: ast.expr) -> Iterator[str]:
    """The literal words in an expression that gives a text, but for those inside other calls."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and words(node.value):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from untranslated_words(part.value)
            else:
                yield from untranslated_words(part)
    elif isinstance(node, ast.BinOp):
        yield from (*untranslated_words(node.left), *untranslated_words(node.right))
    elif isinstance(node, ast.IfExp):
        yield from (*untranslated_words(node.body), *untranslated_words(node.orelse))
    elif isinstance(node, ast.Call) and name_of(node) == "format" and isinstance(node.func, ast.Attribute):
        yield from untranslated_words(node.func.value)


def shown_without_translation(code: str) -> list[str]:
    faults = []
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        for index in SHOWN.get(name_of(call), ()):
            for text in untranslated_words(call.args[index]) if index < len(call.args) else ():
                faults.append(f"{call.lineno}: {text!r}")
    return faults


def holds_translation(node: ast.expr) -> bool:
    return any(name_of(part) in TRANSLATING for part in ast.walk(node))


def glued_together(code: str) -> list[str]:
    """Places where a translated text is glued to words or to another one; word order differs between languages."""
    faults = []
    for node in ast.walk(ast.parse(code)):
        text_grows = isinstance(node, ast.AugAssign) and not isinstance(node.value, (ast.List, ast.Tuple))
        if text_grows and holds_translation(node.value):
            faults.append(f"{node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = [
                (holds_translation(side), bool(list(untranslated_words(side)))) for side in (node.left, node.right)
            ]
            if any(translated for translated, _ in sides) and all(translated or worded for translated, worded in sides):
                faults.append(f"{node.lineno}: {ast.unparse(node)}")
    return faults


def prose(code: str) -> list[str]:
    """Sentences that are neither translated nor something a person never sees."""
    tree = ast.parse(code)
    unseen: set[int] = set()
    for node in ast.walk(tree):
        hidden: list[ast.AST] = []
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            hidden = [node]  # documentation
        elif isinstance(node, (ast.Raise, ast.Assert)) or name_of(node) in (*TRANSLATING, "setObjectName", "Thread"):
            hidden = [node]
        elif isinstance(node, ast.AnnAssign):
            hidden = [node.annotation]
        unseen.update(id(inner) for outer in hidden for inner in ast.walk(outer))
    return [
        f"{node.lineno}: {node.value!r}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in unseen and PROSE.search(re.sub(rf"\b(?:{NAMES})\b", "", node.value))
    ]


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_text_that_is_shown_is_translated_whole(path: Path) -> None:
    code = path.read_text(encoding="utf-8")
    assert shown_without_translation(code) == []
    assert glued_together(code) == []


@cache
def collected() -> frozenset[str]:
    return frozenset(text.source for text in find_texts().texts)


WIDGETS = [path for path in CODE if path.is_relative_to(ROOT / "app" / "widgets") or path.parent.name == "window"]


@pytest.mark.parametrize("path", WIDGETS, ids=lambda path: path.name)
def test_the_widgets_hold_no_sentence_that_is_not_translated(path: Path) -> None:
    said = prose(path.read_text(encoding="utf-8"))
    assert [line for line in said if ast.literal_eval(line.partition(": ")[2]) not in collected()] == []


@pytest.mark.parametrize(
    "code",
    [
        'QLabel("Two words")',
        'label.setText(f"{count} layers")',
        'label.setText("Left: {count}".format(count=1))',
        'box.addTab(page, "Log")',
        'text_label("yes" if good else "no")',
    ],
)
def test_a_text_outside_tr_is_found(code: str) -> None:
    assert shown_without_translation(code) != []


@pytest.mark.parametrize(
    "code", ['self.tr("Kept: ") + self.tr("all")', 'self.tr("Kept") + " so far"', 'x += _tr("more")']
)
def test_a_sentence_glued_together_is_found(code: str) -> None:
    assert glued_together(code) != []


@pytest.mark.parametrize(
    "code", ['label.setText("\u26a0")', 'label.setText(f"{name} \u00b7 {size}")', 'QLabel("ComfyUI")']
)
def test_symbols_patterns_and_names_need_no_translation(code: str) -> None:
    assert shown_without_translation(code) == []


def test_nouns_that_are_counted_are_known_in_every_language() -> None:
    from app.text.notices import counted

    used = {
        call.args[1].value
        for path in CODE
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if name_of(call) == "counted" and isinstance(call.args[1], ast.Constant)
    }
    known = {text.source.removeprefix("{count} ") for text in find_texts().texts if text.context == "counted"}
    assert {counted(2, str(noun)).removeprefix("2 ") for noun in used} <= known
