"""What a sample of two models, their names, headers and dates say of the pair, in words."""

from __future__ import annotations

from dataclasses import dataclass

from app.text.notices import format_bytes
from app.text.translation import decimal, marked, plural, translate, translator, whole
from engine.analysis.pair_verdict import PairSample, PairVerdict
from engine.planning.pair_order import OrderEvidence, OrderReason, PairOrder

CONTEXT = "pair"
_tr = translator("pair")

UNRELATED = marked("messages", "These two are probably not a model and its original")

_TITLES = {
    # in very few words, for the head of a card
    PairVerdict.UNRELATED: marked("pair", "Probably unrelated"),
    PairVerdict.IDENTICAL: marked("pair", "No difference found"),
    PairVerdict.NEARLY_IDENTICAL: marked("pair", "Nearly identical"),
}
_EVIDENCE = {
    OrderReason.NAMES_ITS_BASE: marked("pair", "{name} says that it was made from {other} ({detail})"),
    OrderReason.TRAINING_METADATA: marked(
        "pair", "{name} has what a trainer leaves behind ({detail}), {other} has not"
    ),
    OrderReason.HEADER_DATES: marked("pair", "by its header {name} was made after {other}"),
    OrderReason.NAMES: marked("pair", "{name} is named like a model made from {other}"),
    OrderReason.BASE_NAME: marked("pair", "{other} is named like an original"),
    OrderReason.STEPS: marked("pair", "{name} is a later step of the training than {other}"),
    OrderReason.WIDER_NUMBERS: marked("pair", "{other} is stored in wider numbers than {name}"),
    OrderReason.FILE_DATES: marked("pair", "the file of {name} is newer"),
}


@dataclass(frozen=True)
class Finding:
    """What should be known of a pair before the start.

    Attributes:
        title: in very few words.
        line: in one line.
        text: with its reason and what to do.
        alarm: whether a LoRA of this pair is probably worth nothing.
    """

    title: str
    line: str
    text: str
    alarm: bool = False


def unrelated(sample: PairSample | None, known: str) -> Finding | None:
    """That the two do not belong together, by a finished run's own words or else by a sample; None where they do."""
    if not known and (sample is None or sample.verdict is not PairVerdict.UNRELATED):
        return None
    title, line = translate(CONTEXT, _TITLES[PairVerdict.UNRELATED]), translate("messages", UNRELATED)
    return Finding(title, line, known or (sample_text(sample) if sample is not None else ""), alarm=True)


def wrong_way_round(order: PairOrder | None) -> Finding | None:
    """That the two are probably the wrong way round; None where nothing says so."""
    if order is None or not order.swapped:
        return None
    line = _tr("These two may be the wrong way round")
    return Finding(_tr("Wrong way round?"), line, f"{order_text(order)} {order_consequence()}")


def hardly_changed(sample: PairSample | None) -> Finding | None:
    """That there is nothing or hardly anything to extract; None where there is."""
    if sample is None or sample.verdict not in (PairVerdict.IDENTICAL, PairVerdict.NEARLY_IDENTICAL):
        return None
    title = translate(CONTEXT, _TITLES[sample.verdict])
    line = _tr("No difference found between the two models")
    if sample.verdict is PairVerdict.NEARLY_IDENTICAL:
        line = _tr("The two models are nearly identical")
    return Finding(title, line, sample_text(sample))


def percent(share: float) -> str:
    """``1.2 %``, ``0.034 %``: two digits that count."""
    value = 100 * share
    if 0 < value < 0.001:
        return _tr("less than {share}").format(share=f"{decimal(0.001, 3)} %")
    digits = 0 if value >= 10 or value == 0 else 1 if value >= 1 else 2 if value >= 0.1 else 3
    return f"{decimal(value, digits)} %"


def change_text(sample: PairSample) -> str:
    """How much changed, in a few words."""
    text = _tr("changed by about {share}")
    if sample.whole:
        text = _tr("changed by {share}")
    return text.format(share=percent(sample.relative_change))


def sample_text(sample: PairSample) -> str:
    """What the sample says and what to do, in one or two sentences."""
    match sample.verdict:
        case PairVerdict.UNRELATED:
            return _unrelated(sample)
        case PairVerdict.IDENTICAL:
            return _identical(sample)
        case PairVerdict.NEARLY_IDENTICAL:
            return _nearly_identical(sample)
    text = _tr("The weights changed by about {share}, as those of a model and its original do.")
    return text.format(share=percent(sample.relative_change))


def looked_at(sample: PairSample) -> str:
    """Of how much the sample speaks."""
    text = _tr("Looked at: some rows of {layers} of {of} layers, {size} of both models.")
    if sample.whole:
        text = _tr("Looked at: all of the {of} layers, {size} of both models.")
    return text.format(layers=whole(sample.layers), of=whole(sample.of), size=format_bytes(sample.read_bytes))


def order_text(order: PairOrder) -> str:
    """That two models may be the wrong way round, with the surest evidence; empty where they are not."""
    if not order.swapped:
        return ""
    text = _tr("These two may be the wrong way round: {evidence}.")
    return text.format(evidence=evidence_text(order.against[0]))


def order_lines(order: PairOrder) -> list[str]:
    """All evidence for that, a line each."""
    return [f"{text[:1].upper()}{text[1:]}." for text in map(evidence_text, order.against)]


def order_consequence() -> str:
    """Why the order matters."""
    return _tr("The wrong way round a LoRA takes the training away, with figures that look as good.")


def evidence_text(evidence: OrderEvidence) -> str:
    """One thing that speaks for an order, as a clause."""
    text = translate(CONTEXT, _EVIDENCE[evidence.reason])
    return text.format(name=evidence.name, other=evidence.other, detail=evidence.detail)


def _unrelated(sample: PairSample) -> str:
    text = _tr(
        "{title}: {count} of {of} layers looked at changed by more than half of their weight. \u201cFind\u2026\u201d "
        "(find-original) looks for the one it was made from."
    )
    title = translate("messages", UNRELATED)
    return text.format(title=title, count=whole(sample.large.layers), of=whole(sample.large.of))


def _identical(sample: PairSample) -> str:
    remedy = _tr("Choose another model: one of these may be a copy of the other.")
    if sample.whole:
        text = _tr("The two models are the same: there is nothing to extract. {remedy}")
        if sample.rounded:
            text = _tr("The two models are the same but for rounding: there is nothing to extract. {remedy}")
    else:
        text = plural(
            CONTEXT,
            "The {count} layer looked at is the same in both models: there is probably nothing to extract. {remedy}",
            "The {count} layers looked at are the same in both models: there is probably nothing to extract. {remedy}",
            sample.layers,
        )
        if sample.rounded:
            text = plural(
                CONTEXT,
                "The {count} layer looked at is the same in both models but for rounding: there is probably nothing to "
                "extract. {remedy}",
                "The {count} layers looked at are the same in both models but for rounding: there is probably nothing "
                "to extract. {remedy}",
                sample.layers,
            )
    return text.format(count=whole(sample.layers), remedy=remedy)


def _nearly_identical(sample: PairSample) -> str:
    if sample.few_layers:
        text = plural(
            CONTEXT,
            "Nearly identical: of {of} layers looked at only {count} differs.",
            "Nearly identical: of {of} layers looked at only {count} differ.",
            sample.changed,
        )
        return text.format(count=whole(sample.changed), of=whole(sample.layers))
    text = _tr(
        "Nearly identical: a change of {share} is hardly more than what rounding to the stored numbers gives. "
        "In finer numbers the two would show more of it."
    )
    return text.format(share=percent(sample.relative_change))
