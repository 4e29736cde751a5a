"""Brings the translations up to date: collects every text into the .ts files, and compiles them to .qm.

Run it from the project's folder after texts were added or changed: ``python docs/make_translations.py``. New texts are
marked "unfinished" in ``resources/translations/*.ts``, and listed; translate them there (by hand or with Qt Linguist),
and run it again. ``--check`` changes nothing, and fails where something is missing or out of date. ``--forget`` drops
the translations of texts that are no longer used, which are kept as "vanished" otherwise.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import PySide6
from PySide6.QtCore import QTranslator
from translatable_texts import ROOT, Text, find_texts

FOLDER = ROOT / "resources" / "translations"
PLURAL_FORMS = {"de": 2}  # by Qt's rules; a language with others needs its number here
Entries = dict[Text, "Entry"]


@dataclass(frozen=True)
class Entry:
    """A text's translation: one form, or one per plural form; empty where it is missing."""

    forms: tuple[str, ...]
    unfinished: bool = False
    vanished: bool = False
    places: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether somebody translated it and did not doubt it."""
        return all(self.forms) and not self.unfinished


def read_ts(file: Path) -> Entries:
    """The translations of a .ts file; none where there is no file yet."""
    entries: Entries = {}
    if not file.exists():
        return entries
    for context in ET.parse(file).getroot().iter("context"):
        name = context.findtext("name", "")
        for message in context.iter("message"):
            translation = message.find("translation")
            assert translation is not None
            numerus = message.get("numerus") == "yes"
            forms = (
                [form.text or "" for form in translation.iter("numerusform")] if numerus else [translation.text or ""]
            )
            kind = translation.get("type", "")
            places = tuple(place.get("filename", "").removeprefix("../../") for place in message.iter("location"))
            text = Text(name, message.findtext("source", ""), numerus)
            entries[text] = Entry(tuple(forms), kind == "unfinished", kind in ("vanished", "obsolete"), places)
    return entries


def write_ts(file: Path, entries: Entries, code: str) -> None:
    """Write a .ts file, sorted by context and text, so that a change shows as what it is."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<!DOCTYPE TS>"]
    lines.append(f'<TS version="2.1" language={quoteattr(code)} sourcelanguage="en">')
    for context in sorted({text.context for text in entries}):
        lines += ["<context>", f"    <name>{escape(context)}</name>"]
        for text in sorted(text for text in entries if text.context == context):
            lines += _message(text, entries[text])
        lines.append("</context>")
    file.write_text("\n".join([*lines, "</TS>", ""]), encoding="utf-8", newline="\n")


def _message(text: Text, entry: Entry) -> list[str]:
    kind = ' type="vanished"' if entry.vanished else "" if entry.done else ' type="unfinished"'
    forms = escape(entry.forms[0])
    if text.numerus:
        forms = "".join(f"\n            <numerusform>{escape(form)}</numerusform>" for form in entry.forms)
        forms += "\n        "
    return [
        '    <message numerus="yes">' if text.numerus else "    <message>",
        *(f"        <location filename={quoteattr('../../' + place)}/>" for place in entry.places),
        f"        <source>{escape(text.source)}</source>",
        f"        <translation{kind}>{forms}</translation>",
        "    </message>",
    ]


def updated(old: Entries, texts: Mapping[Text, set[str]], code: str, *, forget: bool = False) -> Entries:
    """Old translations for today's texts: new ones unfinished, those no longer used marked, or forgotten."""
    empty = Entry(("",), unfinished=True), Entry(("",) * PLURAL_FORMS[code], unfinished=True)
    entries: Entries = {}
    for text, places in texts.items():
        known = old.get(text, empty[text.numerus])
        entries[text] = Entry(known.forms, not known.done, False, tuple(sorted(places)))
    for text, known in old.items():
        if text not in texts and any(known.forms) and not forget:
            entries[text] = Entry(known.forms, False, True, ())
    return entries


def compile_qm(source: Path, target: Path) -> None:
    """Compile a .ts file with Qt's own tool, which comes with PySide.

    Raises:
        subprocess.CalledProcessError: it refused.
    """
    tool = Path(PySide6.__file__).parent / ("lrelease.exe" if sys.platform == "win32" else "lrelease")
    if not tool.exists():
        tool = tool.with_name("Qt") / "libexec" / tool.name
    subprocess.run([tool, "-silent", source, "-qm", target], check=True)


def untranslated(entries: Entries) -> list[Text]:
    """Texts in use whose translation is missing or doubted."""
    return [text for text, entry in entries.items() if not entry.vanished and not entry.done]


def not_compiled(entries: Entries, qm: Path) -> list[Text]:
    """Texts whose translation the compiled file does not hold."""
    compiled = QTranslator()
    if not compiled.load(str(qm)):
        return list(entries)
    used = {text: entry for text, entry in entries.items() if entry.done and not entry.vanished}
    return [
        text
        for text, entry in used.items()
        for count, form in zip((1, 2) if text.numerus else (-1,), entry.forms, strict=True)
        if compiled.translate(text.context, text.source, None, count) != form
    ]


def problems(file: Path) -> list[str]:
    """What is missing or out of date in a .ts file and its .qm."""
    found = find_texts()
    entries = read_ts(file)
    in_use = {text for text, entry in entries.items() if not entry.vanished}
    told = list(found.faults)
    told += [f"not collected yet: {text}" for text in sorted(set(found.texts) - in_use)]
    told += [f"no longer in the code: {text}" for text in sorted(in_use - set(found.texts))]
    told += [f"not translated: {text}" for text in sorted(untranslated(entries))]
    told += [f"not compiled: {text}" for text in not_compiled(entries, file.with_suffix(".qm"))]
    return told


def make(file: Path, *, forget: bool) -> list[str]:
    """Bring a .ts file and its .qm up to date; what is left to do comes back."""
    code = file.stem.rpartition("_")[2]
    entries = updated(read_ts(file), find_texts().texts, code, forget=forget)
    write_ts(file, entries, code)
    with tempfile.TemporaryDirectory() as folder:
        # The words of texts that vanished do not belong into the program.
        used = Path(folder) / file.name
        write_ts(used, {text: entry for text, entry in entries.items() if not entry.vanished}, code)
        compile_qm(used, file.with_suffix(".qm"))
    return problems(file)


def main() -> int:
    """Update, or only check; 1 where something is left to do."""
    parser = argparse.ArgumentParser(description="Collect the texts to translate, and compile the translations.")
    parser.add_argument("--check", action="store_true", help="change nothing; tell what is missing or out of date")
    parser.add_argument("--forget", action="store_true", help="drop translations of texts that are no longer used")
    arguments = parser.parse_args()
    left = 0
    for code in PLURAL_FORMS:
        file = FOLDER / f"lora-extractor_{code}.ts"
        told = problems(file) if arguments.check else make(file, forget=arguments.forget)
        left += len(told)
        print("\n".join([*told, f"{file.name}: {len(told)} left to do" if told else f"{file.name}: complete"]))
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
