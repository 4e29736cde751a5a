"""What a layout is: rows that say how another program calls and divides the weights that have a canonical name here.

The rows are read in both directions: from the names in a file to canonical names, and from canonical names to the
layout's. A pattern is a whole name; ``{n}`` in it stands for a number, ``{rest}`` for anything. The first row that
matches counts, and a name that no row matches is the same on both sides. What lacks a part of its row, or has shapes
that the row does not fit, keeps its name, so that pairing names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import accumulate

from engine.checkpoints.encodings import piece_of
from engine.checkpoints.stored import Piece, WeightSource, WeightView

_PLACEHOLDER = re.compile(r"\{(n|rest)\}")
_STANDS_FOR = {"n": r"\d+", "rest": ".+"}

Views = list[tuple[str, WeightView]]


@dataclass(frozen=True)
class Recipe:
    """A canonical weight: its shape, and the pieces that are joined along its first dimension."""

    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Share:
    """What a layout calls a canonical weight, or some of its rows.

    Attributes:
        name: the layout's.
        rows: the first row and the one after the last; None for all.
        swapped: the halves of these rows stand in the other order there.
        transposed: the layout stores the matrix as (in, out).
    """

    name: str
    rows: tuple[int, int] | None = None
    swapped: bool = False
    transposed: bool = False


@dataclass(frozen=True)
class Rename:
    """One weight under another name.

    Attributes:
        stored: pattern of the layout's name.
        canonical: pattern of the canonical name, with the same placeholders.
        transposed: the layout stores the matrix as (in, out); the row matches no other shapes.
        kernel: dimensions of a kernel of one point that the canonical weight has and the layout's matrix lacks.
    """

    stored: str
    canonical: str
    transposed: bool = False
    kernel: int = 0

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The patterns of both sides: the layout's, the canonical ones."""
        return (self.stored,), (self.canonical,)

    def recipes(self, sources: Sequence[WeightSource]) -> list[Recipe] | None:
        """What the canonical weights are made of, given the layout's; None where the row does not fit the shapes."""
        if self.transposed and len(sources[0].shape) != 2:
            return None
        piece = Piece(sources[0], transposed=self.transposed)
        kernel = (1,) * self.kernel if len(piece.shape) == 2 else ()
        return [Recipe((*piece.shape, *kernel), (piece,))]

    def shares(self, names: Sequence[str], shape: tuple[int, ...]) -> tuple[Share, ...]:
        """What the layout calls a canonical weight of a shape; nothing where the row does not fit it.

        Args:
            names: the layout's, in the order of the row.
            shape: of the canonical weight.
        """
        if self.transposed and len(shape) != 2:
            return ()
        return (Share(names[0], transposed=self.transposed),)


@dataclass(frozen=True)
class Fuse:
    """Weights that are one tensor on one side and several on the other, joined along the first dimension.

    Where the file has the one, its parts are of equal size; where it has the several, each has its own.

    Attributes:
        stored: patterns of the layout's names.
        canonical: patterns of the canonical names. One of the two has a single entry.
        square: how many of the layout's several are square matrices, the first ones; the others share the remaining
            rows equally. By this the one is divided where only its shape is known.
    """

    stored: tuple[str, ...]
    canonical: tuple[str, ...]
    square: int = 0

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """See `Rename.names`."""
        return self.stored, self.canonical

    def recipes(self, sources: Sequence[WeightSource]) -> list[Recipe] | None:
        """See `Rename.recipes`."""
        first, parts = sources[0], len(self.canonical)
        if not first.shape or any(source.shape[1:] != first.shape[1:] for source in sources):
            return None
        if parts == 1:
            return [_joined(tuple(map(Piece, sources)))]
        rows, rest = divmod(first.shape[0], parts)
        return None if rest else [_joined((piece_of(first, at * rows, (at + 1) * rows),)) for at in range(parts)]

    def shares(self, names: Sequence[str], shape: tuple[int, ...]) -> tuple[Share, ...]:
        """See `Rename.shares`. A canonical weight that is only a part of what the layout stores has none."""
        others = len(names) - self.square
        if len(self.canonical) > 1 or not shape or (self.square and len(shape) < 2):
            return ()
        square = shape[1] if self.square else 0
        rows, rest = divmod(shape[0] - self.square * square, others)
        if rest or rows <= 0:
            return ()
        return divided(names, (*(square,) * self.square, *(rows,) * others))


