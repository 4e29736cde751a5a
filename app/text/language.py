"""Which languages the window speaks, and how one is installed. A change takes effect at the next start."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

import resources
from app.text.pseudo_language import PseudoTranslator
from app.text.translation import Speech, marked, speak

FOLDER = Path(resources.__file__).parent / "translations"
FILE_NAME = "lora-extractor_{code}"
QT_FILE_NAME = "qtbase_{code}"
VARIABLE = "LORA_EXTRACTOR_LANGUAGE"
SYSTEM, SOURCE, PSEUDO = "system", "en", "pseudo"


@dataclass(frozen=True)
class Language:
    """A language to choose: its code, and its name in itself."""

    code: str
    name: str

    @property
    def title(self) -> str:
        """The name as the list of languages shows it."""
        return QCoreApplication.translate("language", self.name) if self.code == SYSTEM else self.name


LANGUAGES = (
    Language(SYSTEM, marked("language", "As the system")),
    Language(SOURCE, "English"),
    Language("de", "Deutsch"),
)
"""In the order of the list; the first is what every start begins with."""


def resolved(choice: str, wanted: Sequence[str]) -> str:
    """The code of the language to speak.

    Args:
        choice: what the person chose; anything unknown counts as ``system``.
        wanted: the system's languages, best first, such as ``de-AT``.
    """
    codes = [language.code for language in LANGUAGES if language.code != SYSTEM]
    if choice in (*codes, PSEUDO):
        return choice
    bases = (name.replace("_", "-").partition("-")[0].lower() for name in wanted)
    return next((base for base in bases if base in codes), SOURCE)


def install_language(application: QCoreApplication, choice: str = SYSTEM) -> str:
    """Speak a language from now on; call it before the first window is made.

    The environment variable ``LORA_EXTRACTOR_LANGUAGE`` overrides the choice; it also takes ``pseudo``, in which every
    text that can be translated looks strange and is longer, so that those which cannot stand out.

    Returns:
        The code of the language.
    """
    system = QLocale.system()
    code = resolved(os.environ.get(VARIABLE, "").strip().lower() or choice, system.uiLanguages())
    for old in application.findChildren(QTranslator):
        application.removeTranslator(old)
        old.deleteLater()
    for translator in _translators(application, code):
        application.installTranslator(translator)
    locale = _locale(code, system)
    QLocale.setDefault(locale)
    speak(Speech(_lookup, locale.decimalPoint(), locale.groupSeparator()))
    return code


def _translators(application: QCoreApplication, code: str) -> list[QTranslator]:
    """Qt's own texts first: what is installed later is asked first."""
    if code == PSEUDO:
        return [PseudoTranslator(application)]
    if code == SOURCE:
        return []
    qt_folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    files = ((QT_FILE_NAME, qt_folder), (FILE_NAME, str(FOLDER)))
    translators = []
    for name, folder in files:
        translator = QTranslator(application)
        if translator.load(name.format(code=code), folder):
            translators.append(translator)
    return translators


def _locale(code: str, system: QLocale) -> QLocale:
    """How numbers are written: as the system does where it speaks the same language, so that Swiss points stay."""
    locale = QLocale(SOURCE if code == PSEUDO else code)
    return system if system.language() == locale.language() else locale


def _lookup(context: str, text: str, count: int) -> str:
    return QCoreApplication.translate(context, text, None, count)
