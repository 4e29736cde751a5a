"""What a sample of two models and their order say in words, with how much was looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pair_samples import RELATED as MODEL_AND_ORIGINAL

from app.text.pair import (
    change_text,
    evidence_text,
    hardly_changed,
    looked_at,
    order_text,
    percent,
    sample_text,
    unrelated,
    wrong_way_round,
)
from engine.analysis.pair_verdict import PairSample, PairVerdict
from engine.planning.pair_order import OrderEvidence, OrderReason, PairOrder
from engine.results import LargeChange

RELATED = replace(MODEL_AND_ORIGINAL, of=1304)
COPY = replace(RELATED, relative_change=0.0, changed=0, kinds_changed=False, rounding_share=None)
FEW = replace(RELATED, relative_change=0.0004, changed=2, kinds_changed=False)
LOST = replace(RELATED, relative_change=0.0004, rounding_share=7.0)
STRANGERS = replace(RELATED, relative_change=1.4, large=LargeChange(90, 96))


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (RELATED, "The weights changed by about 1.2 %"),
        (STRANGERS, "These two are probably not a model and its original: 90 of 96 layers looked at changed by more"),
        (COPY, "The 96 layers looked at are the same in both models: there is probably nothing to extract. Choose"),
        (replace(COPY, layers=1), "The 1 layer looked at is the same in both models"),
        (replace(COPY, rounded=96), "The 96 layers looked at are the same in both models but for rounding: "),
        (replace(COPY, whole=True), "The two models are the same: there is nothing to extract."),
        (replace(COPY, whole=True, rounded=2), "The two models are the same but for rounding: there is nothing"),
        (FEW, "Nearly identical: of 96 layers looked at only 2 differ."),
        (replace(FEW, changed=1), "Nearly identical: of 96 layers looked at only 1 differs."),
        (LOST, "Nearly identical: a change of 0.040 % is hardly more than what rounding to the stored numbers gives."),
    ],
)
def test_every_verdict_has_its_words(sample: PairSample, words: str) -> None:
    assert sample_text(sample).startswith(words)


@pytest.mark.parametrize(
    ("sample", "verdict"),
    [
        (RELATED, PairVerdict.RELATED),
        (STRANGERS, PairVerdict.UNRELATED),
        (COPY, PairVerdict.IDENTICAL),
        (FEW, PairVerdict.NEARLY_IDENTICAL),
        (LOST, PairVerdict.NEARLY_IDENTICAL),
        (replace(FEW, kinds_changed=True), PairVerdict.RELATED),
    ],
)
def test_a_warning_is_found_where_the_verdict_gives_reason(sample: PairSample, verdict: PairVerdict) -> None:
    assert sample.verdict is verdict
    assert (unrelated(sample, "") is not None) == (verdict is PairVerdict.UNRELATED)
    hardly = (PairVerdict.IDENTICAL, PairVerdict.NEARLY_IDENTICAL)
    assert (hardly_changed(sample) is not None) == (verdict in hardly)


def test_what_a_run_found_is_said_in_place_of_the_sample() -> None:
    found = unrelated(RELATED, "What the run found.")
    assert found is not None
    assert (found.text, found.alarm) == ("What the run found.", True)


def test_the_sample_says_how_much_it_looked_at() -> None:
    assert looked_at(RELATED) == "Looked at: some rows of 96 of 1,304 layers, 3.0 MB of both models."
    whole = replace(RELATED, whole=True, layers=1304)
    assert looked_at(whole) == "Looked at: all of the 1,304 layers, 3.0 MB of both models."
    assert (change_text(RELATED), change_text(whole)) == ("changed by about 1.2 %", "changed by 1.2 %")


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.41, "141 %"), (0.1234, "12 %"), (0.0123, "1.2 %"), (0.00123, "0.12 %"), (0.00034, "0.034 %"), (0.0, "0 %"),
     (1e-7, "less than 0.001 %")],
)  # fmt: skip
def test_shares_have_two_digits_that_count(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize("reason", OrderReason)
def test_every_evidence_names_a_model_and_stands_in_the_warning_where_it_is_sure_enough(reason: OrderReason) -> None:
    evidence = OrderEvidence(reason, "likely", True, "my_tune", "sdxl_base", "ss_steps")
    assert "my_tune" in evidence_text(evidence) or "sdxl_base" in evidence_text(evidence)
    order = PairOrder((evidence,))
    assert order_text(order) == f"These two may be the wrong way round: {evidence_text(evidence)}."
    found = wrong_way_round(order)
    assert found is not None
    assert not found.alarm
    assert wrong_way_round(PairOrder((replace(evidence, sure="weak"),))) is None
    assert order_text(PairOrder((replace(evidence, swapped=False),))) == ""
