"""How much of the change a LoRA keeps, said together with what that figure does not speak of.

Everything that tells how good a LoRA is takes its sentence from here: the command line, the window, the queue, and
desktop notifications.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from app.text.notices import counted, format_share, notice_text
from app.text.translation import plural, translator, whole
from engine.events import Notice, NoticeCode
from engine.results import ENOUGH_COMPARED, Coverage, LargeChange, NoiseFigures

CONTEXT = "headline"
_tr = translator("headline")
_BLOCKS_NAMED = 3
NOISE_MATTERS = 0.02
"""From this share of rounding in a difference on it is spoken of."""


def kept_clause(mean: float, coverage: Coverage) -> str:
    """What a LoRA keeps, as a clause that follows its name: ``keeps 94.0 % of the change``.

    Where not everything could be compared it says of how much it speaks and what is not in the file. Where it speaks of
    little, that comes first, so that a line that is cut off never ends behind the share.

    Args:
        mean: share of the change kept.
        coverage: what the share speaks of.
    """
    if coverage.complete:
        return _tr("keeps {mean} of the change").format(mean=format_share(mean))
    text = _tr("keeps {mean} of what could be compared ({share} of the parameters)")
    if coverage.share < ENOUGH_COMPARED:
        text = _tr("covers only {share} of the parameters and keeps {mean} of their change")
    clause = text.format(mean=format_share(mean), share=format_share(coverage.share))
    rest = not_in_file(coverage)
    return _tr("{clause}; {rest}").format(clause=clause, rest=rest) if rest else clause


def capital_clause(mean: float, coverage: Coverage) -> str:
    """The clause as a sentence of its own."""
    return f"{_capital(kept_clause(mean, coverage))}."


def kept_sentence(mean: float, worst: float, coverage: Coverage) -> str:
    """The clause with the weakest layer, where everything was compared and there is room for it."""
    clause = kept_clause(mean, coverage)
    if not coverage.complete:
        return clause
    return _tr("{clause}, {worst} in the weakest layer").format(clause=clause, worst=format_share(worst))


def rounding_text(noise: NoiseFigures | None, *, doubtful: bool = False) -> str:
    """What of a difference is rounding and what of the rest is kept, as sentences; empty where it is little or unknown.

    Args:
        noise: of a file; None where it was not measured.
        doubtful: the file is judged by the lower end of the interval, and would be otherwise by the upper one.
    """
    if noise is None or noise.noise_share < NOISE_MATTERS:
        return ""
    if noise.all_noise or noise.real_energy_interval is None:
        return _tr(
            "The two models differ by no more than rounding to the stored precision does by itself, so there is "
            "nothing else to extract. If the fine-tuned model exists in higher precision, use that."
        )
    low, high = (format_share(min(1.0, max(0.0, end))) for end in noise.real_energy_interval)
    text = _tr("{noise} of the difference is rounding; of the real change the LoRA keeps {low} to {high}.")
    if low == high:
        text = _tr("{noise} of the difference is rounding; of the real change the LoRA keeps {low}.")
    elif doubtful:
        text = _tr(
            "{noise} of the difference is rounding; of the real change the LoRA keeps {low} to {high}: it is judged "
            "by the lower figure."
        )
    return text.format(
        noise=format_share(noise.noise_share), low=low.removesuffix(" %") if low != high else low, high=high
    )


def kept_so_far(mean: float, coverage: Coverage) -> str:
    """While a run goes on: the share of the change in the layers done."""
    text = _tr("{mean} of the change kept so far")
    if not coverage.complete:
        text = _tr("{mean} of what is compared kept so far")
    if coverage.share < ENOUGH_COMPARED:
        text = _tr("only {share} of the parameters compared, of those {mean} kept so far")
    return text.format(mean=format_share(mean), share=format_share(coverage.share))


def coverage_title(coverage: Coverage) -> str:
    """The warning in a few words; empty where enough can be compared."""
    if coverage.share < ENOUGH_COMPARED:
        return _tr("Only {share} of the parameters can be compared").format(share=format_share(coverage.share))
    count = len(coverage.unmatched_blocks)
    if not count:
        return ""
    text = plural(CONTEXT, "{count} whole block cannot be compared", "{count} whole blocks cannot be compared", count)
    return text.format(count=whole(count))


def compared_title(coverage: Coverage) -> str:
    """The warning in a few words once it is done; empty where enough was compared."""
    if coverage.share < ENOUGH_COMPARED:
        return _tr("Only {share} of the parameters were compared").format(share=format_share(coverage.share))
    count = len(coverage.unmatched_blocks)
    text = plural(CONTEXT, "{count} whole block was not compared", "{count} whole blocks were not compared", count)
    return text.format(count=whole(count)) if count else ""


def short_title(coverage: Coverage) -> str:
    """The same where there is room for very few words."""
    if coverage.share < ENOUGH_COMPARED:
        return _tr("Only {share} can be compared").format(share=format_share(coverage.share))
    return coverage_title(coverage)


def coverage_warning(coverage: Coverage) -> str:
    """All that there is to say before the start where too little can be compared; empty where it is enough."""
    title = coverage_title(coverage)
    if not title:
        return ""
    return " ".join((f"{title}.", *uncompared_sentences(coverage), together()))


def before_the_start(coverage: Coverage) -> list[str]:
    """What a card says of it before the start, the first one short; empty where all is compared."""
    if coverage.complete:
        return []
    rest = not_in_file(coverage)
    short = f"{_capital(rest)}." if rest else ""
    if coverage.enough:
        return list(dict.fromkeys(text for text in (short, *uncompared_sentences(coverage)) if text))
    return [_tr("{rest} {question}").format(rest=short, question=together()).strip(), coverage_warning(coverage)]


def together() -> str:
    """What to ask oneself where too little can be compared."""
    return _tr("Do these two models belong together, and is each of them complete?")


def whole_offer(count: int) -> str:
    """That weights which only the fine-tuned model has could be written whole; empty where none can."""
    text = plural(
        CONTEXT,
        "\u201cNew weights\u201d among the options writes {count} of them whole.",
        "\u201cNew weights\u201d among the options writes {count} of them whole.",
        count,
    )
    return text.format(count=whole(count)) if count else ""


def uncompared_sentences(coverage: Coverage) -> list[str]:
    """What has no counterpart: one sentence each."""
    sentences = []
    if coverage.unmatched:
        text = plural(
            CONTEXT,
            "{count} weight of the fine-tuned model has no counterpart.",
            "{count} weights of the fine-tuned model have no counterpart.",
            coverage.unmatched,
        )
        sentences.append(text.format(count=whole(coverage.unmatched)))
    if coverage.missing:
        text = plural(
            CONTEXT,
            "{count} weight of the original has no counterpart.",
            "{count} weights of the original have no counterpart.",
            coverage.missing,
        )
        sentences.append(text.format(count=whole(coverage.missing)))
    if coverage.smaller:
        sentences.append(f"{_capital(_smaller(coverage))}.")
    grown = _grown(coverage)
    if grown:
        text = plural(
            CONTEXT,
            "{things} is not in the original and counts as not kept.",
            "{things} are not in the original and count as not kept.",
            coverage.new_rows + coverage.new_channels,
        )
        sentences.append(text.format(things=_listed(grown)))
    blocks = coverage.unmatched_blocks
    if blocks:
        text = plural(
            CONTEXT,
            "{count} of {blocks} does not match: {names}.",
            "{count} of {blocks} do not match: {names}.",
            len(blocks),
        )
        more = len(blocks) - _BLOCKS_NAMED
        names = ", ".join(blocks[:_BLOCKS_NAMED])
        if more > 0:
            names = _tr("{names} and {count} more").format(names=names, count=whole(more))
        count = whole(len(blocks))
        sentences.append(text.format(count=count, blocks=counted(coverage.blocks, "block"), names=names))
    return sentences


def absent_sentences(coverage: Coverage) -> list[str]:
    """The parts that one of the models lacks entirely, which no figure speaks of: one sentence each."""
    texts = {
        "finetuned": _tr("The fine-tuned model has no {part}: it is not compared."),
        "original": _tr("The original has no {part}: it is not compared."),
    }
    return [texts[side].format(part=part_title(part)) for part, side in coverage.absent_parts]


def part_title(part: str) -> str:
    """A part of a model in words, such as ``text encoder clip_l``."""
    component, _, encoder = part.partition(".")
    if component == "text_encoders":
        return _tr("text encoder {name}").format(name=encoder) if encoder else _tr("text encoder")
    titles = {"denoiser": _tr("denoiser"), "vae": _tr("VAE"), "other": _tr("other part")}
    return titles.get(component, component)


def unrelated_warning(changes: LargeChange) -> str:
    """That the original is probably another model's; empty where it is not."""
    return notice_text(Notice(NoticeCode.LARGE_CHANGE, data=asdict(changes))) if changes.unrelated else ""


