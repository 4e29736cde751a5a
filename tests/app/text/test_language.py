"""The window in other languages: German, and one for tests that shows which texts cannot be translated."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale, QObject, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QGroupBox,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QTabBar,
    QTableView,
    QTabWidget,
    QWidget,
)
from pytestqt.qtbot import QtBot
from window_steps import Pair, run_to_end

from app.parameters import field_specs
from app.text.errors import error_text
from app.text.language import LANGUAGES, PSEUDO, VARIABLE, install_language, resolved
from app.text.notices import counted, format_bytes, format_moment, format_seconds, format_share
from app.text.pseudo_language import END, START, PseudoTranslator, pseudo
from app.text.translation import ENGLISH, plural, short_number, speak, typed_number, whole
from app.widgets.basics.basics import ElidedLabel
from app.widgets.basics.fields import TextEditor
from app.window.main_window import MainWindow
from engine.errors import EngineError, ErrorCode
from engine.settings import ExtractionSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "docs"))

from translatable_texts import find_texts

Speak = Callable[[str], str]
WindowMaker = Callable[..., MainWindow]
# Names of products, models, formats, devices and keys, numbers with units, and paths: the same in every language.
SAME_EVERYWHERE = re.compile(
    r"LoRA(?: Extractor)?|ComfyUI|Forge|A1111|InvokeAI|Kohya|[dD]iffusers|PEFT|vLLM|"
    r"Flux\.1|NVIDIA RTX 4090|fp16|fp32|bf16|auto|all|cpu|cuda:\d|mps|xpu|"
    r"\S*\.(?:safetensors|json)\S*|\bsafetensors\b|(?:[A-Za-z]:)?[/\\]\S+|\d[\d.,]*\s?(?:bytes|kB|MB|GB|TB|GiB|ms|s|min|h|%)|"
    r"svd_lin\w+|loras/\S+|test_\w+|\b(?:Ctrl|Shift|Alt|Del|Esc|Return|Enter|F\d+)\b(?:\+\w+)*|"
    r"(?:diffusion_model\.)?blocks\.\d+\.[\w.]+"
)
INNERMOST = re.compile(r"\[!! (?:(?!\[!!|!!\]).)*!!\]", re.DOTALL)


@pytest.fixture
def speaking(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> Iterator[Speak]:
    """Installs a language for one test."""
    monkeypatch.delenv(VARIABLE, raising=False)
    usual = QLocale()

    def install(choice: str) -> str:
        return install_language(qapp, choice)

    yield install
    install_language(qapp, "en")
    QLocale.setDefault(usual)
    speak(ENGLISH)


@pytest.mark.parametrize(
    ("choice", "system", "code"),
    [
        ("system", ["de-AT", "de", "en"], "de"),
        ("system", ["de_CH.UTF-8"], "de"),
        ("system", ["fr-FR", "de-DE"], "de"),
        ("system", ["fr-FR", "ja"], "en"),
        ("system", [], "en"),
        ("en", ["de-DE"], "en"),
        ("de", ["en-US"], "de"),
        ("pseudo", ["de-DE"], "pseudo"),
        ("a language of tomorrow", ["de-DE"], "de"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_best_that_the_system_asks_for(
    choice: str, system: list[str], code: str
) -> None:
    assert resolved(choice, system) == code


def test_languages_are_listed_by_their_own_names(speaking: Speak) -> None:
    speaking("de")
    assert [language.title for language in LANGUAGES] == ["Wie das System", "English", "Deutsch"]


def test_the_environment_overrides_the_choice(speaking: Speak, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "de")
    assert speaking("en") == "de"
    monkeypatch.setenv(VARIABLE, "klingon")
    assert speaking("en") == "en"


def test_english_comes_back_after_german(speaking: Speak) -> None:
    speaking("de")
    assert counted(2, "layer") == "2 Schichten"
    speaking("en")
    assert counted(2, "layer") == "2 layers"
    assert format_share(0.938) == "93.8 %"


def test_numbers_are_written_as_the_language_writes_them(speaking: Speak) -> None:
    speaking("de")
    german = QLocale(QLocale.Language.German)
    assert format_share(0.938) == f"{german.toString(93.8, 'f', 1)} %" == "93,8 %"
    assert format_bytes(22.2e9) == f"{german.toString(22.2, 'f', 1)} GB"
    assert whole(11_900) == german.toString(11_900)
    assert short_number(0.15) == german.toString(0.15)
    assert format_seconds(0.4) == "0,4 s"
    assert typed_number("0,001") == "0.001"


def test_german_has_its_own_plural_forms_and_dates(speaking: Speak) -> None:
    speaking("de")
    assert [counted(count, "block") for count in (0, 1, 2)] == ["0 Bl\u00f6cke", "1 Block", "2 Bl\u00f6cke"]
    assert format_moment("2026-03-24T14:03:00").startswith("24. M\u00e4rz 2026")


def test_without_a_language_english_has_two_forms() -> None:
    forms = [plural("counted", "{count} layer", "{count} layers", count).format(count=count) for count in (0, 1, 2)]
    assert forms == ["0 layers", "1 layer", "2 layers"]


def test_errors_are_told_in_german_with_what_they_speak_of(speaking: Speak) -> None:
    speaking("de")
    error = EngineError(ErrorCode.DISK_FULL, file="/lora", needed=2_500_000_000, free=1_000_000)
    message, _remedy = error_text(error)
    assert "2,5 GB" in message
    assert "/lora" in message
    assert "needs" not in message


def test_qts_own_buttons_speak_the_language_too(qtbot: QtBot, speaking: Speak) -> None:
    speaking("de")
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
    qtbot.addWidget(box)
    assert box.button(QDialogButtonBox.StandardButton.Cancel).text().replace("&", "") == "Abbrechen"


def test_a_number_may_be_typed_with_the_comma_of_the_language(qtbot: QtBot, speaking: Speak) -> None:
    speaking("de")
    spec = next(spec for spec in field_specs(ExtractionSettings) if spec.name == "min_change")
    editor = TextEditor(spec)
    qtbot.addWidget(editor)
    editor.set_value(0.25)
    shown = editor.findChild(QLineEdit)
    assert shown.text() == "0,25"
    shown.setText("0,125")
    assert ExtractionSettings(min_change=editor.value()).min_change == 0.125


def test_the_pseudo_language_keeps_what_programs_need_and_is_a_third_longer() -> None:
    strange = pseudo("Keeps {mean:.1f} of <b>the</b> &change && more\nthan that")
    for kept in ("{mean:.1f}", "<b>", "</b>", "&\u00e7", "&&", "\n"):
        assert kept in strange
    text = "A text of forty letters, as they often are"
    assert 1.3 * len(text) < len(pseudo(text).removeprefix(START).removesuffix(END)) < 1.6 * len(text)
    assert "e" not in pseudo("eeee").removeprefix(START).removesuffix(" one !!]")


def bare(text: str) -> str:
    """What of a text did not come through the translator, without names and numbers."""
    while INNERMOST.search(text):
        text = INNERMOST.sub("", text)
    return "".join(re.findall(r"[^\W\d_]{2,}", SAME_EVERYWHERE.sub("", text)))


def texts_of(widget: QWidget) -> Iterator[str]:
    if isinstance(widget.parentWidget(), QTabBar):
        return  # Qt's own buttons to scroll with
    yield from (widget.toolTip(), widget.accessibleName(), widget.accessibleDescription())
    if isinstance(widget, (QLabel, QAbstractButton)):
        yield widget.text()
    if isinstance(widget, (QGroupBox, QMenu)):
        yield widget.title()
    if isinstance(widget, QLineEdit):
        yield widget.placeholderText()
    if isinstance(widget, QComboBox):
        yield from (widget.itemText(index) for index in range(widget.count()))
    if isinstance(widget, QTabWidget):
        yield from (widget.tabText(index) for index in range(widget.count()))
    if isinstance(widget, QTableView) and widget.model() is not None:
        columns = range(widget.model().columnCount())
        yield from (str(widget.model().headerData(column, Qt.Orientation.Horizontal) or "") for column in columns)


def bases_of_ours() -> dict[str, set[str]]:
    """The classes that a class of ours takes texts from: `tr` asks for the class of the object first."""
    classes, found = [QObject], {}
    for kind in classes:
        classes += kind.__subclasses__()
        if kind.__module__.startswith("app."):
            found[kind.__name__] = {base.__name__ for base in kind.__mro__[1:]}
    return found


def test_every_text_of_the_window_comes_from_the_translator(
    qtbot: QtBot, qapp: QApplication, make_window: WindowMaker, pair: Pair, speaking: Speak
) -> None:
    speaking(PSEUDO)
    window = make_window()
    empty = {text for widget in window.findChildren(QWidget) for text in texts_of(widget) if bare(text)}
    window.frame.options.show_more(True)
    window.frame.hardware.show_more(True)
    run_to_end(qtbot, window, pair)
    full = {text for widget in window.findChildren(QWidget) for text in texts_of(widget) if bare(text)}
    actions = {text for action in window.findChildren(QAction) for text in (action.text(), action.toolTip())}
    assert (empty | full | {text for text in actions if bare(text)}) == set()
    log = window.frame.run.log.as_text().splitlines()
    assert [line for line in log if START.strip() not in line] == []
    (translator,) = qapp.findChildren(PseudoTranslator)
    known = {(text.context, text.source) for text in find_texts().texts}
    contexts = {context for context, _source in known}  # a library's own texts are not ours to translate
    asked = {(context, source) for context, source in translator.asked if context in contexts and bare(source)}
    inherited = {(name, source) for name, bases in bases_of_ours().items() for base, source in known if base in bases}
    assert asked - known - inherited == set()
    assert len(translator.asked) > 250


def cut_off(window: MainWindow) -> list[str]:
    """Texts that do not fit into their place and cannot be read in another way."""
    found = []
    for widget in window.findChildren(QWidget):
        if not widget.isVisible() or isinstance(widget, ElidedLabel):
            continue
        if isinstance(widget, QLabel) and widget.wordWrap():
            short = widget.height() + 1 < widget.heightForWidth(widget.width())
        elif isinstance(widget, (QLabel, QPushButton, QCheckBox)):
            short = widget.width() + 1 < widget.sizeHint().width()
        else:
            continue
        if short and widget.text():
            found.append(f"{type(widget.parentWidget()).__name__}: {widget.text()} ({widget.width()} px)")
    return found


@pytest.mark.parametrize("language", ["en", "de"])
def test_nothing_is_cut_off_at_the_usual_size(
    qtbot: QtBot, make_window: WindowMaker, pair: Pair, speaking: Speak, language: str
) -> None:
    speaking(language)
    window = make_window()
    window.resize(1280, 800)
    qtbot.waitExposed(window)
    assert cut_off(window) == []
    run_to_end(qtbot, window, pair)
    window.frame.options.show_more(True)
    window.frame.hardware.show_more(True)
    for tab in range(window.frame.tabs.count()):
        window.frame.tabs.setCurrentIndex(tab)
        qtbot.waitUntil(lambda: cut_off(window) == [])  # an answer that has just come is laid out by the next events


@pytest.mark.parametrize("language", ["en", "de"])
def test_no_two_entries_of_a_menu_share_a_mnemonic(make_window: WindowMaker, speaking: Speak, language: str) -> None:
    speaking(language)
    window = make_window()
    menus = [menu for menu in window.menuBar().findChildren(QMenu) if menu.title()]
    assert len(menus) >= 4
    groups = [window.menuBar().actions(), *(menu.actions() for menu in menus)]
    for actions in groups:
        texts = [action.text() for action in actions if action.text()]
        letters = [letter.lower() for text in texts for letter in re.findall(r"&(\w)", text.replace("&&", ""))]
        assert len(letters) == len(set(letters)), texts
