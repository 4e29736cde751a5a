"""Two ways to store one weight: which is the coarser, and which side is rounded before they are compared. Headers only.

A weight that was only saved again in a coarser form did not change, and of one that changed the coarser form adds a
difference of its own. Both are known once the finer side is rounded as the coarser one is stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from engine.checkpoints.dtypes import DTYPES, dtype_title
from engine.checkpoints.encodings import encoding_of
from engine.checkpoints.stored import RAW, WeightSource, WeightView
from engine.settings import RoundOriginal

Side = Literal["finetuned", "original"]
Grid = Literal["shared", "free", "both"]
"""How the numbers of the original lie to those that the fine-tuned side's form can hold: they are some of them; they
are anywhere between them; or they were, and are rounded to them before the two are subtracted."""
_MANTISSAS = {"F64": 23, "F32": 23, "F16": 10, "BF16": 7}  # bits; doubles are read as floats
_SMALL = {"F8_E4M3": 3, "F8_E4M3FNUZ": 3, "F8_E5M2": 2, "F8_E5M2FNUZ": 2}
_Segment = tuple[int, WeightSource, WeightSource]  # rows, and what either side has them from


@dataclass(frozen=True)
class Rounding:
    """How the sides of a weight that they store in different forms are compared.

    Attributes:
        coarser: the side that takes fewer bits for a number; None where both take the same.
        alike: the sides that can be rounded as the other one is stored. One that then equals it did not change.
        forms: of the fine-tuned side and of the original, in words.
        bits: that a number takes in the coarser form.
        rounded: the side that is rounded so before the two are subtracted; None subtracts what they stand for.
    """

    coarser: Side | None
    alike: tuple[Side, ...]
    forms: tuple[str, str]
    bits: int
    rounded: Side | None = None

    def under(self, choice: RoundOriginal) -> Rounding:
        """The same as a setting wants it.

        ``auto`` rounds the original unless that is the coarser side: of two dtypes of the same size, too, as the
        fine-tuned side is then the original cast to its dtype and more. ``on`` rounds the finer side, whichever it is.
        """
        rounded: Side | None = None
        if choice != "off" and self.coarser != "original" and "original" in self.alike:
            rounded = "original"
        elif choice == "on" and self.coarser == "original" and "finetuned" in self.alike:
            rounded = "finetuned"
        return replace(self, rounded=rounded)

    @property
    def coarser_form(self) -> str:
        """In words the form that an unchanged weight was rounded to; where neither is coarser the fine-tuned side's."""
        return self.forms[1 if self.coarser == "original" else 0]

    @property
    def tested(self) -> tuple[Side, ...]:
        """The sides that may equal the other one but for rounding and are not rounded anyway."""
        return tuple(side for side in self.alike if side != self.rounded)

    @property
    def key(self) -> str:
        """What of it decides the delta, for the key of records."""
        return self.rounded or "as_stored"


def rounding_between(finetuned: WeightView, original: WeightView) -> Rounding | None:
    """How two sides may differ by rounding alone; None where they are stored in the same form."""
    segments = tuple(_segments(finetuned, original))
    if not segments or all(_form(ours) == _form(theirs) for _, ours, theirs in segments):
        return None
    more = sum(rows * (_bits(ours) - _bits(theirs)) for rows, ours, theirs in segments)
    coarser: Side | None = None if more == 0 else "finetuned" if more < 0 else "original"
    alike: list[Side] = []
    if all(_repeatable(ours, theirs) for _, ours, theirs in segments):
        alike.append("original")
    if all(_repeatable(theirs, ours) for _, ours, theirs in segments):
        alike.append("finetuned")
    bits = min(min(_bits(ours), _bits(theirs)) for _, ours, theirs in segments)
    return Rounding(coarser, tuple(side for side in alike if side != coarser), _titles(finetuned, original), bits)


