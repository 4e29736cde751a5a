"""The translations: every way to translate is collected, and German is complete, consistent and compiled."""

from __future__ import annotations

import re
import string
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QTranslator

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))

from make_translations import PLURAL_FORMS, Entry, compile_qm, not_compiled, problems, read_ts, updated, write_ts
from translatable_texts import ROOT, Found, Text, read_code

GERMAN = ROOT / "resources" / "translations" / "lora-extractor_de.ts"


def test_all_ways_to_translate_are_understood() -> None:
    found = Found()
    code = """
from app.text.translation import marked, plural, translate, translator
CONTEXT = "things"
TABLE = (marked("things", "in a table"),)
_tr = translator("wrapped")
def show(model: LayerModel): return model.tr("of a parameter")
class Card(QWidget):
    def words(self, n):
        self.tr("of a class"); _tr("through a wrapper"); translate(CONTEXT, TABLE[0])
        plural("things", "{count} one", "{count} many", n); self.tr("a" if n else "b")
"""
    read_code(code, "example.py", found)
    assert set(found.texts) == {
        Text("things", "in a table"),
        Text("wrapped", "through a wrapper"),
        Text("LayerModel", "of a parameter"),
        Text("Card", "of a class"),
        Text("things", "{count} many", numerus=True),
        Text("Card", "a"),
        Text("Card", "b"),
    }
    assert found.faults == []
    assert {context for context, _place in found.lookups} == {"things"}


@pytest.mark.parametrize(
    "code", ['class A:\n def f(self): self.tr(f"{1}")', 'translate("x", "a" + "b")', 'other().tr("text")']
)
def test_a_call_that_hides_its_text_is_a_fault(code: str) -> None:
    found = Found()
    read_code(code, "example.py", found)
    assert len(found.faults) == 1


def test_updating_keeps_translations_marks_new_ones_and_sets_old_ones_aside(tmp_path: Path) -> None:
    kept, gone, new = Text("A", "kept"), Text("A", "gone"), Text("B", "{count} <new> & \u201cold\u201d", numerus=True)
    old = {kept: Entry(("behalten",)), gone: Entry(("weg",))}
    entries = updated(old, {kept: {"a.py"}, new: {"b.py"}}, "de")
    file = tmp_path / "lora-extractor_de.ts"
    write_ts(file, entries, "de")
    again = read_ts(file)
    assert again == entries
    assert again[kept].done
    assert again[gone] == Entry(("weg",), vanished=True)
    assert again[new] == Entry(("", ""), unfinished=True, places=("b.py",))
    assert gone not in updated(old, {kept: {"a.py"}}, "de", forget=True)


def test_what_is_compiled_is_what_qt_answers(tmp_path: Path) -> None:
    text, many = Text("A", "kept"), Text("A", "{count} layers", numerus=True)
    entries = {text: Entry(("behalten",)), many: Entry(("{count} Schicht", "{count} Schichten"))}
    file = tmp_path / "lora-extractor_de.ts"
    write_ts(file, entries, "de")
    compile_qm(file, file.with_suffix(".qm"))
    translator = QTranslator()
    assert translator.load(str(file.with_suffix(".qm")))
    assert translator.translate("A", "kept") == "behalten"
    assert [translator.translate("A", "{count} layers", None, n) for n in (1, 0, 2, 21)] == [
        "{count} Schicht",
        "{count} Schichten",
        "{count} Schichten",
        "{count} Schichten",
    ]
    assert not_compiled(entries, file.with_suffix(".qm")) == []
    assert not_compiled({**entries, text: Entry(("anders",))}, file.with_suffix(".qm")) == [text]


def test_german_is_complete_and_compiled() -> None:
    assert problems(GERMAN) == [], "run: python docs/make_translations.py, and translate what it lists"


def placeholders(text: str) -> list[str]:
    return sorted(f"{name}:{spec}" for _, name, spec, _ in string.Formatter().parse(text) if name is not None)


def pairs() -> list[tuple[str, str]]:
    """English and German, form by form; the months are names with rules of their own."""
    return [
        (text.source, form)
        for text, entry in read_ts(GERMAN).items()
        for form in entry.forms
        if entry.done and not entry.vanished and text.context != "months"
    ]


def test_german_has_the_placeholders_of_the_english() -> None:
    assert [pair for pair in pairs() if placeholders(pair[0]) != placeholders(pair[1])] == []
    assert len(pairs()) > 300


def test_german_keeps_tags_line_breaks_and_the_ends_of_texts() -> None:
    def shape(text: str) -> tuple[object, ...]:
        ends = "".join(mark for mark in text[-1:] if mark in "\u2026:?.")
        return re.findall(r"<[^<> ][^<>]*>", text), text.count("\n"), text[:1].isspace(), text[-1:].isspace(), ends

    assert [pair for pair in pairs() if shape(pair[0]) != shape(pair[1])] == []


def mnemonics(text: str) -> tuple[int, int]:
    """How many letters are underlined, and how many ampersands are shown."""
    return len(re.findall(r"&\w", text.replace("&&", ""))), text.count("&&")


def test_german_has_a_mnemonic_where_the_english_has_one() -> None:
    assert [pair for pair in pairs() if mnemonics(pair[0]) != mnemonics(pair[1])] == []


def test_every_language_that_can_be_chosen_has_its_files() -> None:
    from app.text.language import FILE_NAME, FOLDER, LANGUAGES, SOURCE, SYSTEM

    codes = {language.code for language in LANGUAGES} - {SYSTEM, SOURCE}
    assert codes == set(PLURAL_FORMS)
    for code in codes:
        assert (FOLDER / f"{FILE_NAME.format(code=code)}.qm").stat().st_size < 300_000


def test_the_words_of_the_command_line_load_no_qt() -> None:
    modules = (
        "app.cli.main, app.cli.commands, app.cli.profiles, app.text.notices, app.text.errors, app.text.translation"
    )
    script = f"import sys, {modules}; sys.exit(any(name.startswith('PySide6') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
