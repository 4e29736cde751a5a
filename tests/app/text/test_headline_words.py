"""The sentence on how much a LoRA keeps: what it does not speak of stands in it, in either language."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QApplication

from app.text.headline import (
    absent_sentences,
    before_the_start,
    coverage_warning,
    kept_clause,
    kept_sentence,
    kept_so_far,
)
from app.text.language import install_language
from app.text.left_out import group_left_out, left_out_lines, parameters_text
from app.text.translation import ENGLISH, speak
from engine.results import Coverage, LeaveOutReason, LeftOut

WHOLE = Coverage(compared=100, parameters=100, blocks=4)
SOME = Coverage(compared=88, parameters=97, new_rows=12, unmatched=3)
LITTLE = Coverage(compared=12, parameters=100, unmatched=24, missing=24, blocks=6, unmatched_blocks=("b.0", "b.1"))
HALF = Coverage(compared=50, parameters=100, missing=46, blocks=6, unmatched_blocks=("b.4",))
BLOCK = Coverage(compared=99, parameters=100, unmatched=5, blocks=6, unmatched_blocks=("b.5",))
ONE = Coverage(compared=99, parameters=100, unmatched=1)


@pytest.fixture
def german(qapp: QApplication) -> Iterator[None]:
    usual = QLocale()
    install_language(qapp, "de")
    yield
    install_language(qapp, "en")
    QLocale.setDefault(usual)
    speak(ENGLISH)


@pytest.mark.parametrize(
    ("coverage", "clause"),
    [
        (WHOLE, "keeps 94.0 % of the change"),
        (
            SOME,
            "keeps 94.0 % of what could be compared (90.7 % of the parameters); "
            "12 new rows and 3 weights are not in the file",
        ),
        (ONE, "keeps 94.0 % of what could be compared (99.0 % of the parameters); 1 weight is not in the file"),
        (
            LITTLE,
            "covers only 12.0 % of the parameters and keeps 94.0 % of their change; "
            "24 weights (2 whole blocks) are not in the file",
        ),
        (
            HALF,
            "covers only 50.0 % of the parameters and keeps 94.0 % of their change; "
            "46 weights (1 whole block) of the original have no counterpart",
        ),
        (
            BLOCK,
            "keeps 94.0 % of what could be compared (99.0 % of the parameters); "
            "5 weights (1 whole block) are not in the file",
        ),
    ],
)
def test_the_clause(coverage: Coverage, clause: str) -> None:
    assert kept_clause(0.94, coverage) == clause


def test_rows_channels_and_weights_are_listed_together() -> None:
    coverage = Coverage(compared=99, parameters=100, new_rows=1, new_channels=5, unmatched=2)
    assert kept_clause(0.5, coverage).endswith("; 1 new row, 5 new input channels and 2 weights are not in the file")


def test_the_weakest_layer_is_named_where_there_is_room_for_it() -> None:
    assert kept_sentence(0.94, 0.8, WHOLE) == "keeps 94.0 % of the change, 80.0 % in the weakest layer"
    assert kept_sentence(0.94, 0.8, LITTLE) == kept_clause(0.94, LITTLE)


@pytest.mark.parametrize("coverage", [SOME, LITTLE, HALF, BLOCK, ONE])
def test_a_share_of_a_part_never_reads_as_one_of_the_change(coverage: Coverage) -> None:
    for text in (kept_clause(0.94, coverage), kept_so_far(0.94, coverage)):
        assert "of the change" not in text


@pytest.mark.parametrize(("coverage", "share"), [(LITTLE, "12.0 %"), (HALF, "50.0 %")])
def test_where_little_is_covered_that_comes_before_the_share_that_is_kept(coverage: Coverage, share: str) -> None:
    for text in (kept_clause(0.94, coverage), kept_so_far(0.94, coverage)):
        assert text.index(share) < text.index("94.0 %")


def test_a_warning_is_there_exactly_where_little_or_no_whole_block_is_compared() -> None:
    assert [bool(coverage_warning(item)) for item in (WHOLE, SOME, ONE, LITTLE, HALF, BLOCK)] == [False] * 3 + [
        True
    ] * 3


def test_the_warning_names_blocks_and_both_sides() -> None:
    assert coverage_warning(LITTLE) == (
        "Only 12.0 % of the parameters can be compared. 24 weights of the fine-tuned model have no counterpart. "
        "24 weights of the original have no counterpart. 2 of 6 blocks do not match: b.0, b.1. "
        "Do these two models belong together, and is each of them complete?"
    )
    assert coverage_warning(BLOCK).startswith("1 whole block cannot be compared. 5 weights of the fine-tuned model")


def test_what_is_missing_is_said_before_the_start_too() -> None:
    assert before_the_start(WHOLE) == []
    assert before_the_start(SOME)[0] == "12 new rows and 3 weights are not in the file."
    assert before_the_start(LITTLE)[-1] == coverage_warning(LITTLE)


def test_a_part_that_one_model_lacks_is_named() -> None:
    coverage = Coverage(absent_parts=(("text_encoders.t5xxl", "finetuned"), ("vae", "original")))
    assert absent_sentences(coverage) == [
        "The fine-tuned model has no text encoder t5xxl: it is not compared.",
        "The original has no VAE: it is not compared.",
    ]


@pytest.mark.parametrize(
    ("coverage", "clause"),
    [
        (WHOLE, "erhält 94,0 % der Änderung"),
        (
            SOME,
            "erhält 94,0 % des Vergleichbaren (90,7 % der Parameter); "
            "12 neue Zeilen und 3 Gewichte fehlen in der Datei",
        ),
        (ONE, "erhält 94,0 % des Vergleichbaren (99,0 % der Parameter); 1 Gewicht fehlt in der Datei"),
        (
            BLOCK,
            "erhält 94,0 % des Vergleichbaren (99,0 % der Parameter); 5 Gewichte (1 ganzer Block) fehlen in der Datei",
        ),
    ],
)
def test_the_clause_in_german(german: None, coverage: Coverage, clause: str) -> None:
    assert kept_clause(0.94, coverage) == clause


def left_out(*names: str, reason: LeaveOutReason = LeaveOutReason.ONLY_FINETUNED, numel: int = 10) -> list[LeftOut]:
    return [LeftOut(name, reason, numel=numel) for name in names]


def test_names_that_differ_in_numbers_alone_are_one_group() -> None:
    items = left_out(*(f"blocks.{number}.attn.q.weight" for number in range(12)), "head.weight")
    groups = group_left_out(items)
    assert [(group.pattern, len(group.items), group.numel) for group in groups] == [
        ("blocks.*.attn.q.weight", 12, 120),
        ("head.weight", 1, 10),
    ]


def test_many_kinds_of_names_are_put_together_by_their_stack() -> None:
    items = left_out(*(f"blocks.{number}.{kind}.weight" for number in range(4) for kind in "abcdefgh"))
    assert [(group.pattern, len(group.items)) for group in group_left_out(items)] == [("blocks.*", 32)]


def test_reasons_are_never_put_together_and_the_lines_count_everything() -> None:
    words = [f"word{letter}{other}" for letter in "abcdefgh" for other in "abcdefgh"]
    items = [
        item
        for reason in LeaveOutReason
        for item in left_out(*(f"{word}.{reason.value}.weight" for word in words), reason=reason)
    ]
    lines = left_out_lines(items)
    assert len(lines) == 10
    assert sum(int(line.split("\u00b7")[1].split(" tensors")[0].replace(",", "")) for line in lines[:-1]) == 64 * 9
    assert lines[-1].startswith(f"and more: {64 * (len(LeaveOutReason) - 9):,} tensors")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 parameter"),
        (1440, "1,440 parameters"),
        (4_718_592, "4.7 million parameters"),
        (145_000_000, "145 million parameters"),
        (11_900_000_000, "11.9 billion parameters"),
    ],
)
def test_numbers_of_parameters(count: int, words: str) -> None:
    assert parameters_text(count) == words


def test_weights_that_are_smaller_are_not_said_to_have_no_counterpart() -> None:
    shrunk = Coverage(compared=97, parameters=100, smaller=2, blocks=2)
    words = "2 weights of the original are larger than the fine-tuned model's"
    assert kept_clause(0.94, shrunk).endswith(f"; {words}")
    assert before_the_start(shrunk)[0] == f"{words}."