def grid_of(finetuned: WeightView, original: WeightView, rounding: Rounding | None) -> Grid:
    """How the original's numbers lie to the grid of the fine-tuned side, which decides what a rounding error can be.

    Also where both are stored in one encoding with scales its numbers are free: a block's scale moves with its largest
    number, and then its numbers lie between each other's. Where it does not move, and changes are so small that numbers
    stay as they were, free says more noise than there is; that it is most of the difference is true then, too.
    """
    if rounding is not None and rounding.rounded == "finetuned":
        return "shared"  # it was rounded as the original is stored
    bits = [[_mantissa(piece.source) for piece in view.pieces] for view in (finetuned, original)]
    ours, theirs = ([bit for bit in side if bit is not None] for side in bits)
    if len(ours) == len(bits[0]) and len(theirs) == len(bits[1]) and max(theirs) <= min(ours):
        return "shared"
    return "both" if rounding is not None and rounding.rounded == "original" else "free"


def _mantissa(source: WeightSource) -> int | None:
    """Bits of the mantissa of floats that are stored as they are, in any order; None for others."""
    plain = encoding_of(source).plain or source.encoding == "gguf_plain"
    return (_MANTISSAS | _SMALL).get(source.stored_dtype) if plain else None


def dtype_of(view: WeightView) -> str | None:
    """The one dtype of a side that stores plain numbers; None where it has several, or another encoding."""
    forms = {(piece.source.encoding, piece.source.dtype) for piece in view.pieces}
    encoding, dtype = next(iter(forms))
    return dtype if len(forms) == 1 and encoding == RAW else None


def _segments(finetuned: WeightView, original: WeightView) -> Iterator[_Segment]:
    """The rows of a weight in runs that each side has from one source; none where the shapes differ and it matters."""
    if finetuned.shape != original.shape:
        if dtype_of(finetuned) is not None and dtype_of(original) is not None:
            yield 1, finetuned.source, original.source
        return
    sides = [[(_rows(piece.shape), piece.source) for piece in view.pieces] for view in (finetuned, original)]
    ours, theirs = (iter(side) for side in sides)
    (left, our_source), (right, their_source) = next(ours), next(theirs)
    while True:
        rows = min(left, right)
        yield rows, our_source, their_source
        left, right = left - rows, right - rows
        if left == 0:
            left, our_source = next(ours, (0, our_source))
        if right == 0:
            right, their_source = next(theirs, (0, their_source))
        if left == 0 or right == 0:
            return


def _rows(shape: tuple[int, ...]) -> int:
    return shape[0] if shape else 1


def _repeatable(coarse: WeightSource, fine: WeightSource) -> bool:
    """Whether numbers of one source can be rounded as another is stored, and that is the coarser or a dtype."""
    if coarse.encoding == RAW == fine.encoding:
        return True
    return encoding_of(coarse).repeats(coarse) and _bits(coarse) < _bits(fine)


def _form(source: WeightSource) -> tuple[str, str]:
    """Doubles are compared as the floats they are read as."""
    dtype = "F32" if source.encoding == RAW and source.dtype == "F64" else source.stored_dtype
    return source.encoding, dtype


def _bits(source: WeightSource) -> int:
    """Bits that a number takes in the file, scales beside it apart."""
    if source.encoding == RAW:
        return min(32, DTYPES[source.dtype].bits)
    return 8 * source.parts[0].nbytes // max(1, math.prod(source.shape))


def _titles(finetuned: WeightView, original: WeightView) -> tuple[str, str]:
    titles = [
        " + ".join(dict.fromkeys(_title(piece.source) for piece in view.pieces)) for view in (finetuned, original)
    ]
    if titles[0] == titles[1]:
        titles = [view.source.stored_dtype.lower() for view in (finetuned, original)]
    return titles[0], titles[1]


def _title(source: WeightSource) -> str:
    return dtype_title(source.dtype) if source.encoding == RAW else encoding_of(source).title_of(source)