def unrelated_reason(changes: LargeChange) -> str:
    """What says so."""
    text = _tr("{count} of {of} layers changed by more than half of their weight.")
    return text.format(count=whole(changes.layers), of=whole(changes.of))


def not_in_file(coverage: Coverage) -> str:
    """What of the fine-tuned model is not in the file: a clause; of the original where that is all there is."""
    things = _grown(coverage)
    blocks = len(coverage.unmatched_blocks)
    if coverage.unmatched:
        things.append(_with_blocks(counted(coverage.unmatched, "weight"), blocks))
    if things:
        count = coverage.new_rows + coverage.new_channels + coverage.unmatched
        text = plural(CONTEXT, "{things} is not in the file", "{things} are not in the file", count)
        return text.format(things=_listed(things))
    if not coverage.missing:
        return _smaller(coverage) if coverage.smaller else ""
    text = plural(
        CONTEXT,
        "{things} of the original has no counterpart",
        "{things} of the original have no counterpart",
        coverage.missing,
    )
    return text.format(things=_with_blocks(counted(coverage.missing, "weight"), blocks))


def _smaller(coverage: Coverage) -> str:
    text = plural(
        CONTEXT,
        "{count} weight of the original is larger than the fine-tuned model's",
        "{count} weights of the original are larger than the fine-tuned model's",
        coverage.smaller,
    )
    return text.format(count=whole(coverage.smaller))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _grown(coverage: Coverage) -> list[str]:
    rows, channels = coverage.new_rows, coverage.new_channels
    things = []
    if rows:
        things.append(plural(CONTEXT, "{count} new row", "{count} new rows", rows).format(count=whole(rows)))
    if channels:
        text = plural(CONTEXT, "{count} new input channel", "{count} new input channels", channels)
        things.append(text.format(count=whole(channels)))
    return things


def _with_blocks(weights: str, blocks: int) -> str:
    """``108 weights (12 whole blocks)``."""
    if not blocks:
        return weights
    text = plural(CONTEXT, "{weights} ({count} whole block)", "{weights} ({count} whole blocks)", blocks)
    return text.format(weights=weights, count=whole(blocks))


def _listed(things: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *others, last = things
    return _tr("{others} and {last}").format(others=", ".join(others), last=last) if others else last