@dataclass(frozen=True)
class Swap:
    """One weight whose halves along the first dimension stand in the other order: a scale and a shift, say.

    Attributes:
        stored: see `Rename`.
        canonical: see `Rename`.
        unless: pattern of a name of the layout, with the same placeholders; the row does not hold where it is there.
    """

    stored: str
    canonical: str
    unless: str = ""

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """See `Rename.names`."""
        return (self.stored,), (self.canonical,)

    def recipes(self, sources: Sequence[WeightSource]) -> list[Recipe] | None:
        """See `Rename.recipes`."""
        source = sources[0]
        if not source.shape or source.shape[0] % 2:
            return None
        half, rows = source.shape[0] // 2, source.shape[0]
        return [_joined((piece_of(source, half, rows), piece_of(source, 0, half)))]

    def shares(self, names: Sequence[str], shape: tuple[int, ...]) -> tuple[Share, ...]:
        """See `Rename.shares`."""
        return () if not shape or shape[0] % 2 else (Share(names[0], swapped=True),)


Row = Rename | Fuse | Swap
MakeRows = Callable[[Collection[str]], tuple[Row, ...]]


@dataclass(frozen=True)
class Layout:
    """How one program names the weights of a component.

    Attributes:
        key: stable identifier, part of the key of records in journals and the cache: rows that are changed so that
            other numbers get the same name need another key.
        title: what people call it.
        source: where the names come from.
        rows: see the module.
        family: key of the family whose denoiser it names; empty where it is of another component.
        component: that it names: ``denoiser``, ``text_encoders`` or ``vae``.
        signature: names of the layout that all must be present for it to be recognised, component prefix removed.
        absent: names that must not be present.
        ran: whether a consumer that ran (diffusers' own converter and model, in the tests) has confirmed the rows;
            the others were checked against the source only.
        rows_of_stored: makes the rows from the layout's names of a whole component, where they depend on its depth.
        rows_of_canonical: the same from the canonical names, without the component's start.
    """

    key: str
    title: str
    source: str
    rows: tuple[Row, ...] = ()
    family: str = ""
    component: str = "denoiser"
    signature: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    ran: bool = False
    rows_of_stored: MakeRows | None = None
    rows_of_canonical: MakeRows | None = None

    def fits(self, names: Collection[str]) -> bool:
        """Whether a component's names carry the signature; never where there is none."""
        if not self.signature:
            return False
        return all(name in names for name in self.signature) and not any(name in names for name in self.absent)

    def for_stored(self, names: Collection[str]) -> Layout:
        """The layout with the rows of one model, by the layout's names of it."""
        return self if self.rows_of_stored is None else replace(self, rows=self.rows_of_stored(names))

    def for_canonical(self, names: Collection[str]) -> Layout:
        """The same by the canonical names of it, without the component's start."""
        return self if self.rows_of_canonical is None else replace(self, rows=self.rows_of_canonical(names))

    def views(self, sources: Mapping[str, WeightSource], component: str) -> Views:
        """The weights of a file by canonical name.

        Args:
            sources: by their names in the layout: those of the file without the prefix of their component.
            component: of all of them.

        Returns:
            In the order of the sources; what is joined of several stands at the place of the first.
        """
        found: Views = []
        used: set[str] = set()
        for name in sources:
            if name not in used:
                views, names = self._views_of(name, sources, component)
                found += views
                used.update(names)
        return found

    def _views_of(self, name: str, sources: Mapping[str, WeightSource], component: str) -> tuple[Views, Sequence[str]]:
        """The canonical weights that a name belongs to, and all names that they are made of."""
        for match in self._from_stored.matches(name):
            if match.unless not in sources and all(other in sources for other in match.here):
                recipes = match.row.recipes([sources[other] for other in match.here])
                if recipes is not None:
                    views = [WeightView(component, made.shape, made.pieces, self.key) for made in recipes]
                    return list(zip(match.there, views, strict=True)), match.here
        return [(name, WeightView.of(sources[name], component, layout=self.key))], (name,)

    def canonical_names(self, stored: str) -> tuple[str, ...]:
        """The canonical names of what the layout calls so: several where they are parts of it."""
        return next((match.there for match in self._from_stored.matches(stored)), (stored,))

    def stored_names(self, canonical: str) -> tuple[str, ...]:
        """The layout's names of a canonical weight: several where it is divided among them."""
        return next((match.there for match in self._from_canonical.matches(canonical)), (canonical,))

    def shares(
        self, canonical: str, shape: tuple[int, ...], present: Container[str], sizes: Sequence[int] = ()
    ) -> tuple[Share, ...]:
        """Where a canonical weight stands in the layout; nothing where it is only a part of what the layout stores.

        Args:
            canonical: name of the weight, without the component's start.
            shape: of the weight.
            present: all names that the layout has for the model.
            sizes: rows of the layout's weights that it is divided among, where they are known; else its shape tells.
        """
        for match in self._from_canonical.matches(canonical):
            if match.unless not in present:
                if len(sizes) == len(match.there) > 1:
                    return divided(match.there, sizes) if shape[:1] == (sum(sizes),) else ()
                return match.row.shares(match.there, shape)
        return (Share(canonical),)

    def knows(self, canonical: str) -> bool:
        """Whether a row has a canonical name."""
        return any(True for _ in self._from_canonical.matches(canonical))

    @cached_property
    def _from_stored(self) -> _Reader:
        return _Reader([(row, *row.names()) for row in self.rows])

    @cached_property
    def _from_canonical(self) -> _Reader:
        return _Reader([(row, row.names()[1], row.names()[0]) for row in self.rows])


