from dataclasses import replace
from pathlib import Path

import pytest
from fakes import fake_verification

from app.text.noise import measured_noise, measured_real, noise_share_text, real_clause, real_sentences, real_share_text
from app.text.outputs import all_keep
from app.text.verification import quality_text, verification_lines
from engine.results import Coverage, NoiseFigures, OutputFile

SMALL_CHANGE = NoiseFigures(0.19, 0.28, 0.99, (0.96, 1.0), 0.97, 0.81)
ROUNDING_ALONE = NoiseFigures(0.95, 1.0, None, None, None, 0.0)
LARGE_CHANGE = NoiseFigures(0.001, 0.002, 0.938, (0.938, 0.938), 0.938, 1.0)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.00001, "0 %"), (0.0002, "0.02 %"), (0.027, "2.7 %"), (0.19, "19 %"), (1.2, "100 %")],
)
def test_shares_of_rounding_have_the_digits_of_an_estimate(share: float, text: str) -> None:
    assert noise_share_text(share) == text


@pytest.mark.parametrize(("share", "text"), [(-0.2, "0.0 %"), (0.99, "99.0 %"), (0.99999, "100 %"), (1.01, "100 %")])
def test_an_estimate_beyond_the_whole_is_written_as_the_whole(share: float, text: str) -> None:
    assert real_share_text(share) == text


def test_cells_say_what_was_not_measured_and_what_is_all_noise() -> None:
    cells = [(measured_noise(noise), measured_real(noise)) for noise in (None, ROUNDING_ALONE, SMALL_CHANGE)]
    assert cells == [("not measured", "not measured"), ("all noise", "all noise"), ("19 %", "99.0 %")]


def test_the_real_change_comes_first_and_the_plain_share_beside_it() -> None:
    assert real_clause(0.801, SMALL_CHANGE, Coverage()) == (
        "keeps 99.0 % of the real change (80.1 % of the stored difference; 19 % of it is rounding)"
    )
    assert "nothing can be told from rounding" in real_clause(0.3, ROUNDING_ALONE, Coverage())


def test_where_rounding_is_no_part_or_unknown_the_plain_share_is_enough() -> None:
    assert real_clause(0.938, LARGE_CHANGE, Coverage()) == ""
    assert real_clause(0.938, None, Coverage()) == ""


def test_where_not_everything_was_compared_that_is_said_and_not_this() -> None:
    partly = Coverage(compared=80, parameters=100, unmatched=2)
    assert real_clause(0.801, SMALL_CHANGE, partly) == ""


def test_an_interval_without_width_is_not_written() -> None:
    assert "between" not in real_sentences(LARGE_CHANGE)[0]
    assert "between 96.0 % and 100 %" in real_sentences(SMALL_CHANGE)[0]


def test_run_and_verification_speak_of_the_real_change_in_the_same_words() -> None:
    path = Path("a.safetensors")
    output = OutputFile(path, path, "32", "comfyui", 1, 0.801, 0.7, noise=SMALL_CHANGE)
    measured = replace(fake_verification(mean=0.801), noise=SMALL_CHANGE)
    short = "keeps 99.0 % of the real change (80.1 % as stored, 19 % rounding)"
    assert all_keep([output]) == quality_text(measured) == short
    lines = verification_lines(path, measured, None)
    assert any(line.startswith("Keeps 99.0 % of the real change") for line in lines)
    assert any("rounded once" in line for line in lines)
