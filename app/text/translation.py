"""Words and numbers in the person's language, for code that the command line uses too and that must not load Qt.

`app.text.language` installs a language when a window starts. The command line installs none: it speaks English, the
same everywhere, and so do file names, reports and JSON, which never come through here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

ANY_NUMBER = -1


def _untranslated(_context: str, text: str, _count: int) -> str:
    return text


@dataclass(frozen=True)
class Speech:
    """How to say things in a language.

    Attributes:
        lookup: takes a context, an English text and a count that decides on the plural form (`ANY_NUMBER` where there
            is none); answers with the translation, or with the text itself.
        decimal_point, group_separator: how the language writes ``12,345.6``.
    """

    lookup: Callable[[str, str, int], str] = _untranslated
    decimal_point: str = "."
    group_separator: str = ","


ENGLISH = Speech()
_speech = ENGLISH


def speak(speech: Speech) -> None:
    """Use a language from now on."""
    global _speech
    _speech = speech


def spoken() -> Speech:
    """The language in use."""
    return _speech


def marked(_context: str, text: str) -> str:
    """The text itself, noted for translation: for tables of texts, which `translate` gets later."""
    return text


def translate(context: str, text: str) -> str:
    """A text in the person's language; placeholders are filled afterwards."""
    return _speech.lookup(context, text, ANY_NUMBER)


def translator(context: str) -> Callable[[str], str]:
    """`translate` with the texts of one context: what a module calls ``_tr``."""
    return partial(translate, context)


def plural(context: str, one: str, many: str, count: int) -> str:
    """The form of a text that goes with a count; both have placeholders, which are filled afterwards.

    Languages have one to six forms, chosen by rules that Qt knows; they are translations of `many`.
    """
    text = _speech.lookup(context, many, count)
    return one if count == 1 and text == many else text


def decimal(value: float, digits: int) -> str:
    """``93.8``, or ``93,8``."""
    return _written(f"{value:.{digits}f}")


def short_number(value: float) -> str:
    """``0.15``, ``12``, ``1e-05``: as many digits as it takes, six at most."""
    return _written(f"{value:g}")


def whole(count: int) -> str:
    """``11,900``, in groups of three."""
    return f"{count:,}".replace(",", _speech.group_separator)


def shown_number(text: str) -> str:
    """A number with the point that Python writes, as the person writes it; the inverse of `typed_number`."""
    return _written(text)


def typed_number(text: str) -> str:
    """A typed number, with the point that Python reads."""
    return text if _speech.decimal_point == "." else text.replace(_speech.decimal_point, ".")


def _written(text: str) -> str:
    return text.replace(".", _speech.decimal_point)
