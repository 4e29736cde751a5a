"""What a run says of weights that were made larger or smaller, and how to get their new part."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QApplication

from app.text.language import install_language
from app.text.notices import left_out_text, notice_text
from app.text.translation import ENGLISH, speak
from engine.events import Notice, NoticeCode
from engine.results import LeaveOutReason, LeftOut

NAME = "diffusion_model.conv_in.weight"


def said(grown: dict[str, int], lacking: dict[str, int], *, enlarged: bool = False, offered: bool = False) -> str:
    data: dict[str, Any] = {"grown": grown, "lacking": lacking, "enlarged": enlarged, "offered": offered}
    return notice_text(Notice(NoticeCode.COMMON_PART_PAIRED, NAME, data))


@pytest.mark.parametrize(
    ("grown", "words"),
    [
        ({"rows": 1}, "1 new row is not in the file."),
        ({"rows": 12}, "12 new rows are not in the file."),
        ({"inputs": 5}, "5 new input channels are not in the file."),
        ({"outputs": 1}, "1 new output channel is not in the file."),
        ({"outputs": 6}, "6 new output channels are not in the file."),
    ],
)
def test_what_is_new_and_missing_in_the_file_is_counted(grown: dict[str, int], words: str) -> None:
    text = said(grown, {})
    assert text.startswith(f"{NAME}: {words}")
    assert text.endswith("no way to enlarge it; the fine-tuned model itself has the new part.")


def test_a_program_that_cannot_enlarge_a_weight_is_named() -> None:
    data = {"grown": {"inputs": 5}, "lacking": {}, "enlarged": False, "offered": False, "program": "Forge"}
    text = notice_text(Notice(NoticeCode.COMMON_PART_PAIRED, NAME, data))
    assert text.endswith("Forge has no way to enlarge it; the fine-tuned model itself has the new part.")


def test_how_to_get_the_new_part_is_said_where_there_is_a_way() -> None:
    text = said({"inputs": 5}, {}, offered=True)
    assert "“New weights” (--set-weight)" in text
    assert "ComfyUI" in text


@pytest.mark.parametrize(
    ("grown", "words"),
    [({"inputs": 5}, "5 new input channels are written as they are"), ({"rows": 1}, "1 new row is written as it is")],
)
def test_what_is_written_needs_no_remedy(grown: dict[str, int], words: str) -> None:
    text = said(grown, {}, enlarged=True, offered=True)
    assert words in text
    assert "--set-weight" not in text


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ({"rows": 7}, "7 rows of the original are not in the fine-tuned model and stay as they are"),
        ({"inputs": 1}, "1 input channel of the original is not in the fine-tuned model and stays as it is"),
        ({"outputs": 2}, "2 output channels of the original are not in the fine-tuned model and stay as they are"),
    ],
)
def test_what_was_cut_stays_as_it_is(lacking: dict[str, int], words: str) -> None:
    text = said({}, lacking)
    assert words in text
    assert "enlarge" not in text


@pytest.mark.parametrize(
    "code", [NoticeCode.TAKEN_FOR_CONVOLUTIONS, NoticeCode.EXPERTS_INTERLEAVED, NoticeCode.EXPERTS_SQUARE]
)
def test_doubts_about_experts_name_one_and_count_all(code: NoticeCode) -> None:
    text = notice_text(Notice(code, NAME, {"layers": 3}))
    assert "3 tensors" in text
    assert NAME in text


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ("12 new rows", "12 neue Zeilen"),
        ("1 new input", "1 neuer Eingangskanal"),
        ("6 new outputs, 5 new inputs", "6 neue Ausgangskanäle, 5 neue Eingangskanäle"),
    ],
)
def test_a_new_part_that_is_left_out_is_named_in_the_language_chosen(
    detail: str, words: str, qapp: QApplication
) -> None:
    usual = QLocale()
    install_language(qapp, "de")
    try:
        assert left_out_text(LeftOut(NAME, LeaveOutReason.GROWN_PART, detail)).endswith(f"({words})")
    finally:
        install_language(qapp, "en")
        QLocale.setDefault(usual)
        speak(ENGLISH)
