"""Layouts of names as data: how another program calls and divides the weights that have a canonical name here.

A layout is a list of rows that are read in both directions: from the names in a file to canonical names, and from
canonical names to the layout's. A pattern is a whole name; ``{n}`` in it stands for a number, ``{rest}`` for anything.
The first row that matches counts, and a name that no row matches is the same on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.checkpoints.encodings import piece_of
from engine.checkpoints.stored import Piece, WeightSource, WeightView

_PLACEHOLDER = re.compile(r"\{(n|rest)\}")
_STANDS_FOR = {"n": r"\d+", "rest": ".+"}

Views = list[tuple[str, WeightView]]
Pieces = tuple[Piece, ...]


@dataclass(frozen=True)
class Rename:
    """One weight under another name.

    Attributes:
        stored: pattern of the layout's name.
        canonical: pattern of the canonical name, with the same placeholders.
        transposed: the layout stores the matrix as (in, out); the row matches no other shapes.
    """

    stored: str
    canonical: str
    transposed: bool = False

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The patterns of both sides: the layout's, the canonical ones."""
        return (self.stored,), (self.canonical,)

    def pieces(self, sources: Sequence[WeightSource]) -> list[Pieces] | None:
        """What the canonical weights are made of, given the layout's; None where the row does not fit the shapes."""
        fits = not self.transposed or len(sources[0].shape) == 2
        return [(Piece(sources[0], transposed=self.transposed),)] if fits else None


@dataclass(frozen=True)
class Fuse:
    """Weights that are one tensor on one side and several on the other, joined along the first dimension.

    Where the file has the one, its parts are of equal size; where it has the several, each has its own.

    Attributes:
        stored: patterns of the layout's names.
        canonical: patterns of the canonical names. One of the two has a single entry.
    """

    stored: tuple[str, ...]
    canonical: tuple[str, ...]

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """See `Rename.names`."""
        return self.stored, self.canonical

    def pieces(self, sources: Sequence[WeightSource]) -> list[Pieces] | None:
        """See `Rename.pieces`."""
        first, parts = sources[0], len(self.canonical)
        if not first.shape or any(source.shape[1:] != first.shape[1:] for source in sources):
            return None
        if parts == 1:
            return [tuple(map(Piece, sources))]
        rows, rest = divmod(first.shape[0], parts)
        return None if rest else [(piece_of(first, at * rows, (at + 1) * rows),) for at in range(parts)]


@dataclass(frozen=True)
class Layout:
    """How one program names the weights of a component.

    Attributes:
        key: stable identifier, part of the key of records in journals and the cache: rows that are changed so that
            other numbers get the same name need another key.
        title: what people call it.
        source: where the names come from.
        rows: see the module.
    """

    key: str
    title: str
    source: str
    rows: tuple[Rename | Fuse, ...] = ()

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
        for row, names, canonical in _matches(name, self._from_stored):
            if all(other in sources for other in names):
                pieces = row.pieces([sources[other] for other in names])
                if pieces is not None:
                    views = [_view(group, component, self.key) for group in pieces]
                    return list(zip(canonical, views, strict=True)), names
        return [(name, WeightView.of(sources[name], component, layout=self.key))], (name,)

    def canonical_names(self, stored: str) -> tuple[str, ...]:
        """The canonical names of what the layout calls so: several where they are parts of it."""
        return next((there for _, _, there in _matches(stored, self._from_stored)), (stored,))

    def stored_names(self, canonical: str) -> tuple[str, ...]:
        """The layout's names of a canonical weight: several where it is divided among them."""
        return next((there for _, _, there in _matches(canonical, self._from_canonical)), (canonical,))

    @cached_property
    def _from_stored(self) -> list[_Direction]:
        return [_Direction(row, *row.names()) for row in self.rows]

    @cached_property
    def _from_canonical(self) -> list[_Direction]:
        return [_Direction(row, *reversed(row.names())) for row in self.rows]


@dataclass(frozen=True)
class _Direction:
    """A row read in one direction."""

    row: Rename | Fuse
    here: tuple[str, ...]
    there: tuple[str, ...]

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(map(_pattern, self.here))


def _matches(name: str, rows: Sequence[_Direction]) -> Iterator[tuple[Rename | Fuse, tuple[str, ...], tuple[str, ...]]]:
    """The rows that a name belongs to, with all names of either side of them."""
    for row in rows:
        for pattern in row.patterns:
            match = pattern.fullmatch(name)
            if match is not None:
                values = match.groupdict()
                yield row.row, _filled(row.here, values), _filled(row.there, values)
                break


def _pattern(text: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(text)  # text, placeholder, text, ...
    named = (f"(?P<{part}>{_STANDS_FOR[part]})" if at % 2 else re.escape(part) for at, part in enumerate(parts))
    return re.compile("".join(named))


def _filled(texts: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(_PLACEHOLDER.sub(lambda found: values[found[1]], text) for text in texts)


def _view(pieces: Pieces, component: str, layout: str) -> WeightView:
    first = pieces[0].shape
    shape = first if len(pieces) == 1 else (sum(piece.shape[0] for piece in pieces), *first[1:])
    return WeightView(component, shape, pieces, layout)


_CLIP, _OPEN = "text_model.encoder.layers.{n}.", "transformer.resblocks.{n}."
_CLIP_ROOTS = ("embeddings.", "encoder.", "final_layer_norm.")

NATIVE = Layout("native", "as the model's own program names them", "the file itself")
OPEN_CLIP = Layout(
    "open_clip",
    "OpenCLIP",
    'diffusers 0.42, loaders/single_file_utils.py, DIFFUSERS_TO_LDM_MAPPING["openclip"]',
    (
        Fuse((_OPEN + "attn.in_proj_weight",), tuple(f"{_CLIP}self_attn.{part}_proj.weight" for part in "qkv")),
        Fuse((_OPEN + "attn.in_proj_bias",), tuple(f"{_CLIP}self_attn.{part}_proj.bias" for part in "qkv")),
        Rename(_OPEN + "attn.{rest}", _CLIP + "self_attn.{rest}"),
        Rename(_OPEN + "ln_1.{rest}", _CLIP + "layer_norm1.{rest}"),
        Rename(_OPEN + "ln_2.{rest}", _CLIP + "layer_norm2.{rest}"),
        Rename(_OPEN + "mlp.c_fc.{rest}", _CLIP + "mlp.fc1.{rest}"),
        Rename(_OPEN + "mlp.c_proj.{rest}", _CLIP + "mlp.fc2.{rest}"),
        Rename(_OPEN + "{rest}", _CLIP + "{rest}"),
        Rename("ln_final.{rest}", "text_model.final_layer_norm.{rest}"),
        Rename("token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
        Rename("positional_embedding", "text_model.embeddings.position_embedding.weight"),
        Rename("text_projection", "text_projection.weight", transposed=True),
    ),
)
CLIP_2022 = Layout(
    "clip_2022",
    "CLIP without the level text_model",
    "Stable Diffusion v1 as released in 2022, before transformers added the level",
    tuple(Rename(root + "{rest}", f"text_model.{root}{{rest}}") for root in _CLIP_ROOTS),
)
LAYOUTS = {layout.key: layout for layout in (NATIVE, OPEN_CLIP, CLIP_2022)}
