"""How good a LoRA is, in words that need no knowledge of energies.

They speak of weights only. How a picture looks is not known here, and no sentence promises it.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.text.headline import capital_clause, compared_title, rounding_text, unrelated_reason
from app.text.notices import counted, format_bytes, format_share
from app.text.pair import UNRELATED
from app.text.translation import plural, translate, translator, whole
from engine.analysis.exploration import Answer, Exploration, Span
from engine.analysis.quality import SHORT, Level, Quality, Step, layer_share
from engine.results import LayerResult

_tr = translator("quality_words")

NAMED = 3
NOT_ALL = 0.99999
RECOVERED = {
    Level.NEARLY_ALL: (99, 100),
    Level.MOST: (96, 100),
    Level.MUCH: (85, 99),
    Level.PART: (52, 96),
    Level.LITTLE: (13, 91),
}
"""Percent of a task recovered at each level, least and most, in `docs/benchmarks.md`."""
ALIKE, ALIKE_BYTES = 0.01, 1000  # files whose sizes differ by less are as large as each other


@dataclass(frozen=True)
class Link:
    """A word in a line that leads somewhere: to a layer, or to a rank to try."""

    label: str
    layer: str = ""
    rank: int = 0


@dataclass(frozen=True)
class Line:
    """A sentence with places ``{0}``, ``{1}`` for its links."""

    template: str
    links: tuple[Link, ...] = ()

    @property
    def text(self) -> str:
        """The sentence without links."""
        return self.template.format(*(link.label for link in self.links))


def headline(quality: Quality) -> str:
    """How much is kept, in words; where that says little, why."""
    if quality.large_changes.unrelated:
        return translate("messages", UNRELATED)
    if not quality.coverage.enough:
        return compared_title(quality.coverage)
    if quality.all_noise:
        return _tr("Nothing here can be told from rounding")
    return {
        Level.NEARLY_ALL: _tr("Keeps nearly all of the change"),
        Level.MOST: _tr("Keeps most of the change"),
        Level.MUCH: _tr("Keeps much of the change, often enough: try it"),
        Level.PART: _tr("A part of the change is missing, perhaps too much"),
        Level.LITTLE: _tr("Keeps less than half of the change"),
    }[quality.level]


def explanation() -> str:
    """What the figures measure and what they do not."""
    return _tr(
        "The change is the difference between the two models' weights. The share says how much of it the LoRA gives "
        "back; large differences count more. It is measured on weights: how pictures compare, only pictures show."
    )


def experience(quality: Quality) -> str:
    """What trained models recovered of their task with a LoRA of this level; empty where the level says nothing."""
    if quality.all_noise or not quality.speaks:
        return ""
    least, most = RECOVERED[quality.level]
    text = _tr(
        "Small models that were trained to find out recovered {least} to {most} % of what the fine-tune had learned "
        "with LoRAs that keep as much."
    )
    return text.format(least=least, most=most)


def weakest_line(quality: Quality) -> Line | None:
    """Which layers fell short; None where there is none to speak of."""
    if quality.weakest is None or quality.all_noise:
        return None
    if not quality.short:
        text = _tr("Even the weakest layer keeps {share}: {layer}.")
        return Line(
            text.format(share=share_text(layer_share(quality.weakest)), layer="{0}"), (_layer_link(quality.weakest),)
        )
    named = quality.short[:NAMED]
    more = len(quality.short) - len(named)
    places = ", ".join(f"{{{place}}}" for place in range(len(named)))
    if more:
        text = _tr("{count} keep less than {share}: {layers} and {more} more.")
    elif len(named) > 1:
        text = _tr("{count} keep less than {share}: {layers}.")
    else:
        text = _tr("One layer keeps only {least}: {layers}.")
    words = text.format(
        count=counted(len(quality.short), "layer"),
        share=f"{SHORT * 100:.0f} %",
        least=share_text(layer_share(quality.short[0])),
        layers=places,
        more=whole(more),
    )
    return Line(words, tuple(map(_layer_link, named)))


def advice_line(quality: Quality) -> Line | None:
    """What to try next; None where nothing is worth it."""
    advice = quality.advice
    if advice is None:
        return None
    text = {
        Step.HIGHER_RANK: _tr("{rank} would keep {share}, in a file of {size}."),
        Step.HIGHER_LIMIT: _tr("The rank limit of {limit} holds {layers} back. Try a limit of {rank}."),
        Step.SMALLER_RANK: _tr("{rank} would still keep {share}, in a file of only {size}."),
        Step.LARGER_VALUE: _tr("A larger adaptive value keeps more, in a larger file."),
        Step.SMALLER_VALUE: _tr("A smaller adaptive value keeps more, in a larger file."),
        Step.RANK_PER_LAYER: _tr(
            "The type \u201cAdaptive, energy\u201d gives weak layers a higher rank than the others."
        ),
        Step.MORE_PARTS: _tr(
            "{left_out} of the change is in weights that were left out; choose more parts to keep it."
        ),
    }[advice.step]
    label = str(advice.rank) if advice.step is Step.HIGHER_LIMIT else _tr("Rank {rank}").format(rank=advice.rank)
    words = text.format(
        rank="{0}",
        share=span_text(advice.mean) if advice.mean else "",
        size=format_bytes(advice.size_bytes or 0),
        limit=quality.limit,
        layers=counted(quality.capped, "layer"),
        left_out=share_text(quality.left_out_share),
    )
    return Line(words, (Link(label, rank=advice.rank),) if advice.rank else ())


def remarks(quality: Quality) -> tuple[str, ...]:
    """Short remarks about what was decided on the way."""
    limited = quality.capped and (quality.advice is None or quality.advice.step is not Step.HIGHER_LIMIT)
    said = quality.advice is not None and quality.advice.step is Step.MORE_PARTS
    left_out = quality.left_out_share > 0.0005 and not said
    found = (
        (quality.broken, _tr("{layers} with broken values left out"), quality.broken),
        (quality.clamping_cost, _tr("clamping cost {layers} more than 1 %"), quality.clamping_cost),
        (limited, _tr("{layers} cut short by the rank limit"), quality.capped),
        (left_out, _tr("{share} of the change left out"), 0),
        (quality.unchanged, _unchanged(quality.rounded), quality.unchanged),
        (quality.unclamped, _not_clamped(quality.unclamped), quality.unclamped),
        (quality.wider, _tr("{layers} in fp32 to keep precision"), quality.wider),
        (quality.noise is None, _tr("rounding not measured"), 0),
    )
    values = {"share": share_text(quality.left_out_share), "rounded": whole(quality.rounded)}
    return tuple(text.format(layers=counted(count, "layer"), **values) for shown, text, count in found if shown)


def of_what(quality: Quality) -> str:
    """What speaks against the share, or what it does not speak of; empty where there is neither."""
    unrelated = unrelated_reason(quality.large_changes) if quality.large_changes.unrelated else ""
    compared = "" if quality.coverage.complete else capital_clause(quality.mean, quality.coverage)
    return " ".join(text for text in (unrelated, compared, _rounding(quality)) if text)


def _rounding(quality: Quality) -> str:
    """What of the difference is rounding; that the figures leave a doubt where their ends have levels of their own."""
    if quality.noise is None:
        return ""
    interval = quality.noise.real_energy_interval or (0.0, 0.0)
    levels = {Level.of(max(end, quality.mean)) for end in interval}
    return rounding_text(quality.noise, doubtful=interval[0] > quality.mean and len(levels) > 1)


def _unchanged(rounded: int) -> str:
    if rounded:
        return _tr("{layers} did not change, {rounded} of them but for rounding")
    return _tr("{layers} did not change")


def mean_text(quality: Quality) -> str:
    """How much is kept on average: never the whole where a layer lost something."""
    lossless = quality.weakest is None or share_text(quality.weakest.energy_retained) == share_text(1.0)
    return share_text(quality.mean) if lossless else format_share(min(quality.mean, NOT_ALL))


def share_text(share: float) -> str:
    """``93.8 %``; a whole ``100 %``."""
    return "100 %" if share >= 1.0 - 1e-9 else format_share(max(0.0, share))


def span_text(span: Span, *, about: bool = False) -> str:
    """``93.8 %``, or ``91.6 to 94.0 %`` where the ends differ when rounded; `about` says that it is an estimate."""
    low, high = share_text(span.low), share_text(span.high)
    text = _tr("about {share}") if about else "{share}"
    if low == high:
        return text.format(share=low)
    if span.low < 0.999 <= span.high < 1.0:
        high = format_share(0.9989)  # as few digits as the other end, but never the whole
    return text.format(share=_tr("{low} to {high}").format(low=low.removesuffix(" %"), high=high))


def size_text(answer: Answer) -> str:
    """``233 MB``, or ``120 to 140 MB`` where ranks are not known."""
    low, high = format_bytes(answer.size.low), format_bytes(answer.size.high)
    return low if low == high else _tr("{low} to {high}").format(low=low, high=high)


def ranks_and_size(answer: Answer) -> str:
    """``ranks 4 to 32 \u00b7 233 MB``, where the rank is not what was asked for."""
    least, most = int(answer.ranks.min(initial=answer.policy.rank)), int(answer.ranks_high.max(initial=1))
    if answer.policy.lora_type == "standard":
        least = most = answer.policy.rank
    text = _tr("ranks {least} to {most} \u00b7 {size}") if least < most else _tr("rank {most} \u00b7 {size}")
    return text.format(least=least, most=most, size=size_text(answer))


def answer_words(exploration: Exploration, answer: Answer) -> str:
    """One or two short sentences about another choice, beside that of the run."""
    if answer.is_run:
        return _tr("This is what the run wrote.")
    if not answer.mean.exact:
        if answer.policy.lora_type == "standard":
            return _tr("Above rank {rank} only bounds are known.").format(rank=exploration.computed_rank)
        return _tr("It reaches beyond the ranks computed; only bounds are known.")
    now = exploration.at(exploration.policy)
    more = answer.size.high - now.size.high
    text = _tr("As large as the run's file, which keeps {share}.")
    if abs(more) < max(ALIKE_BYTES, ALIKE * now.size.high):
        more = 0
    if more > 0:
        text = _tr("{size} larger than the run's file, which keeps {share}.")
    if more < 0:
        text = _tr("{size} smaller than the run's file, which keeps {share}.")
    sentences = [text.format(size=format_bytes(abs(more)), share=span_text(now.mean))]
    if answer.capped:
        text = _tr("Rank {rank} cuts {layers} short.")
        sentences.append(text.format(layers=counted(answer.capped, "layer"), rank=answer.policy.rank))
    return " ".join(sentences)


def _not_clamped(count: int) -> str:
    return plural(
        "quality_words",
        "{layers} was not clamped: clamping would have cost too much",
        "{layers} were not clamped: clamping would have cost too much",
        count,
    )


def _layer_link(row: LayerResult) -> Link:
    return Link(row.name.removeprefix("diffusion_model.").removesuffix(".weight"), layer=row.name)