@dataclass(frozen=True)
class _Match:
    """A row that a name belongs to, with all names of either side, and the name that rules the row out."""

    row: Row
    here: tuple[str, ...]
    there: tuple[str, ...]
    unless: str


@dataclass(frozen=True)
class _Entry:
    """One pattern of a row in the direction that it is read in, and what a name has to begin with to match it."""

    start: str
    pattern: re.Pattern[str]
    row: Row
    here: tuple[str, ...]
    there: tuple[str, ...]


class _Reader:
    """Rows read in one direction. Which of them a name can match is found once for all names that begin alike."""

    def __init__(self, rows: Sequence[tuple[Row, tuple[str, ...], tuple[str, ...]]]) -> None:
        self._entries = [
            _Entry(_PLACEHOLDER.split(text, maxsplit=1)[0], _pattern(text), row, here, there)
            for row, here, there in rows
            for text in here
        ]
        self._near: dict[str, list[_Entry]] = {}

    def matches(self, name: str) -> Iterator[_Match]:
        """The rows that a name belongs to, in their order."""
        last: Row | None = None
        for entry in self._candidates(name):
            match = entry.pattern.fullmatch(name) if name.startswith(entry.start) else None
            if match is not None and entry.row is not last:
                last, values = entry.row, match.groupdict()
                unless = _filled((last.unless if isinstance(last, Swap) else "",), values)
                yield _Match(last, _filled(entry.here, values), _filled(entry.there, values), *unless)

    def _candidates(self, name: str) -> list[_Entry]:
        head = ".".join(name.split(".", 2)[:2])
        if head not in self._near:
            self._near[head] = [it for it in self._entries if it.start[: len(head)] == head[: len(it.start)]]
        return self._near[head]


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(text)  # text, placeholder, text, ...
    named = (f"(?P<{part}>{_STANDS_FOR[part]})" if at % 2 else re.escape(part) for at, part in enumerate(parts))
    return re.compile("".join(named))


def _filled(texts: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    found = []
    for text in texts:
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        found.append(text)
    return tuple(found)


def _joined(pieces: tuple[Piece, ...]) -> Recipe:
    first = pieces[0].shape
    shape = first if len(pieces) == 1 else (sum(piece.shape[0] for piece in pieces), *first[1:])
    return Recipe(shape, pieces)


def divided(names: Sequence[str], sizes: Sequence[int]) -> tuple[Share, ...]:
    """The shares of weights that follow one another, of so many rows each."""
    ends = tuple(accumulate(sizes))
    return tuple(Share(name, (end - size, end)) for name, size, end in zip(names, sizes, ends, strict=True))


def renamed(*modules: tuple[str, str], start: tuple[str, str] = ("", "")) -> tuple[Rename, ...]:
    """Rows of modules whose parameters have the same names: the layout's module and the canonical one.

    Args:
        modules: pairs of names.
        start: what stands before every one of them.
    """
    return tuple(
        Rename(f"{start[0]}{stored}.{{rest}}", f"{start[1]}{canonical}.{{rest}}") for stored, canonical in modules
    )


def fused(stored: tuple[str, ...], canonical: str, *, square: int = 0) -> Fuse:
    """The row of modules that are one canonical module, with all their parameters; see `Fuse.square`."""
    return Fuse(tuple(f"{name}.{{rest}}" for name in stored), (f"{canonical}.{{rest}}",), square)
