"""Shortens a layer's name to the room there is, but not its block's number and what the layer itself is called."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

ELLIPSIS = "\u2026"
SHORT_WORD = 6
SHORTEST_WORD = 2  # letters that stay of a word before the block's number
WORDS_KEPT = 3  # of a row of words without a number: two at its beginning and one at its end


def fitted_name(name: str, width: float, measure: Callable[[str], float]) -> str:
    """A dotted name in at most so much width.

    What is before the last number, such as ``input_blocks`` and ``transformer_blocks``, is shortened first, word by
    word: ``inp…4.1.tra…3.attn1.to_q``. Only where that is not enough does the beginning go.

    Args:
        name: the name.
        width: room, in the unit of `measure`.
        measure: gives the width of a text.
    """
    if measure(name) <= width:
        return name
    parts = name.split(".")
    # The last part is the layer's own, even where it is a number.
    numbers = [index for index, part in enumerate(parts[:-1]) if part.isdigit()]
    block = numbers[-1] if numbers else 0
    while block > 0 and _numbered_kind(parts, block):
        numbers.pop()
        block = numbers[-1] if numbers else 0
    before, behind = _without_middles(parts[:block]), parts[block:]
    text = name
    # Short words, such as ``clip_l``, say more per letter: they stay whole as long as possible.
    for least in (SHORT_WORD, 0):
        for length in range(max((len(word) for word in before), default=0), SHORTEST_WORD - 1, -1):
            shorter = (_shortened(word, length) if len(word) > least else word for word in before)
            text = _joined([*shorter, *behind])
            if measure(text) <= width:
                return text
    return _ending(text, width, measure)


def first_parts(parts: Sequence[str], width: float, measure: Callable[[str], float]) -> str:
    """As many parts of a line as there is room for, the first always."""
    for count in range(len(parts), 1, -1):
        text = " \u00b7 ".join(parts[:count])
        if measure(text) <= width:
            return text
    return parts[0] if parts else ""


def _numbered_kind(parts: list[str], index: int) -> bool:
    """Whether a number belongs to the layer's kind, as in ``ff.net.0.proj`` and ``mlp.0``, and not to its block."""
    earlier = any(part.isdigit() for part in parts[:index])
    return earlier and not parts[index - 1].isdigit() and not parts[index - 1].endswith(("blocks", "layers", "block"))


def _without_middles(words: list[str]) -> list[str]:
    """Long rows of words without a number, as ``transformer.text_model.encoder``, without their middle."""
    kept: list[str] = []
    row: list[str] = []
    for word in [*words, "0"]:
        if not word.isdigit():
            row.append(word)
            continue
        kept += row if len(row) <= WORDS_KEPT else [*row[:2], ELLIPSIS, row[-1]]
        kept.append(word)
        row = []
    return kept[:-1]


def _shortened(word: str, length: int) -> str:
    """The beginning of a word; whole where an ellipsis would be no shorter, and numbers always."""
    return word if word.isdigit() or len(word) <= length + 1 else word[:length] + ELLIPSIS


def _joined(parts: list[str]) -> str:
    return re.sub(rf"\.?{ELLIPSIS}\.", ELLIPSIS, ".".join(parts))


def _ending(text: str, width: float, measure: Callable[[str], float]) -> str:
    """The longest end of a text that fits."""
    for begin in range(1, len(text)):
        ending = ELLIPSIS + text[begin:].lstrip(f".{ELLIPSIS}")
        if measure(ending) <= width:
            return ending
    return ELLIPSIS
