"""A language for tests: every text that can be translated looks strange and is longer, so that others stand out."""

from __future__ import annotations

import math
import re

from PySide6.QtCore import QObject, QTranslator

_LETTERS = str.maketrans(
    "aeiouyncAEIOUYNC",
    "\u00e5\u00e9\u00ee\u00f8\u00fc\u00fd\u00f1\u00e7\u00c5\u00c9\u00ce\u00d8\u00dc\u00dd\u00d1\u00c7",
)
_KEPT = re.compile(r"\{[^{}]*\}|<[^<>]*>|&\w+;|&&|%L?n|\n")
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
GROWTH = 0.35
START, END = "[!! ", " !!]"


def pseudo(text: str) -> str:
    """``[!! Éxtråçt one !!]``: placeholders, HTML and mnemonics stay, and it is about a third longer."""
    pieces, position = [], 0
    for kept in _KEPT.finditer(text):
        pieces += [text[position : kept.start()].translate(_LETTERS), kept.group()]
        position = kept.end()
    pieces.append(text[position:].translate(_LETTERS))
    return f"{START}{''.join(pieces)}{_filling(len(text))}{END}"


def _filling(length: int) -> str:
    missing = math.ceil(length * GROWTH)
    filling, number = "", 0
    while len(filling) < missing:
        filling += f" {_WORDS[number % len(_WORDS)]}"
        number += 1
    return filling


class PseudoTranslator(QTranslator):
    """Translates whatever it is asked for, but for Qt's own texts: names of keys among them must be understood."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.asked: set[tuple[str, str]] = set()

    def isEmpty(self) -> bool:  # noqa: N802
        """Never: there is nothing that it cannot translate."""
        return False

    def translate(
        self,
        context: str,
        sourceText: str,  # noqa: N803 - Qt's own name, by which it may be passed
        disambiguation: str | None = None,
        n: int = -1,
    ) -> str | None:
        """The strange form of a text; None for Qt's own."""
        if context[:1] == "Q" and context[1:2].isupper():
            return None
        self.asked.add((context, sourceText))
        return pseudo(sourceText)
