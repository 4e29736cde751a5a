"""Remarks as people read them."""

from __future__ import annotations

import pytest

from app.text.notices import notice_text
from engine.events import Notice, NoticeCode


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (NoticeCode.LARGE_CHANGE, "1,200 of 1,786 layers"),
        (NoticeCode.COMPARED_ROUNDED, "1,200 layers of 1,786 in bf16"),
    ],
)
def test_large_numbers_are_grouped_on_both_sides_of_a_share(code: NoticeCode, words: str) -> None:
    data = {"layers": 1200, "of": 1786, "finetuned": "bf16", "original": "fp32"}
    assert words in notice_text(Notice(code, "a.weight", data))
