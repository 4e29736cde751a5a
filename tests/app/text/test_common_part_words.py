"""What a run says of weights that were made larger or smaller, and how to get their new part."""

from __future__ import annotations

from typing import Any

import pytest

from app.text.notices import notice_text
from engine.events import Notice, NoticeCode

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
    assert text.endswith("The chosen format has no way to enlarge it.")


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
